"""Starting a detached supervisor for a run folder, and ending one, whatever state it is in."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from compose import control, part, process
from compose.part import Part

ROOT = Path(__file__).resolve().parent.parent
LAUNCH_TIMEOUT_S, STOP_TIMEOUT_S, KILL_TIMEOUT_S, POLL_S = 10.0, 90.0, 10.0, 0.05
LOG_BYTES_MAX = 64 << 20


class LifeError(Exception):
    """The supervisor did not start or did not end."""


def read_state(run_dir: Path) -> dict[str, Any]:
    """`state.json` of a run folder, or {}. What it says may be old: see `locked`."""
    try:
        state: dict[str, Any] = json.loads((run_dir / "state.json").read_text())
    except (OSError, ValueError):
        return {}
    return state


def locked(run_dir: Path) -> bool:
    """Whether a supervisor holds the run folder."""
    return held(run_dir / "lock")


def held(path: Path) -> bool:
    """Whether a living process holds this lock file."""
    try:
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def launch(run_dir: Path, parts: Sequence[Part], *, tied: bool = False) -> None:
    """Starts a detached supervisor; returns when it answers. It outlives us and our terminal.

    With `tied` it stops everything when the calling thread ends, however that ends (Linux).
    """
    end_leftovers(run_dir)
    (run_dir / "state.json").unlink(missing_ok=True)
    (run_dir / "logs").mkdir(exist_ok=True)
    _shorten_logs(run_dir / "logs")
    with (run_dir / "logs" / "supervisor.log").open("ab") as log:
        child = subprocess.Popen(
            [*_tie(tied), sys.executable, "-m", "compose.supervisor", str(run_dir)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            start_new_session=True,
        )
    if child.stdin:
        with child.stdin as pipe:
            pipe.write(part.dump(parts).encode())

    def settled() -> bool:
        return child.poll() is not None or ((run_dir / "state.json").exists() and answers(run_dir))

    if not _within(LAUNCH_TIMEOUT_S, settled) or child.poll() is not None:
        lines = control.last_lines(run_dir, "supervisor")
        raise LifeError("the supervisor did not start:\n" + "\n".join(lines))
    child.returncode = 0  # it is not ours to wait for: it outlives this process


def _tie(tied: bool) -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if tied and setpriv else []


def answers(run_dir: Path) -> bool:
    """Whether the supervisor of a run folder answers on its socket."""
    try:
        control.call(run_dir, "status", timeout_s=2)
    except control.ControlError:
        return False
    return True


def stop(run_dir: Path) -> bool:
    """Ends a testbed: asked, then told, then forced. False when there was nothing to end."""
    state, was_running = read_state(run_dir), locked(run_dir)
    if was_running:
        try:
            control.call(run_dir, "shutdown", timeout_s=5)
        except control.ControlError:
            _signal(state.get("supervisor_pid", 0), state.get("supervisor_start_ticks", 0), signal.SIGTERM)
        if not _within(STOP_TIMEOUT_S, lambda: not locked(run_dir)):
            _signal(state.get("supervisor_pid", 0), state.get("supervisor_start_ticks", 0), signal.SIGKILL)
            if not _within(KILL_TIMEOUT_S, lambda: not locked(run_dir)):
                raise LifeError(
                    f"the supervisor in {run_dir} does not end; see {run_dir}/logs/supervisor.log"
                )
    return end_leftovers(run_dir) > 0 or was_running


def end_leftovers(run_dir: Path) -> int:
    """Kills processes recorded in the state of a supervisor that is gone; how many there were."""
    rows = read_state(run_dir).get("parts", {}).values()
    left = [(row["pid"], row["start_ticks"]) for row in rows if row["pid"]]
    left = [(pid, ticks) for pid, ticks in left if process.alive(pid, ticks)]
    for pid, ticks in left:
        _signal(pid, ticks, signal.SIGKILL)
    if not _within(KILL_TIMEOUT_S, lambda: not any(process.alive(*one) for one in left)):
        raise LifeError(f"processes of {run_dir} cannot be ended: {[pid for pid, _ in left]}")
    return len(left)


def _signal(pid: int, ticks: int, number: signal.Signals) -> None:
    if pid and process.alive(pid, ticks):
        process.signal_tree(pid, number)


def _within(timeout_s: float, holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + timeout_s
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(POLL_S)
    return held


def _shorten_logs(folder: Path) -> None:
    """Puts aside what a long life has left; one older file of each is kept."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_suffix(".log.1"))
