"""A program that is built behind a running testbed: started, remembered in the run folder, ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compose import process

ROOT = Path(__file__).resolve().parent.parent
FILE = "behind.json"
END_TIMEOUT_S, POLL_S = 20.0, 0.05


def start(run_dir: Path, name: str) -> Path:
    """Builds a program in a process of its own that outlives us, unless one is at it; its log."""
    log = run_dir / "logs" / f"{name}.log"
    if _alive(_recorded(run_dir)):
        return log
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "compose", "tools", name],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    record = {"name": name, "pid": child.pid, "start_ticks": process.start_ticks(child.pid)}
    (run_dir / FILE).write_text(json.dumps(record))
    child.returncode = 0  # it is not ours to wait for: it outlives this process
    return log


def end(run_dir: Path) -> str:
    """Ends the build; the program's name, or "" when none was being built.

    It is asked first, for it removes what is half made; whoever does not listen is killed with its children.
    """
    record = _recorded(run_dir)
    running = _alive(record)
    if running:
        with contextlib.suppress(ProcessLookupError):  # it has just come to its end
            os.kill(record["pid"], signal.SIGTERM)
        limit = time.monotonic() + END_TIMEOUT_S
        while _alive(record) and time.monotonic() < limit:
            time.sleep(POLL_S)
        if _alive(record):
            process.signal_tree(record["pid"], signal.SIGKILL)
    (run_dir / FILE).unlink(missing_ok=True)
    return str(record["name"]) if running else ""


def _recorded(run_dir: Path) -> Mapping[str, Any]:
    try:
        record: dict[str, Any] = json.loads((run_dir / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return record


def _alive(record: Mapping[str, Any]) -> bool:
    return bool(record) and process.alive(record["pid"], record["start_ticks"])
