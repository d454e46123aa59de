"""From samples to periods: what each turn of an arm did, took and used up in its counted part.

An upload counts by the share of its time, from its first request until it was durable, that lies in the
counted parts of its own arm's periods. Counting only uploads that lie wholly in one period would leave out
long ones more often than short ones (``docs/statistics.md`` shows by how much).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtests.harness.records.plan import Part, Stretch
from loadtests.harness.records.samples import Look, UploadSample

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHORTEST_UPLOAD_S = 1e-4  # two clocks: a file may be durable a little before its client's first request
TOO_MANY = 429  # the HTTP status of a rate limiter
OVERLOADED = 503  # and of a system that admits no more
_OUTSIDE_S = 0.25  # a bound this far outside the looks still takes the nearest one


@dataclass(frozen=True, slots=True)
class Period:
    """One turn of an arm. Rates and processor time are those of its counted part, ``begin`` to ``end``."""

    part: str
    stretch: str
    index: int
    block: int
    instance: int
    arm: str
    before: str | None  # whose turn it was before; None at the beginning of a stretch
    begin: float
    end: float
    uploads: float  # verified, by the share of their time
    thirds: tuple[float, float]  # the same in the first and in the last third of the counted part
    touched: int  # verified uploads that have a share in it
    acknowledged: int  # of the arm's uploads, inside it
    became_durable: int
    failed: int  # begun in it
    limited: int  # begun in it and refused by a rate limiter
    refused: int  # begun in it and not admitted
    acked_s: Floats  # from when they were due, of uploads begun in it
    durable_s: Floats
    cpu_s: Mapping[str, float]  # by process as in ``Look``; absent where not looked at
    host_busy_s: float | None
    disk_wait_s: float | None  # processors idle, and something waited for a disk
    peak_rss_bytes: Mapping[str, int]
    mean_rss_bytes: Mapping[str, int] = field(default_factory=dict)  # of the looks in it

    @property
    def counted_s(self) -> float:
        return self.end - self.begin

    @property
    def uploads_per_s(self) -> float:
        return self.uploads / self.counted_s


@dataclass(frozen=True, slots=True)
class Block:
    """All periods of a block, every arm equally often: the smallest piece that compares arms."""

    number: int
    instance: int
    periods: tuple[Period, ...]

    def of(self, arm: str) -> tuple[Period, ...]:
        return tuple(period for period in self.periods if period.arm == arm)


class Samples:
    """Uploads and looks of a run, indexed once, from which the periods of every part are made."""

    def __init__(self, uploads: Iterable[UploadSample], looks: Sequence[Look]) -> None:
        self._by_stretch: dict[str, list[UploadSample]] = defaultdict(list)
        for upload in uploads:
            self._by_stretch[upload.stretch].append(upload)
        self._usage = Usage(looks)

    def periods(self, part: Part, stretches: Iterable[Stretch]) -> tuple[Period, ...]:
        """Every period of the part that was played to its end, in the order run."""
        own = (stretch for stretch in stretches if stretch.part == part.name)
        return tuple(period for stretch in own for period in self._of_stretch(stretch))

    def _of_stretch(self, stretch: Stretch) -> list[Period]:
        seen = _Uploads.of(stretch, self._by_stretch[stretch.stretch])
        whole = [index for index in range(len(stretch.order)) if _whole(stretch, index)]
        bounds = np.array([stretch.counted(index) for index in whole], dtype=np.float64).reshape(-1, 2)
        used = self._usage.between(bounds)
        third = (stretch.period_s - stretch.washout_s) / 3
        shares, touched = seen.shares(stretch.washout_s, stretch.period_s)
        first, _ = seen.shares(stretch.washout_s, stretch.washout_s + third)
        last, _ = seen.shares(stretch.period_s - third, stretch.period_s)
        return [
            Period(
                part=stretch.part,
                stretch=stretch.stretch,
                index=index,
                block=stretch.blocks[index],
                instance=stretch.instance,
                arm=stretch.order[index],
                before=stretch.order[index - 1] if index else None,
                begin=float(bounds[row, 0]),
                end=float(bounds[row, 1]),
                uploads=float(shares[index]),
                thirds=(float(first[index]), float(last[index])),
                touched=int(touched[index]),
                acknowledged=int(seen.acknowledged[index]),
                became_durable=int(seen.became_durable[index]),
                failed=int(seen.failed[index]),
                limited=int(seen.limited[index]),
                refused=int(seen.refused[index]),
                acked_s=seen.acked_s(index),
                durable_s=seen.durable_s(index),
                cpu_s={name: float(own[row]) for name, own in used.cpu_s.items() if np.isfinite(own[row])},
                host_busy_s=_known(used.host_busy_s[row]),
                disk_wait_s=_known(used.disk_wait_s[row]),
                peak_rss_bytes={name: max(sizes) for name, sizes in used.rss_bytes[row].items()},
                mean_rss_bytes={name: round(fmean(sizes)) for name, sizes in used.rss_bytes[row].items()},
            )
            for row, index in enumerate(whole)
        ]


def whole_blocks(periods: Iterable[Period], stretches: Iterable[Stretch]) -> tuple[Block, ...]:
    """Blocks of which every period was played, in the order run. ``periods`` are of one part."""
    planned: dict[tuple[str, int], int] = defaultdict(int)
    for stretch in stretches:
        for block in stretch.blocks:
            planned[stretch.part, block] += 1
    found: dict[tuple[str, int], list[Period]] = defaultdict(list)
    for period in periods:
        found[period.part, period.block].append(period)
    return tuple(
        Block(number, own[0].instance, tuple(own))
        for (part, number), own in found.items()
        if len(own) == planned[part, number]
    )


def units_of(blocks: Sequence[Block], arm: str, *, replicated: bool) -> list[tuple[Period, ...]]:
    """An arm's periods by what repeats itself: blocks, or makings of the stacks; in the order run."""
    found: dict[int, list[Period]] = defaultdict(list)
    for block in blocks:
        found[block.instance if replicated else block.number] += block.of(arm)
    return [tuple(periods) for periods in found.values() if periods]


def _known(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None


def _whole(stretch: Stretch, index: int) -> bool:
    return stretch.cut_at is None or stretch.counted(index)[1] <= stretch.cut_at


@dataclass(frozen=True)
class _Uploads:
    """The uploads of one stretch as arrays, one element for each; times are seconds since its ``t0``."""

    period_s: float
    arms: Ints  # whose turn each period is
    arm: Ints  # whose upload it is; -1 where the stretch has no such arm
    due: Floats
    started: Floats
    acked: Floats
    durable: Floats  # NaN where it was not verified
    failure: NDArray[np.bool_]
    status: Ints
    washout_s: float

    @classmethod
    def of(cls, stretch: Stretch, uploads: Sequence[UploadSample]) -> _Uploads:
        number = {name: index for index, name in enumerate(dict.fromkeys(stretch.order))}
        rows = [
            (
                number.get(one.arm, -1),
                one.due_at,
                one.begun_at,
                np.nan if one.acked_at is None else one.acked_at,
                one.durable_at if one.verified and one.durable_at is not None else np.nan,
                one.failed_at is not None and not one.verified,
                one.failed_status or 0,
            )
            for one in uploads
        ]
        table = np.array(rows, dtype=np.float64).reshape(-1, 7)
        times = table[:, 1:5] - stretch.t0
        return cls(
            period_s=stretch.period_s,
            arms=np.array([number[name] for name in stretch.order], dtype=np.int64),
            arm=table[:, 0].astype(np.int64),
            due=times[:, 0],
            started=times[:, 1],
            acked=times[:, 2],
            durable=times[:, 3],
            failure=table[:, 5] > 0,
            status=table[:, 6].astype(np.int64),
            washout_s=stretch.washout_s,
        )

    def shares(self, begin_s: float, end_s: float) -> tuple[Floats, Ints]:
        """By period: uploads counted by the share of their time between two offsets into a period of their
        own arm, and how many have such a share."""
        totals, touched = np.zeros(len(self.arms)), np.zeros(len(self.arms), dtype=np.int64)
        known = np.isfinite(self.durable)
        began = self.started[known]
        lasted = np.maximum(self.durable[known] - began, SHORTEST_UPLOAD_S)
        ended, arm = began + lasted, self.arm[known]
        first = np.floor(began / self.period_s).astype(np.int64)
        spanned = int(np.max(np.floor(ended / self.period_s) - first, initial=0.0))
        for later in range(spanned + 1):
            index = first + later
            inside = (index >= 0) & (index < len(self.arms))
            own = inside & (self.arms[np.where(inside, index, 0)] == arm)
            from_s, until_s = index * self.period_s + begin_s, index * self.period_s + end_s
            overlap = np.minimum(ended, until_s) - np.maximum(began, from_s)
            counted = own & (overlap > 0)
            np.add.at(totals, index[counted], (overlap / lasted)[counted])
            np.add.at(touched, index[counted], 1)
        return totals, touched

    def period_at(self, times: Floats) -> Ints:
        """The period of each upload's own arm whose counted part holds its time; -1 where there is none."""
        index = np.floor(np.where(np.isfinite(times), times, -1.0) / self.period_s).astype(np.int64)
        inside = (index >= 0) & (index < len(self.arms))
        own = inside & (self.arms[np.where(inside, index, 0)] == self.arm)
        return np.where(own & (times - index * self.period_s >= self.washout_s), index, -1)

    @cached_property
    def begun_in(self) -> Ints:
        return self.period_at(self.due)

    @cached_property
    def acknowledged(self) -> Ints:
        return self._per_period(self.period_at(self.acked))

    @cached_property
    def became_durable(self) -> Ints:
        return self._per_period(self.period_at(self.durable))

    @cached_property
    def failed(self) -> Ints:
        return self._per_period(self.begun_in[self.failure])

    @cached_property
    def limited(self) -> Ints:
        return self._per_period(self.begun_in[self.failure & (self.status == TOO_MANY)])

    @cached_property
    def refused(self) -> Ints:
        return self._per_period(self.begun_in[self.failure & (self.status == OVERLOADED)])

    def acked_s(self, index: int) -> Floats:
        return self._waited(index, self.acked)

    def durable_s(self, index: int) -> Floats:
        return self._waited(index, self.durable)

    def _per_period(self, index: Ints) -> Ints:
        return np.bincount(index[index >= 0], minlength=len(self.arms))

    def _waited(self, index: int, until: Floats) -> Floats:
        rows = self._rows[index]
        waited = until[rows] - self.due[rows]
        return waited[np.isfinite(waited)]

    @cached_property
    def _rows(self) -> list[Ints]:
        """Uploads by the period that they began in."""
        order = np.argsort(self.begun_in, kind="stable")
        bounds = np.searchsorted(self.begun_in[order], np.arange(len(self.arms) + 1))
        return [order[bounds[i] : bounds[i + 1]] for i in range(len(self.arms))]


class Used(NamedTuple):
    """What was used between pairs of instants, one row for each; NaN where nobody looked."""

    cpu_s: dict[str, Floats]  # by process
    host_busy_s: Floats
    disk_wait_s: Floats  # of all processors together
    rss_bytes: list[dict[str, list[int]]]  # held at each look between them, by process


class Usage:
    """What processes used between two instants: looks are cumulative, and straight lines join them."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self._looks = sorted(looks, key=lambda look: look.at)
        self._at = np.array([look.at for look in self._looks])
        names = dict.fromkeys(name for look in self._looks for name in look.cpu_s)
        self._cpu = {name: self._cumulative(name) for name in names}

    def between(self, bounds: Floats) -> Used:
        """``bounds`` are rows of begin and end."""
        cpu = {name: self._used(at, used, bounds) for name, (at, used) in self._cpu.items()}
        busy, waits = (
            self._used(self._at, np.array(seconds), bounds)
            for seconds in (
                [look.host_busy_s for look in self._looks],
                [look.disk_wait_s for look in self._looks],
            )
        )
        first, beyond = (
            np.searchsorted(self._at, bounds[:, 0]),
            np.searchsorted(self._at, bounds[:, 1], "right"),
        )
        held = [self._held(a, b) for a, b in zip(first.tolist(), beyond.tolist(), strict=True)]
        return Used(cpu, busy, waits, held)

    def _cumulative(self, name: str) -> tuple[Floats, Floats]:
        """Looks that saw the process, and what it had used since the first of them over all its lives."""
        seen = [look for look in self._looks if name in look.cpu_s]
        used = [0.0]
        for earlier, later in pairwise(seen):
            same = earlier.lives.get(name) == later.lives.get(name)
            used.append(used[-1] + later.cpu_s[name] - (earlier.cpu_s[name] if same else 0.0))
        return np.array([look.at for look in seen]), np.array(used)

    @staticmethod
    def _used(at: Floats, used: Floats, bounds: Floats) -> Floats:
        if not len(at):
            return np.full(len(bounds), np.nan)
        spent = np.interp(bounds[:, 1], at, used) - np.interp(bounds[:, 0], at, used)
        outside = (bounds[:, 0] < at[0] - _OUTSIDE_S) | (bounds[:, 1] > at[-1] + _OUTSIDE_S)
        return np.where(outside, np.nan, spent)

    def _held(self, first: int, beyond: int) -> dict[str, list[int]]:
        held: dict[str, list[int]] = defaultdict(list)
        for look in self._looks[first:beyond]:
            for name, size in look.rss_bytes.items():
                held[name].append(size)
        return dict(held)
