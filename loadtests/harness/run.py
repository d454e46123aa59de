"""A whole run: warm-up, then part by part, everything into the bundle as it happens.

Data goes one way: stretches are played and looked at, audits turn them into samples in the bundle, and what
is asked about the bundle (how many blocks, what is the answer) is asked of functions that read it.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean, median

from loadtests.harness.analysis.figures import Figures
from loadtests.harness.k6.rows import Kind, Rows
from loadtests.harness.k6.tally import Tally
from loadtests.harness.load import Files, LoadFailed, Workers, open_load, to_prometheus
from loadtests.harness.order import blocks_of, places_moved, turns_per_block
from loadtests.harness.plan import room, warm_up
from loadtests.harness.plan.pace import HEADROOM, Pace
from loadtests.harness.plan.planning import CALIBRATION_S, MAKING_S, RELEASE_S, SETTLING_S
from loadtests.harness.records.bundle import Bundle, BundleWriter
from loadtests.harness.records.plan import Part, PartKind, Plan, Stretch
from loadtests.harness.records.samples import Manifest, UploadSample, Warn
from loadtests.harness.running.books import Books
from loadtests.harness.running.ceiling import measure_ceilings
from loadtests.harness.running.kill import kill_in
from loadtests.harness.running.manifest import make_manifest
from loadtests.harness.running.play import Player, nothing_else
from loadtests.harness.running.progress import Progress
from loadtests.harness.running.rig import Place, Rig
from loadtests.harness.testbeds.network import Link
from loadtests.harness.watch import Site, Watcher

CALIBRATION = "calibration"
CALIBRATION_TURN_S, CALIBRATION_WASHOUT_S = 1.0, 0.25
AUDIT_S = 4.0  # for the estimate of the time left, before one was seen
LEAD_IN_S = 2.0  # of load that does not count after an audit: the store is still deleting
FEWEST_ARMS = 2  # that do anything, to compare them
STEP_VUS_S = 2.0  # VUs beside the uploads for each login or list per second

BlocksWanted = Callable[[Bundle, Part], int]
# Takes by how many places the stacks move on; returns the new stacks.
Renew = Callable[[int], Awaitable[Mapping[str, Place]]]
Answered = Callable[[Bundle, Part], None]


def as_planned(_: Bundle, part: Part) -> int:
    """No second stage."""
    return part.first_blocks


def in_silence(_: Bundle, __: Part) -> None:
    """Nothing is said when a part's answer stands."""


async def run_plan(
    rig: Rig,
    plan: Plan,
    writer: BundleWriter,
    progress: Progress,
    command: str,
    *,
    blocks_wanted: BlocksWanted = as_planned,
    answered: Answered = in_silence,
    renew: Renew | None = None,
) -> None:
    """Run a plan. An interrupt (``rig.stop``) ends in an audited, complete bundle that says so.

    Args:
        blocks_wanted: asked once for each part, after its first stage: how many blocks it needs in all.
        answered: told when a part has ended and its samples are in the bundle.
        renew: makes the stacks anew, for parts with a number of blocks for each making.
    """
    warnings: list[Warn] = []
    async with rig.stopped_by_the_clock(warnings, progress.say):
        started_at = time.time()
        writer.write_plan(plan)
        workers = workers_of(plan)
        progress.phase("signing up users")
        for hold in rig.holds.values():
            await hold.create_identities(plan.run, workers.upload)
        manifest = await make_manifest(rig, plan, started_at=started_at, command=command)
        if plan.profile == "full":
            progress.phase("what k6 does by itself")
            manifest = manifest.with_ceilings(
                await measure_ceilings(
                    rig.k6_program, plan.arms, rig.strategies, rig.work_dir, cores=rig.cores.generator
                )
            )
        writer.write_manifest(manifest)
        rows, files = Rows(plan.run), Files.within(writer.k6_folder)
        books = Books(rig, rows, writer, files.console, plan.seed, warnings=warnings)
        try:
            async with _judged(books):
                progress.phase("cleaning")
                await books.clean()
                await rig.pin()
                async with open_load(
                    rig.k6_program, files, rows=rows, strategies=rig.strategies, workers=workers,
                    seed=plan.seed, variables=await _surroundings(rig), tags={"testid": plan.run},
                    cores=rig.cores.generator,
                ) as load:  # fmt: skip
                    progress.phase("starting k6")
                    await load.ready()
                    tally = Tally(files.console)
                    progress.follow(tally)
                    watcher = Watcher(sites_of(rig), rig.http, load.process.pid, rig.activity.looked)
                    player = Player(rig, load, books, watcher, writer, progress, tally, plan.login_each)
                    await Runner(rig, plan, writer, progress, player, blocks_wanted, answered, renew).run()
                    writer.write_load(await load.end())
        finally:
            rows.close()
            _finish(rig, writer, manifest, books)


@asynccontextmanager
async def _judged(books: Books) -> AsyncIterator[None]:
    """What the block had begun is judged as it stands where k6 is gone, and taken away unjudged where nothing
    can be written down any more: most of what fills the disk may be ours."""
    try:
        try:
            yield
        except LoadFailed:
            await books.audit(clients_came_back=False)
            raise
    except OSError as error:
        if error.errno in room.FULL:
            with contextlib.suppress(Exception):
                await books.clean()
        raise


def _finish(rig: Rig, writer: BundleWriter, manifest: Manifest, books: Books) -> None:
    whole = not rig.stop.is_set() and not books.open
    writer.append_events(rig.take_events())
    writer.write_warnings(books.warnings)
    writer.write_manifest(manifest.model_copy(update={"ended_at": rig.now(), "interrupted": not whole}))


def sites_of(rig: Rig) -> dict[str, Site]:
    """Where to look for processes: at every stack, and at what several stacks share."""
    sites = {
        stack: Site(
            hold.testbed, {part: url for part, url in hold.admin_urls.items() if part not in hold.gateways}
        )
        for stack, hold in rig.holds.items()
    }
    if rig.shared is not None:
        sites[""] = Site(rig.shared)
    return sites


async def _surroundings(rig: Rig) -> dict[str, str]:
    """What k6 is told about the system it runs against: who listens to its figures, where the store is."""
    listens = await rig.pushes_to_prometheus()
    return await rig.hosts() | (to_prometheus(rig.system.prometheus_url) if listens else {})


def workers_of(plan: Plan) -> Workers:
    """VUs for the largest part, whatever the warm-up will decide."""
    most = max((arm.vus for part in plan.parts for arm in part.arms), default=1)
    if plan.calibrates:
        planned = max(arm.vus for arm in plan.arms)
        scaled = max(
            (arm.vus for part in plan.parts if part.kind is PartKind.LEVELS for arm in part.arms),
            default=planned,
        )
        most = max(most, math.ceil(max(warm_up.VU_LEVELS) * scaled / planned))
    logins = max((part.login_rate_per_s for part in plan.parts), default=0.0)
    lists = max((part.list_rate_per_s for part in plan.parts), default=0.0)
    return Workers(max(1, most), math.ceil(logins * STEP_VUS_S), math.ceil(lists * STEP_VUS_S))


@dataclass(slots=True)
class Runner:
    """Goes through the parts of one plan."""

    rig: Rig
    plan: Plan
    writer: BundleWriter
    progress: Progress
    player: Player
    blocks_wanted: BlocksWanted
    answered: Answered
    renew: Renew | None = None
    _instance: int = 0  # which making of the stacks this is
    _unaudited_bytes: float = 0.0
    _rested: bool = True  # since the load last paused for an audit or new stacks, nothing was played
    _pace: Pace = field(default_factory=Pace)
    _figures: Figures = field(default_factory=Figures)
    _audits_s: list[float] = field(default_factory=list)
    _times_s: dict[str, list[float]] = field(default_factory=dict)  # to durable, by arm of the question

    async def run(self) -> None:
        self._expect(self.plan.parts)
        await self._warm_up()
        for at, part in enumerate(self.plan.parts):
            if self.rig.stop.is_set():
                return
            if part.kind is not PartKind.WARM_UP:
                self._expect(self.plan.parts[at:])
                await self._part(part)
                if not self.rig.stop.is_set():
                    self.answered(Bundle(self.writer.path), part)

    # -- warm-up

    async def _warm_up(self) -> None:
        """Every arm once, by itself; then the VUs, the turns and the neighbours' rate that follow from it."""
        part = next((one for one in self.plan.parts if one.kind is PartKind.WARM_UP), None)
        if part is None or self.rig.stop.is_set():
            return
        self.progress.part(part, 1, first_stage=False)
        for number, arm in enumerate(part.arms):
            if self.rig.stop.is_set():
                break
            # By itself: what the services count then is the price of one arm's uploads.
            _, rates = await self.player.play(
                part, [(arm.name,)], first_block=number, period_s=part.period_s, washout_s=part.washout_s
            )
            self._pace.rates[arm.of] = fmean(rates)
        self._end_in_vain(part, least=FEWEST_ARMS)
        found = await self._saturating() if self.plan.calibrates and not self.rig.stop.is_set() else None
        await self._audit()
        self._resolve(found)

    def _end_in_vain(self, part: Part, least: int = 1) -> None:
        """End the run where, of the stretches since the last look, fewer than ``least`` had any success, and
        not all. What failed beside others that did not is for the report to say."""
        seen, self.player.in_vain = self.player.in_vain, {}
        failed = {stretch: failures for stretch, failures in seen.items() if failures}
        if len(seen) - len(failed) < min(least, len(seen)):
            self.player.give_up(part, failed)

    async def _saturating(self) -> int:
        """The VUs beyond which the arms gain nothing: levels upwards and back, each arm at each."""
        arms = tuple(
            arm.model_copy(update={"name": f"{arm.name} {vus} VU", "vus": vus, "of": arm.name})
            for vus in warm_up.VU_LEVELS
            for arm in self.plan.arms
        )
        part = Part(
            name=CALIBRATION, kind=PartKind.WARM_UP, arms=arms, period_s=CALIBRATION_TURN_S,
            washout_s=CALIBRATION_WASHOUT_S,
        )  # fmt: skip
        self.plan = self.plan.model_copy(update={"parts": (self.plan.parts[0], part, *self.plan.parts[1:])})
        names = tuple(arm.name for arm in arms)
        stretch, rates = await self.player.play(
            part, [names + names[::-1]], first_block=0, period_s=part.period_s, washout_s=part.washout_s
        )
        self._end_in_vain(part)
        by_level: dict[int, dict[str, float]] = {}
        for name, rate in zip(stretch.order, rates, strict=True):
            arm = part.arm(name)
            level = by_level.setdefault(arm.vus, {})
            level[arm.of] = level.get(arm.of, 0.0) + rate / 2
        return warm_up.saturating_vus(by_level)

    def _resolve(self, vus: int | None) -> None:
        """Write down the plan as the warm-up made it."""
        parts: Sequence[Part] = self.plan.parts
        planned = max((arm.vus for arm in self.plan.arms), default=1)
        if vus is not None:
            parts = [warm_up.with_vus(part, planned, vus) for part in parts]
            arms = tuple(arm.model_copy(update={"vus": vus}) for arm in self.plan.arms)
            self.plan = self.plan.model_copy(update={"arms": arms})
        rates = [rate for rate in self._pace.rates.values() if rate > 0]
        if rates:
            parts = [warm_up.with_rate(part, min(rates)) for part in parts]
        more = max(1.0, (vus or planned) / max(1, planned))
        self._set_parts([self._with_turns(part, more) for part in parts])
        self.rig.event("resolved", vus=vus, rates_per_s=self._pace.rates)

    def _with_turns(self, part: Part, more: float) -> Part:
        """The part with periods that fit the time its arms' uploads took, which grows with the VUs: ``more``
        times as many as in the warm-up."""
        known = (self._times_s[arm.of] for arm in part.arms if arm.of in self._times_s)
        times = [[time_s * more for time_s in own] for own in known]
        if part.kind not in (PartKind.COMPARE, PartKind.LEVELS, PartKind.NEIGHBOURS) or not times:
            return part
        period_s, washout_s = warm_up.turn_s(part.period_s, part.washout_s, times)
        return part.model_copy(update={"period_s": period_s, "washout_s": washout_s})

    def _set_parts(self, parts: Sequence[Part]) -> None:
        self.plan = self.plan.model_copy(update={"parts": tuple(parts)})
        self.writer.write_plan(self.plan)

    # -- parts

    async def _part(self, part: Part) -> None:
        """First stage, the question how many more, second stage."""
        if part.kind is PartKind.SIZES:
            await self._probe(part)
        if part.kind is PartKind.RATES:
            part = self._offering(part)
        if part.kind is PartKind.CROWD:  # the line sets the pace
            link = Link(self.plan.rtt_ms, self.plan.bandwidth_mbit)
            for arm in part.arms:
                self._pace.probed_s[arm.strategy, arm.file_size_bytes] = link.transfer_s(arm.file_size_bytes)
        blocks = blocks_of(part, self.plan.seed)
        self._wants(part, part.first_blocks, first_stage=part.first_blocks < part.most_blocks)
        await self._makings(part, blocks, 0, part.first_blocks)
        if self.rig.stop.is_set() or part.first_blocks >= part.most_blocks:
            return
        asked = self.blocks_wanted(Bundle(self.writer.path), part)
        wanted = min(max(asked, part.first_blocks), part.most_blocks)
        self.rig.event("blocks", part=part.name, asked=asked, wanted=wanted)
        self._wants(part, wanted, first_stage=False)
        await self._makings(part, blocks, part.first_blocks, wanted)

    def _wants(self, part: Part, blocks: int, *, first_stage: bool) -> None:
        """Tell whoever watches that the part is to have so many blocks."""
        self.progress.part(part, blocks, first_stage=first_stage)
        self.rig.activity.asks(part.name, blocks, turns_per_block(part))

    def _offering(self, part: Part) -> Part:
        """The part with the rates that follow from what was seen so far: shares of the slowest arm's."""
        rates = [rate for rate in self._pace.rates.values() if rate > 0]
        found = warm_up.with_capacity(part, min(rates, default=1.0))
        self._set_parts(self.plan.with_part(found).parts)
        return found

    async def _makings(self, part: Part, blocks: Iterator[tuple[str, ...]], done: int, wanted: int) -> None:
        """Play blocks, with the stacks made anew after so many of them as the part says."""
        each = part.blocks_per_making if self.renew is not None else None
        while done < wanted and not self.rig.stop.is_set():
            if each is not None and done > 0:
                await self._renew()
            until = min(done + (each or wanted), wanted)
            await self._blocks(part, blocks, done, until)
            done = until

    async def _renew(self) -> None:
        """Others take the stacks' places: processes, databases, users."""
        if self.renew is None:
            return
        self._instance += 1
        self.progress.phase("making the stacks anew")
        stacks = len({arm.stack for arm in self.plan.arms if arm.target is None})
        moved = places_moved(self._instance, self.plan.seed, stacks)
        began = time.monotonic()
        await self.rig.let_go()
        await self.rig.take(await self.renew(moved))
        self.player.books.forget()
        for hold in self.rig.holds.values():
            await hold.create_identities(self.plan.run, self.player.load.workers.upload)
        await self.player.books.clean()
        self.player.watcher.sites = sites_of(self.rig)
        took_s = round(time.monotonic() - began, 1)
        self.rig.event("renewed", instance=self._instance, moved=moved, took_s=took_s)

    async def _blocks(self, part: Part, blocks: Iterator[tuple[str, ...]], done: int, wanted: int) -> None:
        """Play blocks until so many are done, with an audit whenever the disk or the stage asks for one."""
        while done < wanted and not self.rig.stop.is_set():
            number = min(wanted - done, self._pace.blocks_at_once(part, self.plan.disk_bytes / 2))
            drawn = [next(blocks) for _ in range(number)]
            for order, turns in self._groups(part, drawn):
                await self._room(part, order, turns)
                if self.rig.stop.is_set():
                    break
                await self._stretch(part, order, done, turns)
            self._end_in_vain(part)
            done += number
        await self._audit()

    def _groups(
        self, part: Part, drawn: Sequence[tuple[str, ...]]
    ) -> list[tuple[list[tuple[str, ...]], tuple[float, float]]]:
        """Blocks as stretches, with period and washout: one of all; of sizes, each size by itself; of kills,
        each turn."""
        if part.kind is PartKind.KILL:
            return [([(name,)], (part.period_s, part.washout_s)) for block in drawn for name in block]
        if part.kind is not PartKind.SIZES:
            return [(list(drawn), (part.period_s, part.washout_s))]
        groups = []
        for block in drawn:
            for size in dict.fromkeys(part.arm(name).file_size_bytes for name in block):
                mine = tuple(name for name in block if part.arm(name).file_size_bytes == size)
                groups.append(([mine], self._turn_of_size(part, size)))
        return groups

    async def _stretch(
        self, part: Part, order: Sequence[tuple[str, ...]], first_block: int, turn: tuple[float, float]
    ) -> None:
        await self._rows(part, order, turn[0])
        stretch, rates = await self.player.play(
            part,
            order,
            first_block=first_block,
            period_s=turn[0],
            washout_s=turn[1],
            lead_in_s=LEAD_IN_S if self._rested else 0.0,
            instance=self._instance,
            meanwhile=partial(self._kill, part) if part.kill_after_s is not None else nothing_else,
        )
        self._rested = False
        played = list(zip(map(part.arm, stretch.order), rates, strict=True))
        self._unaudited_bytes += sum(rate * stretch.period_s * arm.stored_bytes for arm, rate in played)
        if part.kind is PartKind.COMPARE:
            self._pace.seen({arm.of: fmean(rate for one, rate in played if one is arm) for arm, _ in played})

    async def _kill(self, part: Part, stretch: Stretch) -> None:
        """The arm's upload service is killed in mid-load."""
        stack = part.arm(stretch.order[0]).stack
        if await kill_in(self.rig, stack, stretch, part.kill_after_s or 0.0):
            self.player.books.killed.add(stack)

    async def _probe(self, part: Part) -> None:
        """One file of each VU by every arm: how long its uploads take."""
        probe = part.model_copy(update={"name": f"{part.name}-probe", "kind": PartKind.WARM_UP})
        self._set_parts([*self.plan.parts, probe])
        for arm in part.arms:
            if self.rig.stop.is_set():
                break
            acks = await self.player.probe(probe, arm.name, 1)
            if acks:
                self._pace.probed_s[arm.strategy, arm.file_size_bytes] = median(
                    a.ended - a.began for a in acks
                )
            self._unaudited_bytes += len(acks) * arm.stored_bytes
        await self._audit()

    def _turn_of_size(self, part: Part, size: int) -> tuple[float, float]:
        times = [self._pace.probed_s.get((arm.strategy, size), 0.0) for arm in part.arms]
        return warm_up.turn_s(part.period_s, part.washout_s, [[time_s] for time_s in times])

    # -- disk

    async def _room(self, part: Part, order: Sequence[tuple[str, ...]], turn: tuple[float, float]) -> None:
        """Audit and delete first where the next stretch would fill more than its half of the disk."""
        names = [name for block in order for name in block]
        coming = self._pace.bytes_per_s(part, names) * len(names) * turn[0]
        if self._unaudited_bytes and self._unaudited_bytes + coming > self.plan.disk_bytes / 2:
            await self._audit()

    async def _rows(self, part: Part, order: Sequence[tuple[str, ...]], period_s: float) -> None:
        """Hash long files before the load, not beside it."""
        wanted: dict[Kind, float] = {}
        for name in (name for block in order for name in block):
            arm = part.arm(name)
            if arm.strategy is not None and arm.download is None:
                kind = Kind.of(arm)
                waiting = arm.vus * arm.files / len(order)
                needed = self._pace.uploads_per_s(arm) * HEADROOM * period_s + waiting
                wanted[kind] = wanted.get(kind, 0.0) + needed
        for kind, count in wanted.items():
            await self.player.load.rows.fill(kind, math.ceil(count))

    # -- audit

    async def _audit(self) -> None:
        """Judge what was uploaded since the last audit, and make room."""
        if not self.player.books.open:
            return
        self.progress.phase("auditing")
        names = list(self.player.books.open)
        self.rig.event("audit", stretches=names, bytes=round(self._unaudited_bytes))
        began = time.monotonic()
        samples = await self.player.books.audit()
        self._audits_s.append(time.monotonic() - began)
        self._unaudited_bytes, self._rested = 0.0, True
        for arm, times in warm_up.durable_s(samples).items():
            self._times_s[arm] = times
        self._tell(names, samples)
        for hold in self.rig.holds.values():
            await hold.fresh_tokens()
        self.writer.append_events(self.rig.take_events())

    def _expect(self, parts: Sequence[Part]) -> None:
        self.progress.left({part.name: self._expected_s(part) for part in parts}, self._audit_s())

    def _tell(self, judged: Collection[str], samples: Sequence[UploadSample]) -> None:
        """Let panels show what the report would say now; ``judged`` are the stretches of the last audit."""
        bundle = Bundle(self.writer.path)
        self._figures.add(self.plan, bundle.stretches(), judged, samples, self.player.looks)
        self.player.looks = []
        self.rig.activity.found(self._figures.so_far(self.plan, bundle.counted()))

    def _expected_s(self, part: Part) -> float:
        """How long a part takes if its first stage is enough."""
        turns = part.first_blocks * turns_per_block(part)
        if part.kind is PartKind.WARM_UP:
            calibrating_s = CALIBRATION_S * len(part.arms) if self.plan.calibrates else 0.0
            return turns * part.period_s + calibrating_s + self._audit_s()
        stretches = math.ceil(part.first_blocks / self._pace.blocks_at_once(part, self.plan.disk_bytes / 2))
        seconds = turns * part.period_s + stretches * (LEAD_IN_S + self._audit_s())
        if part.kind is PartKind.KILL:
            seconds += SETTLING_S + turns * RELEASE_S
        if part.blocks_per_making and self.renew is not None:
            stacks = len({arm.stack for arm in part.arms})
            seconds += (math.ceil(part.first_blocks / part.blocks_per_making) - 1) * MAKING_S * stacks
        return seconds

    def _audit_s(self) -> float:
        return fmean(self._audits_s) if self._audits_s else AUDIT_S
