"""The report's figures while the run goes on, for panels: made by the report's own functions of the same
periods, so that a figure has one value wherever it stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from loadtests.harness.comparison import compare, rule_of
from loadtests.harness.cost import prices
from loadtests.harness.metrics.exporter import (
    CPU_S,
    DURABLE_S,
    GATEWAY_BYTES,
    HALF_WIDTH_WANTED,
    RATIO,
    UPLOADS_PER_S,
    Figure,
)
from loadtests.harness.periods import Period, Samples, whole_blocks
from loadtests.harness.records.plan import PartKind, Plan, Stretch
from loadtests.harness.records.result import ArmResult, Ratio
from loadtests.harness.records.samples import Counted, Look, UploadSample

MS = 1000.0
WITH_RATIO = ("uploads_per_s", "cpu_s_per_upload")


@dataclass(slots=True)
class Figures:
    """Grows with every audit."""

    _stretches: Sequence[Stretch] = ()
    _periods: dict[str, list[Period]] = field(default_factory=lambda: defaultdict(list))  # by part

    def add(
        self,
        plan: Plan,
        stretches: Sequence[Stretch],
        judged: Collection[str],
        uploads: Sequence[UploadSample],
        looks: Sequence[Look],
    ) -> None:
        """What an audit judged: its uploads and the looks at its stretches, of all ``stretches`` so far."""
        samples, own = Samples(uploads, looks), [one for one in stretches if one.stretch in judged]
        for part in plan.parts:
            self._periods[part.name] += samples.periods(part, own)
        self._stretches = stretches

    def so_far(self, plan: Plan, counted: Sequence[Counted]) -> list[Figure]:
        """Of the comparison and its arms; ``counted`` is of the whole run. None before its first block."""
        return [*self._compared(plan), *self._priced(plan, counted)]

    def _compared(self, plan: Plan) -> Iterator[Figure]:
        for part in plan.parts:
            blocks = whole_blocks(self._periods[part.name], self._stretches)
            if part.kind is not PartKind.COMPARE or not blocks:
                continue
            rule = rule_of(plan, part)
            found = compare(part, part.arms, blocks, rule)
            yield Figure(HALF_WIDTH_WANTED, {"part": part.name}, rule.precision)
            for arm in found.arms:
                yield from _of_arm(arm)
            for ratio in found.ratios:
                if ratio.metric in WITH_RATIO:
                    yield from _of_ratio(ratio)

    def _priced(self, plan: Plan, counted: Sequence[Counted]) -> Iterator[Figure]:
        for price in prices(plan, self._stretches, counted, self._periods):
            if price.gateway_bytes_in is not None:
                yield Figure(GATEWAY_BYTES, {"arm": price.arm}, price.gateway_bytes_in)


def _of_arm(one: ArmResult) -> Iterator[Figure]:
    durable_ms = one.durable_p50.ms.value
    for family, value in (
        (UPLOADS_PER_S, one.uploads_per_s.value),
        (CPU_S, one.cpu_s_per_upload.value),
        (DURABLE_S, None if durable_ms is None else durable_ms / MS),
    ):
        if value is not None:
            yield Figure(family, {"arm": one.arm.name}, value)


def _of_ratio(one: Ratio) -> Iterator[Figure]:
    """The ratio itself; the ends of its interval where a spread is known."""
    labels = {"part": one.part, "metric": one.metric, "arm": one.arm, "over": one.base}
    for bound, value in (("low", one.ratio.low), ("middle", one.ratio.value), ("high", one.ratio.high)):
        if value is not None:
            yield Figure(RATIO, {**labels, "bound": bound}, value)
