"""Starts processes in order, watches them, starts them again when they die, and leaves none behind.

`python -m compose.supervisor RUN_DIR < parts.json` runs until SIGTERM or the control operation
`shutdown`. In RUN_DIR it holds `lock` (flock: one supervisor per folder), appends one file per part to
`logs/`, keeps `state.json` (replaced atomically) and listens on `ctl.sock`. The parts come through
standard input because their environment holds secrets.

Every child is started from the main thread behind `setpriv --pdeathsig KILL`: should this process be
killed, the kernel ends the children. That signal belongs to the thread that forked, not to the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compose import control, part, process
from compose.unit import ENDED, Board, Site, Unit

STATE_EVERY_S, STATE_SETTLE_S = 2.0, 0.02
PR_SET_CHILD_SUBREAPER = 36
EXIT_LOCKED = 3


class Supervisor:
    """All parts of one run folder. `digest` names the set of parts it was started with."""

    def __init__(self, run_dir: Path, parts: Sequence[part.Part], digest: str) -> None:
        setpriv = shutil.which("setpriv")
        guard = (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()
        self._site = Site(run_dir, guard, Board(), {})
        self._site.units.update({spec.name: Unit(spec, self._site) for spec in parts})
        self._digest, self._over, self._zombies = digest, asyncio.Event(), set[int]()

    async def run(self) -> None:
        """Runs everything until `shutdown` or a signal, then stops everything."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._over.set)
        async with control.serve(self._site.run_dir, self.operate):
            for unit in self._site.units.values():
                unit.launch()
            state = asyncio.create_task(self._keep_state())
            await self._over.wait()
            await self._stop_all()
            state.cancel()
            self._write_state()

    async def operate(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One control operation; `KeyError` and `ValueError` become an answer with `error`."""
        operation = request["op"]
        if operation == "status":
            return self.snapshot()
        if operation == "shutdown":
            self._over.set()
            return {"pid": os.getpid()}
        unit = self._site.units[request["part"]]
        if operation in ("restart", "stop"):
            async with unit.lock:
                return await self._replace(unit, operation, request.get("env") or {})
        signals = {"kill": unit.kill, "pause": unit.pause, "resume": unit.resume}
        if not unit.pid:
            raise ValueError(f"{unit.spec.name} does not run ({unit.state})")
        signals[operation]()
        return {"part": unit.row()}

    async def _replace(self, unit: Unit, operation: str, env: Mapping[str, str]) -> dict[str, Any]:
        await unit.stop()
        if operation == "stop" or self._over.is_set():
            return {"part": unit.row()}
        unit.override = {str(key): str(value) for key, value in env.items()}
        unit.launch()
        await self._site.board.until(lambda: unit.reached("healthy") or unit.state in ENDED)
        if not unit.reached("healthy"):
            raise ValueError(f"{unit.spec.name} {unit.state}: {unit.detail}")
        return {"part": unit.row()}

    async def _stop_all(self) -> None:
        """Those that nothing comes after first; the same depth at once."""
        units = self._site.units.values()
        for depth in sorted({unit.depth for unit in units}, reverse=True):
            await asyncio.gather(*(unit.stop() for unit in units if unit.depth == depth))
        for pid in process.tree(os.getpid())[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def snapshot(self) -> dict[str, Any]:
        """The content of `state.json`."""
        return {
            "supervisor_pid": os.getpid(),
            "supervisor_start_ticks": process.start_ticks(os.getpid()),
            "digest": self._digest,
            "parts": {name: unit.row() for name, unit in self._site.units.items()},
        }

    async def _keep_state(self) -> None:
        while True:
            self._write_state()
            self._collect_orphans()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._site.board.changed(), STATE_EVERY_S)
            await asyncio.sleep(STATE_SETTLE_S)  # a burst of changes is one write

    def _write_state(self) -> None:
        """Keeps the older one where the disk is full: what runs goes on, and the socket knows better."""
        path = self._site.run_dir / "state.json"
        beside = path.with_suffix(".tmp")
        with contextlib.suppress(OSError):
            beside.write_text(json.dumps(self.snapshot(), indent=1))
            beside.replace(path)

    def _collect_orphans(self) -> None:
        """Collects dead grandchildren that became ours; what was dead at the last look already is
        nobody else's (asyncio collects its own children within milliseconds)."""
        dead = {pid for pid in process.children(os.getpid()) if not process.alive(pid)}
        for pid in dead & self._zombies:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._zombies = dead


def main() -> int:
    """Process edge: lock, read the parts, run."""
    run_dir, text = Path(sys.argv[1]).absolute(), sys.stdin.read()
    (run_dir / "logs").mkdir(parents=True, exist_ok=True)
    lock = (run_dir / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another supervisor runs in {run_dir}")
        return EXIT_LOCKED
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process.raise_open_files()  # of all parts: they inherit it
    digest = hashlib.sha256(text.encode()).hexdigest()
    asyncio.run(Supervisor(run_dir, part.load(text), digest).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
