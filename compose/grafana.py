"""Somebody's own Grafana beside the testbed: nothing installs one, `GRAFANA_HOME` names where it is.

Its own files stay as they are. It gets a home in the run folder that links to them, and one folder more: the
runs, served as `/public/results`, so that dashboards can link to the report of a run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PART = "grafana"
VERSION_TIMEOUT_S = 20


def program(home: str) -> Path:
    """Where the server of an unpacked Grafana is."""
    return Path(home) / "bin" / "grafana"


def problems(environ: Mapping[str, str]) -> list[str]:
    """What is wrong with GRAFANA_HOME, if it is set."""
    home = environ.get("GRAFANA_HOME", "")
    if not home:
        return []
    lacking = [
        name for name in ("bin/grafana", "conf/defaults.ini", "public") if not (Path(home) / name).exists()
    ]
    return [f"GRAFANA_HOME={home!r}: must be an unpacked Grafana; it has no {name}" for name in lacking]


def prepare(run_dir: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The variables of the part; its home is made new each time, because it only holds links."""
    if not env.get("GRAFANA_HOME"):
        return {}
    home = run_dir / "grafana" / "home"
    shutil.rmtree(home, ignore_errors=True)
    (home / "public").mkdir(parents=True)
    _link_all(Path(env["GRAFANA_HOME"]), home)
    _link_all(Path(env["GRAFANA_HOME"]) / "public", home / "public")
    runs = Path(env.get("VAULTBENCH_RESULTS") or ROOT / "results").absolute()
    (home / "public" / "results").symlink_to(runs)
    return {"GRAFANA_BIN": str(program(env["GRAFANA_HOME"])), "GRAFANA_VERSION": version(env["GRAFANA_HOME"])}


def _link_all(source: Path, target: Path) -> None:
    for path in source.absolute().iterdir():
        if not (target / path.name).exists():
            (target / path.name).symlink_to(path)


def version(home: str) -> str:
    """As it says itself: `grafana version 13.2.3`."""
    told = subprocess.run(
        [program(home), "--version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False
    )
    found = re.search(r"\d+\.\d+\.\d+", told.stdout)
    return found[0] if found else "unknown"
