"""What every command does around its work: find the system, hold the lock, take Ctrl-C, leave cleanly."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from rich.console import Console

from loadtests.harness.records.bundle import MANIFEST, PLAN, BundleError
from loadtests.harness.running.rig import Rig
from loadtests.harness.testbeds.system import ROOT

LOCK = "harness.lock"
# Into a container one Ctrl-C may come twice: each program on the way hands on the signal it got itself.
SAME_KEY_S = 1.0


class AlreadyRunning(Exception):
    """Another command of the harness uses the same system."""


def run_id(question: str, profile: str, now: float | None = None) -> str:
    """``YYYYmmdd-HHMMSS-<question>-<profile>``, in local time."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    return f"{stamp}-{question.lower().replace('-', '')}-{profile}"


def results_folder(environ: Mapping[str, str]) -> Path:
    """Where bundles go: ``results`` in the checkout, or ``VAULTBENCH_RESULTS``."""
    return Path(environ.get("VAULTBENCH_RESULTS") or ROOT / "results").absolute()


def find_bundle(run: str | None, environ: Mapping[str, str]) -> Path:
    """The bundle of a run id or folder, or the newest one. Raises ``BundleError``."""
    results = results_folder(environ)
    if run:
        found = next((path for path in (Path(run), results / run) if path.is_dir()), None)
        if found is None:
            raise BundleError(f"there is no run {run} in {results}")
        if not any((found / name).exists() for name in (MANIFEST, PLAN)):
            raise BundleError(f"{found} is no run: it holds neither {MANIFEST} nor {PLAN}")
        return found
    bundles = by_start(results)
    if not bundles:
        raise BundleError(f"there is no run in {results} yet. Make one with: make stress")
    return bundles[-1]


def by_start(results: Path) -> list[Path]:
    """All bundles, the newest last. Names are in local time, which an hour of autumn has twice."""
    return sorted((path.parent for path in results.glob(f"*/{MANIFEST}")), key=_started)


def _started(bundle: Path) -> tuple[float, str]:
    try:
        return float(json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))["started_at"]), bundle.name
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0, bundle.name  # of another version; whoever opens it says so


@contextmanager
def only_one(run_dir: Path) -> Iterator[None]:
    """Hold the harness's lock on a system. Raises ``AlreadyRunning``: two loads would spoil each other."""
    with (run_dir / LOCK).open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                "Another run is using this system. Wait for it, or stop it with Ctrl-C."
            ) from None
        file.write(str(os.getpid()))
        file.flush()
        yield


@asynccontextmanager
async def interruptible(rig: Rig, console: Console) -> AsyncIterator[None]:
    """The first Ctrl-C asks the run to end in order; a second one ends it at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    first_at: float | None = None

    def on_signal() -> None:
        nonlocal first_at
        if first_at is not None:
            if task is not None and loop.time() - first_at > SAME_KEY_S:
                task.cancel()
            return
        first_at = loop.time()
        rig.event("interrupt")
        rig.interrupted = True
        rig.stop.set()
        console.print(
            "\nStopping: uploads under way may finish, then the audit runs. Ctrl-C again to give up."
        )

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
