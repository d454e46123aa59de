"""The report's figures of each arm while the run goes on, for panels: made by the report's own functions of
the same periods, so that a figure has one value wherever it stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from loadtests.harness.comparison import compare, rule_of
from loadtests.harness.cost import prices
from loadtests.harness.exporter import CPU_S, DURABLE_S, GATEWAY_BYTES, UPLOADS_PER_S, Figure
from loadtests.harness.periods import Period, Samples, whole_blocks
from loadtests.harness.records.plan import PartKind, Plan, Stretch
from loadtests.harness.records.samples import Counted, Look, UploadSample

MS = 1000.0


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

    def of_arms(self, plan: Plan, counted: Sequence[Counted]) -> list[Figure]:
        """Of the comparison's arms so far; ``counted`` is of the whole run. None before its first block."""
        return [
            Figure(family, arm, value)
            for family, arm, value in (*self._compared(plan), *self._priced(plan, counted))
            if value is not None
        ]

    def _compared(self, plan: Plan) -> Iterator[tuple[str, str, float | None]]:
        for part in plan.parts:
            blocks = whole_blocks(self._periods[part.name], self._stretches)
            if part.kind is not PartKind.COMPARE or not blocks:
                continue
            for one in compare(part, part.arms, blocks, rule_of(plan, part)).arms:
                durable_ms = one.durable_p50.ms.value
                yield UPLOADS_PER_S, one.arm.name, one.uploads_per_s.value
                yield CPU_S, one.arm.name, one.cpu_s_per_upload.value
                yield DURABLE_S, one.arm.name, None if durable_ms is None else durable_ms / MS

    def _priced(self, plan: Plan, counted: Sequence[Counted]) -> Iterator[tuple[str, str, float | None]]:
        for price in prices(plan, self._stretches, counted, self._periods):
            yield GATEWAY_BYTES, price.arm, price.gateway_bytes_in
