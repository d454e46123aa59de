"""Everything that a run recorded, read once, with its periods made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from loadtests.harness.periods import Block, Period, Samples, whole_blocks
from loadtests.harness.records.plan import Arm, Part, PartKind, Plan, Stretch
from loadtests.harness.records.samples import (
    Counted,
    Event,
    LedgerTable,
    LoadSummary,
    Look,
    Manifest,
    StepSample,
    UploadSample,
    Warn,
)


class Recorded(Protocol):
    """What a bundle gives."""

    def manifest(self) -> Manifest: ...
    def plan(self) -> Plan: ...
    def stretches(self) -> Sequence[Stretch]: ...
    def uploads(self) -> Sequence[UploadSample]: ...
    def steps(self) -> Sequence[StepSample]: ...
    def looks(self) -> Sequence[Look]: ...
    def ledgers(self) -> Sequence[LedgerTable]: ...
    def counted(self) -> Sequence[Counted]: ...
    def events(self) -> Sequence[Event]: ...
    def warnings(self) -> Sequence[Warn]: ...
    def load(self) -> LoadSummary | None: ...


@dataclass(frozen=True)
class Facts:
    manifest: Manifest
    plan: Plan
    stretches: tuple[Stretch, ...]
    uploads: tuple[UploadSample, ...]
    steps: tuple[StepSample, ...]
    looks: tuple[Look, ...]
    ledgers: tuple[LedgerTable, ...]
    counted: tuple[Counted, ...]
    events: tuple[Event, ...]
    recorded: tuple[Warn, ...]  # what was warned of while the run went on
    load: LoadSummary | None
    periods: Mapping[str, tuple[Period, ...]]  # by part
    blocks: Mapping[str, tuple[Block, ...]]

    @property
    def cores(self) -> float | None:
        cores = self.manifest.host.get("cores")
        return None if cores is None else float(cores)

    def unseen(self, arm: str) -> bool:
        """Whether it is another implementation whose processes nobody named."""
        found = next((one for one in self.plan.arms if one.name == arm and one.target), None)
        return found is not None and "PIDS" not in {**self.plan.words, **found.asked}

    def parts(self, *kinds: PartKind) -> tuple[Part, ...]:
        """Parts of these kinds that were begun, in the plan's order."""
        return tuple(part for part in self.plan.parts if part.kind in kinds and self.periods.get(part.name))

    def part(self, kind: PartKind) -> Part | None:
        """The first part of a kind that was begun."""
        return next(iter(self.parts(kind)), None)

    def turns(self, *kinds: PartKind) -> Iterator[tuple[Part, Arm, list[Period]]]:
        """Every arm that uploads and had a turn in parts of these kinds, with its periods."""
        for part in self.parts(*kinds):
            for arm in part.arms:
                own = [period for period in self.periods[part.name] if period.arm == arm.name]
                if own and arm.strategy is not None:
                    yield part, arm, own


def read_facts(bundle: Recorded) -> Facts:
    plan, stretches = bundle.plan(), tuple(bundle.stretches())
    uploads, looks, ledgers = tuple(bundle.uploads()), tuple(bundle.looks()), tuple(bundle.ledgers())
    # What nobody audited has no samples yet: it would pass for periods without an upload.
    audited = {name for table in ledgers for name in table.stretches}
    known = [stretch for stretch in stretches if stretch.stretch in audited]
    samples = Samples(uploads, looks)
    periods = {part.name: samples.periods(part, known) for part in plan.parts}
    return Facts(
        manifest=bundle.manifest(),
        plan=plan,
        stretches=stretches,
        uploads=uploads,
        steps=tuple(bundle.steps()),
        looks=looks,
        ledgers=ledgers,
        counted=tuple(bundle.counted()),
        events=tuple(bundle.events()),
        recorded=tuple(bundle.warnings()),
        load=bundle.load(),
        periods=periods,
        blocks={name: whole_blocks(own, stretches) for name, own in periods.items()},
    )
