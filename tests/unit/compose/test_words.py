"""What counts of a command line and of somebody's environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from compose import bootstrap, settings
from compose.envfile import EnvError
from compose.settings import ROOT
from tests.unit.compose.choice import WORKS, Desk, new_desk
from tests.unit.compose.words import inherited, takers

pytestmark = pytest.mark.unit

TELL_ALL = "#!/bin/sh\nenv\n"
SECOND = {"COMPOSE_PROJECT_NAME": "second", "GATEWAY_PORT": "9500", "LOG_LEVEL": "debug"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = new_desk(tmp_path)
    made.put("python3", TELL_ALL)
    made.record("native")
    return made


def environment(said: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


class TestRefusals:
    @pytest.mark.parametrize(
        ("command", "word", "said"),
        [
            ("up", "FOO=bar", "FOO: make up knows no such word; docs/settings.md"),
            ("up", "workers=2", "workers: make up knows no such word; did you mean WORKERS?"),
            ("stress", "FILESIZE=1", "FILESIZE: make stress knows no such word; did you mean FILE_SIZE?"),
            ("stress", "A=x", "A: make stress does not take it, but make ab"),
            ("up", "VUS=3", "VUS: make up does not take it, but make stress, make ask, make ab"),
            ("up", "OVERLAYS=faults", "OVERLAYS: only containers have it (RUNTIME=compose)"),
            ("status", "MEMORY_MINIO_MB=1", "MEMORY_MINIO_MB: only containers have it"),
            ("up", "INNER_SUBNET=10.0.0.0/24", "INNER_SUBNET: only containers have it"),
            ("up", "NGINX_ADDRESS=10.0.0.9", "NGINX_ADDRESS: only containers have it"),
            (
                "up",
                "GATEWAY_ADDRESS=127.0.0.7",
                "GATEWAY_ADDRESS: has no effect, its value follows from GATEWAY_HOST: say that instead",
            ),
            (
                "stress",
                "WEB_ORIGINS=http://localhost:8080",
                "WEB_ORIGINS: has no effect, its value follows from CORS_ORIGINS: say that instead",
            ),
        ],
    )
    def test_what_a_target_does_not_take_is_named(
        self, desk: Desk, command: str, word: str, said: str
    ) -> None:
        done = desk.make(command, word)
        assert done.returncode != 0
        assert said in done.stderr

    @pytest.mark.parametrize(
        ("command", "word", "expected"),
        [
            ("trace", "ALL=yes", "0 or 1"),
            ("clean", "ALL=true", "0 or 1"),
            ("doctor", "REPORT=file", "0 or 1"),
            ("sweep", "DRY_RUN=yes", "0 or 1"),
            ("chaos", "KEEP_GOING=2", "0 or 1"),
            ("stress", "CLEAN=on", "0 or 1"),
            ("alerts", "K6_PUSH=0", "on or off"),
            ("down", "VAULTBENCH_OFFLINE=no", "0 or 1"),
        ],
    )
    def test_a_switch_has_two_values(self, desk: Desk, command: str, word: str, expected: str) -> None:
        for runtime in ("native", "compose"):
            desk.record(runtime)
            name, _, value = word.partition("=")
            done = desk.make(command, word, **WORKS)
            assert done.returncode == 2
            assert f"{name}={value!r}: must be {expected}" in done.stderr

    def test_a_switch_may_be_empty_or_in_capitals(self, desk: Desk) -> None:
        assert desk.make("stress", "K6_PUSH=Off", "CLEAN=").returncode == 0

    @pytest.mark.parametrize(
        "word", ["K6=/x", "NGINX_SOURCE=127.0.0.3", "AUTH_URLS=http://a", "S3_ENDPOINT=http://b"]
    )
    def test_containers_refuse_what_only_processes_have(self, desk: Desk, word: str) -> None:
        desk.record("compose")
        name = word.partition("=")[0]
        assert f"{name}: only plain processes have it" in desk.make("status", word, **WORKS).stderr

    def test_all_at_once(self, desk: Desk) -> None:
        said = desk.make("stress", "FOO=1", "PRECISON=2", "A=FINALISE=inline B=VUS=3", "OVERLAYS=x").stderr
        named = {line.partition(":")[0] for line in said.splitlines()[1:-1]}
        assert named == {"A", "PRECISON", "FOO", "OVERLAYS"}

    @pytest.mark.parametrize("command", ["up", "status", "stress", "ab", "smoke", "sweep", "down", "clean"])
    def test_the_words_of_a_second_testbed_are_taken_by_every_target(self, desk: Desk, command: str) -> None:
        done = desk.make(command, **SECOND)
        assert done.returncode == 0, done.stderr

    def test_measuring_names_a_setting_that_differs_from_what_runs(self, desk: Desk) -> None:
        (desk.run_dir / "settings.env").write_text("GATEWAY_PORT='9500'\nMAX_CCU='it'\\''s'\n")
        assert desk.make("stress", GATEWAY_PORT="9500").returncode == 0
        said = desk.make("stress", GATEWAY_PORT="9600", LOG_LEVEL="debug").stderr
        assert "GATEWAY_PORT: runs with 9500, asked for 9600" in said
        assert "LOG_LEVEL: runs with its default, asked for debug" in said
        assert "Run `make down`, then `make up GATEWAY_PORT=9600 LOG_LEVEL=debug`." in said
        assert desk.make("status", GATEWAY_PORT="9600").returncode == 0, "it measures nothing"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ({"OVERLAYS": "nonsense"}, "OVERLAYS=nonsense: there are"),
            ({"WITHOUT": "grafana,nobody"}, "WITHOUT=nobody: there is no such part"),
            ({"LIMITS": "micro"}, "LIMITS=micro: has an effect only with OVERLAYS=limits"),
        ],
    )
    def test_containers_refuse_values_without_effect(
        self, desk: Desk, words: dict[str, str], said: str
    ) -> None:
        done = desk.script("load_environment", **WORKS, **words)
        assert done.returncode == 1
        assert said in done.stderr


PLACES = [
    ("VAULTBENCH_RUN_DIR", "{file}", "must be a folder, and {file} is a file"),
    ("VAULTBENCH_RUN_DIR", "{file}/below", "must be a folder, and {file} is a file"),
    ("VAULTBENCH_TOOLS", "{file}", "must be a folder, and {file} is a file"),
    ("VAULTBENCH_RESULTS", "{file}", "must be a folder, and {file} is a file"),
    ("VAULTBENCH_RESULTS", "~/results", "the shell left ~ as it is, so write the path in full"),
    ("VAULTBENCH_ENV_FILE", "{folder}", "must be a file, and it is a folder"),
    ("VAULTBENCH_ENV_FILE", "{folder}/missing/env", "must be a file in a folder that is there"),
    ("VAULTBENCH_ENV_FILE", "{file}/env", "must be a file in a folder that is there"),
]


class TestPlaces:
    @pytest.mark.parametrize(("name", "value", "why"), PLACES)
    def test_where_nothing_can_be_written_is_said_at_once(
        self, desk: Desk, tmp_path: Path, name: str, value: str, why: str
    ) -> None:
        (tmp_path / "a file").touch()
        known = {"file": str(tmp_path / "a file"), "folder": str(tmp_path)}
        word = value.format(**known)
        told = f"{name}='{word}': {why.format(**known)}"
        for command in ("up", "status", "stress", "clean"):
            done = desk.make(command, **{name: word})
            assert done.returncode != 0
            assert told in done.stderr
        with pytest.raises(EnvError) as caught:
            settings.read({name: word})
        assert caught.value.problems == [told]

    def test_new_ones_are_taken(self, desk: Desk, tmp_path: Path) -> None:
        new = {name: str(tmp_path / "new" / name) for name in settings.FOLDERS}
        assert desk.make("status", **new).returncode == 0
        assert settings.read(new).run_dir == tmp_path / "new" / "VAULTBENCH_RUN_DIR"


class TestPython:
    @pytest.mark.parametrize("program", ["ls", "true", "env"])
    def test_what_is_no_python_is_refused(self, desk: Desk, program: str) -> None:
        desk.put("true", "#!/bin/sh\n")
        said = desk.make("status", PYTHON=program).stderr
        assert f"PYTHON='{program}': must be a Python 3.11 or later" in said


class TestEnvironment:
    def test_everyday_names_do_not_count_unless_they_are_typed(self, desk: Desk) -> None:
        everyday = ("NAME", "ID", "ALL", "PROFILE", "LOG_LEVEL", "RUN", "S3_BUCKET", "CLEAN", "PYTHON")
        theirs = {**dict.fromkeys(everyday, "theirs"), "RUNTIME": "compose", "COMPOSE_PROJECT_NAME": "theirs"}
        told = environment(desk.run("make", "logs", "NAME=upload", **theirs).stdout)
        assert told["NAME"] == "upload"
        assert told["RUNTIME"] == "native"
        assert not {*everyday, "COMPOSE_PROJECT_NAME"} - {"NAME"} & told.keys()

    def test_what_python_git_and_compose_would_read_stays_outside(self, desk: Desk) -> None:
        theirs = ("PYTHONHOME", "PYTHONSAFEPATH", "GIT_DIR", "COMPOSE_FILE", "DOCKER_DEFAULT_PLATFORM")
        told = environment(desk.run("make", "status", **dict.fromkeys(theirs, "theirs")).stdout)
        assert not {*theirs} & told.keys()
        assert told["LC_ALL"] == "C", "no decimal comma, no other order of letters"

    @pytest.mark.parametrize("odd", ["a b", "it's", '"q"', "$HOME", "[x]*", "ä", "a\\b"])
    def test_a_value_comes_as_it_was_typed(self, desk: Desk, odd: str) -> None:
        assert environment(desk.make("stress", VAULTBENCH_RESULTS=odd).stdout)["VAULTBENCH_RESULTS"] == odd

    @pytest.mark.parametrize("shell", [{"CDPATH": "."}, {"CDPATH": "/tmp:/"}, {"POSIXLY_CORRECT": "1"}])
    def test_the_habits_of_a_shell_do_no_harm(self, desk: Desk, shell: dict[str, str]) -> None:
        assert "PROGRAM COMMAND" in desk.run("sh", "compose/make.sh", "--help", **shell).stdout

    def test_no_home_and_no_terminal(self, desk: Desk) -> None:
        assert "HOME" not in desk.env() and "TERM" not in desk.env()
        assert desk.make("status").returncode == 0

    def test_the_command_and_pip_get_what_is_listed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "environ", {"PATH": "/bin", "PIP_TARGET": "/x", "GOOS": "plan9", "VUS": "3"})
        os.environ["VAULTBENCH_KEPT"] = "PATH VUS HOME"
        assert bootstrap.environment() == {"PATH": "/bin", "VUS": "3", "PYTHONUTF8": "1", "PIP_USER": "0"}

    @pytest.mark.parametrize("locale", ["C", "de_DE.ISO-8859-1", "tr_TR.UTF-8"])
    def test_texts_are_utf8_in_every_locale(self, locale: str) -> None:
        program = "import sys, locale; print(sys.stdout.encoding, locale.getpreferredencoding(), 'I'.lower())"
        environ = {**bootstrap.environment(), "LC_ALL": locale}
        said = subprocess.check_output([sys.executable, "-c", program], env=environ, text=True)
        assert said.split() == ["utf-8", "utf-8", "i"]

    def test_the_lists_name_each_variable_once(self) -> None:
        for name in ("words.list", "inherited.list", "run_folder.list"):
            lines = (ROOT / "compose" / name).read_text(encoding="utf-8").splitlines()
            names = [line.split()[0] for line in lines if line and not line.startswith("#")]
            assert len(names) == len(set(names)), name
        assert not {
            name for name in inherited() & takers().keys() if not name.startswith(("VAULTBENCH_", "DOCKER_"))
        }

    def test_git_gives_shell_scripts_unix_line_ends(self, tmp_path: Path) -> None:
        named = subprocess.check_output(
            ["git", "check-attr", "eol", "--", "compose/make.sh", "Makefile", "compose/ports.env"],
            cwd=ROOT,
            text=True,
        )
        assert re.findall(r"eol: (\w+)", named) == ["lf"] * 3


class TestVirtualEnvironment:
    def test_one_that_somebody_else_made_is_left_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        venv = tmp_path / ".venv"
        venv.mkdir()
        (venv / "theirs").touch()
        monkeypatch.setattr(bootstrap, "VENV", venv)
        monkeypatch.setattr(bootstrap, "MARKER", venv / "vaultbench.json")
        monkeypatch.setattr(bootstrap, "LOG", tmp_path / "log")
        python = bootstrap.Found(True, True, (3, 12, 0), "/bin/false", "3.12 /python")
        with pytest.raises(SystemExit, match="was made by somebody else"):
            bootstrap.install("bench", python)
        assert (venv / "theirs").exists()

    def test_a_checkout_that_cannot_be_written_to_has_it_in_the_cache(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bootstrap, "ROOT", tmp_path / "gone")
        monkeypatch.setenv("VAULTBENCH_TOOLS", str(tmp_path / "tools"))
        assert bootstrap.place().parent == tmp_path / "tools" / "vaultbench-environments"
        monkeypatch.delenv("VAULTBENCH_TOOLS")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.delenv("HOME")
        assert bootstrap.place().is_relative_to("/var/tmp")

    def test_an_interrupted_one_is_known_as_ours(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        venv = tmp_path / ".venv"
        monkeypatch.setattr(bootstrap, "VENV", venv)
        monkeypatch.setattr(bootstrap, "MARKER", venv / "vaultbench.json")
        monkeypatch.setattr(bootstrap, "LOG", tmp_path / "log")
        python = bootstrap.Found(True, True, (3, 12, 0), "/bin/false", "3.12 /python")
        for _ in range(2):
            with pytest.raises(SystemExit, match="The next make continues"):
                bootstrap.install("bench", python)
        assert json.loads((venv / "vaultbench.json").read_text()) == {}
