"""The life of one supervised part: wait for its dependencies, start, probe, start again, stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compose import process
from compose.control import last_lines
from compose.part import Part
from compose.probes import answers

PROBE_EVERY_S, LIVE_EVERY_S = 0.05, 5.0
BACKOFF_FIRST_S, BACKOFF_LAST_S = 0.2, 5.0
DEATHS_MAX, DEATHS_WINDOW_S = 5, 60.0  # more in a minute and we give up
UP = ("healthy", "unhealthy", "paused", "done")
NOT_AGAIN = 78  # EX_CONFIG: the process says that another start would end the same way
LOST = ("given-up", "failed", "not-started")
ENDED = (*LOST, "stopped", "done")


class Board:
    """Wakes everybody who waits for some state whenever any state changes."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def bump(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._event.wait()

    async def changed(self) -> None:
        await self._event.wait()


@dataclass(frozen=True, slots=True)
class Site:
    """What all units of a supervisor share. `guard` is put before every command."""

    run_dir: Path
    guard: tuple[str, ...]
    board: Board
    units: dict[str, Unit]


class Unit:
    """One part and whatever process runs for it now."""

    def __init__(self, spec: Part, site: Site) -> None:
        self.spec, self.site, self.lock = spec, site, asyncio.Lock()
        self.state, self.detail = "waiting", ""
        self.override: Mapping[str, str] = {}
        self.restarts, self.healthy_after_s, self.started_at = 0, 0.0, ""
        self._proc: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._deaths: deque[float] = deque(maxlen=DEATHS_MAX)
        self._begun, self._ticks = 0.0, 0
        self._wanted, self._forgiven, self._proven = True, False, False

    @property
    def pid(self) -> int:
        """Process id while it runs, else 0."""
        return self._proc.pid if self._proc and self._proc.returncode is None else 0

    @property
    def depth(self) -> int:
        """Length of the longest chain of parts that this one comes after."""
        return max((self.site.units[name].depth + 1 for name in self.spec.after), default=0)

    def reached(self, need: str) -> bool:
        """Whether a part that waits for `started`, `healthy` or `done` may go on."""
        started = self.state in UP or self.state == "starting"
        return {"started": started, "healthy": self.state in UP}.get(need, self.state == "done")

    def launch(self) -> None:
        """Wants the part to run from now on."""
        self._wanted, self._forgiven = True, False
        self._deaths.clear()
        self._turn("waiting")
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Its own stop signal, its grace, then SIGKILL to all that is left of it."""
        self._wanted = False
        if self._proc and self.pid:
            paused = self.state == "paused"
            self._turn("stopping")
            if paused:
                process.signal_tree(self.pid, signal.SIGCONT)
            self._proc.send_signal(signal.Signals[self.spec.stop_signal])
            try:
                await asyncio.wait_for(self._proc.wait(), self.spec.grace_s)
            except TimeoutError:
                process.signal_tree(self.pid, signal.SIGKILL)
        elif self._task:
            self._task.cancel()  # it waits for a dependency or sits out its back-off
        if self._task:
            await asyncio.gather(self._task, return_exceptions=True)
        self._turn("stopped")

    def kill(self) -> None:
        """SIGKILL from outside: a death that does not count against the part."""
        self._forgiven = True
        process.signal_tree(self.pid, signal.SIGKILL)

    def pause(self) -> None:
        """Stops the clock of the process and its descendants (SIGSTOP)."""
        process.signal_tree(self.pid, signal.SIGSTOP)
        self._turn("paused")

    def resume(self) -> None:
        """Ends `pause`."""
        process.signal_tree(self.pid, signal.SIGCONT)
        self._turn("healthy" if self._proven else "starting")

    async def _keep(self) -> None:
        """Starts the part when its turn has come and again whenever it dies, until nobody wants it."""
        if not await self._dependencies():
            return
        while self._wanted:
            try:
                code = await self._once()
            except OSError as exc:  # no such program or no permission: trying again cannot help
                self._turn("failed", str(exc))
                return
            if self._wanted and self.spec.oneshot and code == 0:
                self._turn("done")
                return
            if self._wanted and not await self._again(code):
                return

    async def _dependencies(self) -> bool:
        for name, need in self.spec.after.items():
            other = self.site.units[name]

            def settled(other: Unit = other, need: str = need) -> bool:
                return other.reached(need) or other.state in ENDED

            await self.site.board.until(settled)
            if not other.reached(need):
                self._turn("not-started", f"{name}: {other.state}")
                return False
        return True

    async def _once(self) -> int:
        """One process from start to end; its exit code."""
        self._proc = await self._spawn()
        self._begun, self._ticks = asyncio.get_running_loop().time(), process.start_ticks(self._proc.pid)
        self.started_at, self.healthy_after_s = datetime.now(UTC).isoformat(), 0.0
        self._proven = False
        self._turn("starting")
        watch = asyncio.create_task(self._watch())
        try:
            return await self._proc.wait()
        finally:
            watch.cancel()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._proc.pid, signal.SIGKILL)  # children that outlived it

    async def _spawn(self) -> asyncio.subprocess.Process:
        spec, account = self.spec, pwd.getpwnam(self.spec.user) if self.spec.user else None
        identity: dict[str, Any] = {}
        if account:
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        with (self.site.run_dir / "logs" / f"{spec.name}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self.site.guard,
                *spec.command,
                env={**spec.env, **self.override},
                cwd=spec.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **identity,
            )

    async def _watch(self) -> None:
        """Probes until healthy, then now and then: later failures are shown, never acted upon.

        One late answer of a busy machine says nothing about the part, so it takes several. That a process
        ended is seen without any probe.
        """
        while self.spec.ready and not await answers(self.spec.ready):  # noqa: ASYNC110  (a probe, no event)
            await asyncio.sleep(PROBE_EVERY_S)
        if self.spec.oneshot:
            return
        self.healthy_after_s = round(asyncio.get_running_loop().time() - self._begun, 3)
        self._proven = True
        if self.state == "starting":  # not while paused
            self._turn("healthy")
        bad = 0
        while probe := self.spec.live or self.spec.ready:
            await asyncio.sleep(LIVE_EVERY_S)
            well = await answers(probe)
            judged = self.state in ("healthy", "unhealthy")
            bad = bad + 1 if judged and not well else 0
            if judged and (well or bad >= probe.retries):
                self._turn("healthy" if well else "unhealthy")

    async def _again(self, code: int) -> bool:
        """Whether a part that ended by itself is to be started again; sits out the back-off."""
        if code == NOT_AGAIN:
            self._turn("failed", " ".join(last_lines(self.site.run_dir, self.spec.name, 1)))
            return False
        if self.spec.restart == "never":
            self._turn("failed", f"exit {code}")
            return False
        now, forgiven, self._forgiven = asyncio.get_running_loop().time(), self._forgiven, False
        if not forgiven:
            self._deaths.append(now)
        recent = sum(now - at < DEATHS_WINDOW_S for at in self._deaths)
        if recent >= DEATHS_MAX:
            self._turn("given-up", f"{recent} deaths in a minute, exit {code}")
            return False
        self.restarts += 1
        self._turn("restarting", f"exit {code}")
        await asyncio.sleep(min(BACKOFF_FIRST_S * 2 ** max(recent - 1, 0), BACKOFF_LAST_S))
        return True

    def _turn(self, state: str, detail: str = "") -> None:
        if (state, detail) != (self.state, self.detail):
            self.state, self.detail = state, detail
            line = f"{datetime.now(UTC).isoformat()} {self.spec.name} {state} {detail}".rstrip()
            with contextlib.suppress(OSError):  # a full disk under our own log ends nobody
                print(line, flush=True)
            self.site.board.bump()

    def row(self) -> dict[str, Any]:
        """This part's entry in `state.json`; sizes in bytes, times in seconds."""
        pid = self.pid
        return {
            "state": self.state,
            "detail": self.detail,
            "pid": pid,
            "start_ticks": self._ticks if pid else 0,
            "port": self.spec.ports[0] if self.spec.ports else 0,
            "started_at": self.started_at,
            "healthy_after_s": self.healthy_after_s,
            "restarts": self.restarts,
            "rss_bytes": process.rss_bytes(pid) if pid else 0,
            "version": self.spec.version,
            "overrides": sorted(self.override),
            "last_lines": last_lines(self.site.run_dir, self.spec.name) if self.state in LOST else [],
        }
