"""How long a part is missed that is killed or stands still: until whoever needs it is served again.

Small uploads begin at that moment, several because processes of one service take turns; they are judged
like the others. Only logins need auth and its database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from loadtests.harness.clients.users import Identity, SignupFailed, log_in
from tests.chaos.client import PATIENCE_S, PAUSE_S, Sender
from tests.chaos.plan import Fault, Strategy, Upload

AT_ONCE = 4
SIZE_BYTES = 1_000
NEEDED_BY_LOGINS = frozenset({"auth", "auth-2", "pg-auth"})


@dataclass(slots=True)
class Probes:
    """The probes of one case, sent under ``identity``."""

    http: aiohttp.ClientSession
    gateway: str
    identity: Identity
    ref: str
    senders: list[Sender] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _tasks: dict[str, list[asyncio.Task[float]]] = field(default_factory=dict)

    def begin(self, fault: Fault, struck_at: float) -> None:
        """``struck_at`` is of the monotonic clock."""
        logins = NEEDED_BY_LOGINS.issuperset(fault.targets)
        for _ in range(AT_ONCE):
            work = self._log_in if logins else self._new_sender().run
            task = asyncio.create_task(_seconds(work, struck_at))
            self._tasks.setdefault(struck(fault), []).append(task)

    async def ended(self) -> dict[str, float]:
        """Seconds until all probes of a fault were served, by ``struck``."""
        return {name: max(await asyncio.gather(*tasks)) for name, tasks in self._tasks.items()}

    def _new_sender(self) -> Sender:
        number = len(self.senders)
        sender = Sender(self.http, self.gateway, self.identity, f"{self.ref}.p{number}", _plan(number), _step)
        self.senders.append(sender)
        return sender

    async def _log_in(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                await log_in(self.http, self.gateway, self.identity)
            except (SignupFailed, aiohttp.ClientError, TimeoutError, OSError) as refusal:
                if time.monotonic() > end:
                    self.wrong.append(f"no login within {PATIENCE_S:.0f} s: {refusal}")
                    return
                await asyncio.sleep(PAUSE_S)
            else:
                return


def struck(fault: Fault) -> str:
    """What was done to what, for a person."""
    return f"{fault.kind} {'+'.join(fault.targets)}"


async def _seconds(work: Callable[[], Awaitable[None]], since: float) -> float:
    await work()
    return time.monotonic() - since


async def _step() -> None:
    """Probes are no progress of the case."""


def _plan(number: int) -> Upload:
    return Upload(
        strategy=Strategy.PROXY,
        name="probe.bin",
        slices=(SIZE_BYTES,),
        order=(0,),
        again=(),
        broken=(),
        replaced=None,
        checksums=True,
        twice=False,
        afterwards=False,
        at_once=1,
        stops_after=None,
        aborts=False,
        pause_s=0.0,
        mode="streamed",
        seed=number,
    )
