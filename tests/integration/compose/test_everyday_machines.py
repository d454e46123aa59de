"""A testbed in the places and shells that people have, with what lies there already."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose import ports, run_folder, scraping, settings
from compose.envfile import read as read_env
from compose.installer import cache
from compose.installer.programs import Installer
from compose.settings import ROOT
from tests.leftovers import owned_folder

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ODD = 'it\'s a "run" [x] $HOME ü*'
# Not PATH: programs are looked for there. HOME and TERM are missing, as in a service or a bare container.
HABITS = {"LC_ALL": "tr_TR.UTF-8", "TZ": "Europe/Berlin", "CDPATH": ".", "PYTHONUTF8": "1"}


@pytest.fixture
def shell() -> Iterator[dict[str, str]]:
    """The environment of a person whose run folder has an odd name."""
    with owned_folder() as folder:
        names = [key for key in read_env(settings.PORTS) if key.endswith("_PORT")]
        numbers = dict(zip(names, map(str, ports.free(len(names))), strict=True))
        tools = os.environ.get("VAULTBENCH_TOOLS") or str(cache.root_folder(os.environ, ROOT))
        places = {
            "VAULTBENCH_RUN_DIR": str(folder / ODD),
            "VAULTBENCH_ENV_FILE": str(folder / f"{ODD}.env"),
            "VAULTBENCH_TOOLS": tools,
        }
        env = {
            "PATH": os.environ["PATH"],
            "WORKERS": "1",
            "PASSWORD_HASH": "SHA256",
            **HABITS,
            **numbers,
            **places,
        }
        yield env
        typed("compose", "clean", env=env, ALL="1")


def typed(module: str, command: str, *, env: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    """A command under umask 077."""
    return subprocess.run(
        [sys.executable, "-m", module, command],
        cwd=ROOT, env={**env, **more}, capture_output=True, text=True, check=False, umask=0o077,
    )  # fmt: skip


def test_an_odd_folder_a_hard_umask_and_a_bare_shell(shell: dict[str, str]) -> None:
    run_dir = Path(shell["VAULTBENCH_RUN_DIR"])
    shell |= {"CACHE": "Redis", "RATE_LIMIT_BACKEND": "REDIS", "POOLER": "PgBouncer"}
    up = typed("compose", "up", env=shell)
    assert "ready after" in up.stdout, up.stdout + up.stderr
    smoke = typed("loadtests", "smoke", env=shell)
    assert "All checks passed" in smoke.stdout, smoke.stdout + smoke.stderr
    status = typed("compose", "status", env=shell)
    assert "alerts    none" in status.stdout, status.stdout + status.stderr
    rules = (run_dir / "logs" / "prometheus.log").read_text()
    assert "error" not in rules.lower(), rules

    changed = typed("compose", "up", env=shell, LOG_LEVEL="debug")
    assert changed.returncode == 1
    assert "LOG_LEVEL: runs with its default, asked for debug" in changed.stderr

    theirs = run_dir / "thesis.odt"
    theirs.write_text("three years of work")
    done = typed("compose", "clean", env=shell)
    assert f"kept {run_dir}: thesis.odt is not ours" in done.stdout, done.stdout + done.stderr
    assert [path.name for path in run_dir.iterdir()] == ["thesis.odt"]
    theirs.unlink()


def test_rules_are_found_in_an_odd_checkout(tmp_path: Path) -> None:
    with Installer(os.environ, echo=print) as installer:
        prometheus = installer.find("prometheus")
    promtool = prometheus.path.with_name("promtool") if prometheus and prometheus.path else None
    if promtool is None or not promtool.exists():
        pytest.skip("no promtool: Debian's Prometheus brings one")
    rules, file = tmp_path / ODD / "rules", tmp_path / "prometheus.yml"
    shutil.copytree(scraping.RULES, rules)
    file.write_text(scraping.configuration(dict.fromkeys(scraping.TARGETS, ()), str(rules)))
    asked = [str(promtool), "check", "config", str(file)]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert said.stdout.count("rules found") == 2, said.stdout + said.stderr


def test_nothing_starts_in_a_folder_of_somebody_else(shell: dict[str, str]) -> None:
    run_dir = Path(shell["VAULTBENCH_RUN_DIR"])
    (run_dir / "logs").mkdir(parents=True)
    for command in ("up", "clean"):
        done = typed("compose", command, env=shell)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert str(run_dir) in done.stderr
    assert [path.name for path in run_dir.iterdir()] == ["logs"]
    assert not run_folder.is_ours(run_dir)
    assert not Path(shell["VAULTBENCH_ENV_FILE"]).exists()


def test_short_secrets_of_the_environment_start_nothing(shell: dict[str, str]) -> None:
    done = typed("compose", "up", env=shell, JWT_SECRET="tooshort")
    assert done.returncode == 1
    assert "JWT_SECRET in the environment has 8 characters; at least 32 are needed" in done.stderr
    assert not Path(shell["VAULTBENCH_ENV_FILE"]).exists()
