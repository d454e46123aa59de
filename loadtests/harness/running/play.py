"""One stretch after another: released, looked at, waited for, recorded."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from loadtests.harness.background import beside, tasks
from loadtests.harness.k6.tally import Ack, Failure, Tally, rates_per_s
from loadtests.harness.load import REQUEST_LIMIT_S, Load
from loadtests.harness.metrics import strangers
from loadtests.harness.metrics.scraping import scrape
from loadtests.harness.order import in_turns
from loadtests.harness.periods import TOO_MANY
from loadtests.harness.plan import room
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.records.plan import Part, Stretch
from loadtests.harness.records.samples import Look, Warn
from loadtests.harness.records.vocabulary import Severity
from loadtests.harness.running.books import Books
from loadtests.harness.running.progress import Progress
from loadtests.harness.running.rig import Rig
from loadtests.harness.watch import Watcher
from loadtests.harness.wording import listed

IDLE_LIMIT_S = REQUEST_LIMIT_S + 30.0  # what was begun may take one whole request more
PROBE_LIMIT_S = 600.0

Meanwhile = Callable[[Stretch], Coroutine[Any, Any, None]]


async def nothing_else(_: Stretch) -> None:
    """Nothing happens beside the load."""


@dataclass(slots=True)
class Player:
    """Plays stretches on one load."""

    rig: Rig
    load: Load
    books: Books
    watcher: Watcher
    writer: BundleWriter
    progress: Progress
    tally: Tally
    login_each: bool = False
    looks: list[Look] = field(default_factory=list)  # since whoever wants them took them
    # By stretch since whoever wants them took them: what failed where nothing succeeded, else nothing.
    in_vain: dict[str, Counter[Failure]] = field(default_factory=dict)
    _stretches: int = 0
    _sent: strangers.Sent | None = None  # reads on where it stopped

    async def play(
        self,
        part: Part,
        blocks: Sequence[tuple[str, ...]],
        *,
        first_block: int,
        period_s: float,
        washout_s: float,
        lead_in_s: float = 0.0,
        instance: int = 0,
        meanwhile: Meanwhile = nothing_else,
    ) -> tuple[Stretch, list[float]]:
        """Play whole blocks without a pause. Returns the stretch and the acknowledged uploads per second in
        the counted part of each period. An interrupt cuts it. ``meanwhile`` begins with the load and is
        waited for."""
        await self.books.stock(part)
        await self.books.begin()
        order, numbers = in_turns(blocks, first_block)
        async with self._alone():
            stretch = Stretch(
                stretch=self._name(),
                part=part.name,
                t0=time.time() + self.load.lead_s(part.arms) + lead_in_s,
                lead_in_s=lead_in_s,
                period_s=period_s,
                washout_s=washout_s,
                order=order,
                blocks=numbers,
                instance=instance,
            )
            number = await self._release(stretch, part)
            self.progress.playing(stretch, number)
            with self.rig.activity.stretch(stretch):
                async with tasks(meanwhile(stretch)) as (other,):
                    stretch = await self._watched(stretch, part)
                    await other
        await self._ended(stretch)
        acks = self.tally.read(number)
        rates = rates_per_s(stretch, [arm.name for arm in part.arms], acks)
        self.progress.played(stretch, rates)
        failures = self.tally.failures[number]
        # Of a rate limiter that lets nobody in a run finds out; that is no fault.
        faults = any(failure.status != TOO_MANY for failure in failures)
        self.in_vain[stretch.stretch] = failures if faults and not acks else Counter()
        return stretch, rates

    async def _watched(self, stretch: Stretch, part: Part) -> Stretch:
        """Look at a stretch until every VU is idle; the stretch as it was in the end."""
        watching = asyncio.create_task(self.watcher.watch(stretch))
        pages = {name: list(hold.admin_urls.values()) for name, hold in self.rig.holds.items()}
        try:
            async with beside(scrape(self.rig.http, stretch, part, pages)):
                if await self._interrupted(self.load.alive_until(watching)):
                    stretch = await self._cut(stretch)
                await self.load.idle(IDLE_LIMIT_S)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            looks = self.watcher.take()
            self.writer.append_looks(looks)
            self.looks += looks
        return stretch

    async def probe(self, part: Part, arm_name: str, uploads: int) -> list[Ack]:
        """Let each VU of one arm send a few files one after the other; returns what was acknowledged."""
        one = part.model_copy(update={"arms": (part.arm(arm_name),)})
        await self.books.stock(one)
        await self.books.begin()
        began = time.monotonic()
        stretch = Stretch(
            stretch=self._name(), part=part.name, t0=time.time(), period_s=PROBE_LIMIT_S, order=(arm_name,),
            blocks=(0,),
        )  # fmt: skip
        number = await self._release(stretch, one, uploads=uploads)
        if await self._interrupted(self.load.idle(PROBE_LIMIT_S)):
            stretch = await self._cut(stretch)
            await self.load.idle(IDLE_LIMIT_S)
        stretch = stretch.model_copy(update={"period_s": time.monotonic() - began})
        self.writer.append_stretch(stretch)
        await self._ended(stretch)
        return self.tally.read(number)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """While this lasts, traffic that is not ours ends the run in order."""
        # Nobody counts for us what another implementation is asked.
        gateways = {name: hold.gateways for name, hold in self.rig.holds.items() if hold.gateways}
        if self._sent is None:
            self._sent = strangers.Sent(self.load.files.console, self.books.played)
        look = partial(strangers.ask_gateways, self.rig.http, gateways)
        async with strangers.watching_for_strangers(look, self._sent.read, self._foreign):
            yield

    def _foreign(self, said: str) -> None:
        """Requests that nobody wrote down were somebody else's, unless our own records have no room any more:
        then raises ``OSError``, and nobody is accused."""
        try:
            room.prove_writable(self.load.files.console.parent)
        except OSError:
            self.rig.stop.set()
            raise
        self.books.warnings.append(strangers.warning(said))
        self.rig.event("foreign-traffic", said=said)
        self.progress.say(said)
        self.rig.stop.set()

    def give_up(self, part: Part, failed: Mapping[str, Counter[Failure]]) -> None:
        """Nothing can be compared any more after these stretches, so the run ends in order."""
        failures = sum(failed.values(), Counter[Failure]())
        (what, times), *_ = failures.most_common(1)
        said = (
            f"All {failures.total()} transfers of {listed(list(failed))} failed, {times} of them so: {what}"
        )
        warning = Warn(
            code="all-failed", severity=Severity.INVALID, message=said, metric="share of failed in a stretch",
            value=1.0, limit=1.0, part=part.name,
            advice="make status says what is wrong with the system, and how full its disk is",
        )  # fmt: skip
        self.books.warnings.append(warning)
        self.rig.event("all-failed", said=said)
        self.progress.say(said)
        self.rig.stop.set()

    async def _release(self, stretch: Stretch, part: Part, *, uploads: int = 0) -> int:
        holds = self.rig.holds
        self.writer.append_stretch(stretch)
        self.books.play(self.load.control.number + 1, stretch, part)
        self.rig.event("stretch-start", stretch=stretch.stretch, part=part.name)
        await self.load.release(
            stretch,
            part,
            gateways={name: hold.gateway_url for name, hold in holds.items()},
            identities={name: hold.identities for name, hold in holds.items()},
            login_each=self.login_each,
            uploads=uploads,
            stocked=self.books.stocked,
        )
        return self.load.control.number

    async def _cut(self, stretch: Stretch) -> Stretch:
        """No upload begins any more; what was begun ends."""
        self.load.control.cut()
        cut = stretch.model_copy(update={"cut_at": self.rig.now()})
        self.writer.append_stretch(cut)
        return cut

    async def _ended(self, stretch: Stretch) -> None:
        await self.books.end(stretch)
        self.rig.event("stretch-end", stretch=stretch.stretch)
        self.writer.append_events(self.rig.take_events())

    async def _interrupted(self, work: Coroutine[Any, Any, None]) -> bool:
        """Wait for some work, or for an interrupt, which leaves it."""
        async with tasks(work, self.rig.stop.wait()) as (wanted, stopped):
            await asyncio.wait({wanted, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if wanted.done():
                wanted.result()
            return not wanted.done()

    def _name(self) -> str:
        self._stretches += 1
        return f"s{self._stretches:03d}"
