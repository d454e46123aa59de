"""What was played and not audited yet: from k6's lines and the services' counters to the bundle.

An audit covers all stretches since the last one. It judges every upload of every stack, and what it judged is
deleted before the load goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.harness.auditing.audit import Audit
from loadtests.harness.auditing.ledger_records import Baseline, Console
from loadtests.harness.console import Lines, Played, by_stack, read_tail
from loadtests.harness.planning.payload import UploadRow
from loadtests.harness.records import model
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.records.plan import Part, Stretch
from loadtests.harness.records.samples import Counted, LedgerTable, StepSample, UploadSample, Warn
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.rig import Hold, Rig
from loadtests.harness.rows import Rows
from loadtests.harness.running import counters
from loadtests.harness.running.counters import Scrape

SETTLE_LIMIT_S = 30.0


@dataclass(slots=True)
class Books:
    """Keeps account of one run. ``samples`` are all uploads that were audited since the last ``take``."""

    rig: Rig
    rows: Rows
    writer: BundleWriter
    console: Path
    seed: int
    warnings: list[Warn] = field(default_factory=list)
    audits: int = 0
    open: list[str] = field(default_factory=list)  # stretches that were not audited
    _offset: int = 0
    _played: dict[int, Played] = field(default_factory=dict)
    _counted: list[Counted] = field(default_factory=list)
    _scrapes: dict[str, dict[str, Scrape]] = field(default_factory=dict)
    _baselines: dict[str, Baseline] = field(default_factory=dict)

    async def clean(self) -> None:
        """Nothing of the harness's users is left on any stack."""
        for stack, hold in self.rig.holds.items():
            cleaned = await hold.cleaner.clean()
            first = stack not in self._baselines
            self._baselines[stack] = cleaned.baseline
            if first and cleaned.baseline.files:
                self.rig.event("other-files", stack=stack, files=cleaned.baseline.files)

    async def begin(self) -> None:
        """Read the services' counters before a stretch."""
        self._scrapes = {stack: await _scrape(hold) for stack, hold in self.rig.holds.items()}

    def play(self, number: int, stretch: Stretch, part: Part) -> None:
        """This stretch begins; lines with its number are its own."""
        self._played[number] = Played(
            stretch=stretch.stretch,
            arms=tuple(arm.name for arm in part.arms),
            stacks=tuple(arm.stack for arm in part.arms),
            user_ids=tuple([u.user_id for u in self.rig.holds[arm.stack].identities] for arm in part.arms),
        )
        self.open.append(stretch.stretch)

    async def end(self, stretch: Stretch) -> None:
        """Read the services' counters after it."""
        for stack, hold in self.rig.holds.items():
            change = counters.differences(self._scrapes[stack], await _scrape(hold))
            self._counted.append(
                Counted(stack=stack, stretches=(stretch.stretch,), uploads={}, **change.model_dump())
            )

    async def audit(self) -> list[UploadSample]:
        """Judge everything since the last audit, write it down and delete it. Returns the uploads."""
        raw, self._offset = read_tail(self.console, self._offset)
        stretches, self.open = tuple(self.open), []
        rows = self.rows.given()
        judged: list[UploadSample] = []
        for stack, lines in by_stack(raw, self._played).items():
            hold = self.rig.holds[stack]
            audit = await _audit(hold, lines, rows, self._baselines[stack], self.seed + self.audits)
            samples = [_sample(sample) for sample in audit.samples]
            self.writer.append_uploads(samples)
            self.writer.append_steps(_in_order(lines.steps))
            self.writer.append_ledger(_table(self.audits, stack, stretches, audit, samples))
            self.warnings += [_warn(warning) for warning in audit.warnings]
            judged += samples
            self._count(stack, samples)
        self.audits += 1
        await self.clean()
        return judged

    def _count(self, stack: str, samples: Sequence[UploadSample]) -> None:
        """Write down what was counted over this stack's stretches, with the uploads that are verified now."""
        verified: dict[str, Counter[str]] = {}
        for sample in samples:
            verified.setdefault(sample.stretch, Counter())[sample.arm] += sample.verified
        mine = [one for one in self._counted if one.stack == stack]
        self._counted = [one for one in self._counted if one.stack != stack]
        self.writer.append_counted(
            [one.model_copy(update={"uploads": dict(verified.get(one.stretches[0], {}))}) for one in mine]
        )


async def _scrape(hold: Hold) -> dict[str, Scrape]:
    return await counters.scrape_all(hold.http, hold.system.admin_urls)


def _in_order(steps: Sequence[StepSample]) -> list[StepSample]:
    return sorted(steps, key=lambda step: step.started_at)


# From here on: the auditor of single trials, as long as it is one.


async def _audit(hold: Hold, lines: Lines, rows: Sequence[UploadRow], baseline: Baseline, seed: int) -> Audit:
    plan = model.TrialPlan(
        trial="audit",
        question=model.Question.CAPACITY,
        arm="all",
        file_size_bytes=0,
        load=model.Load(executor="none"),
        seed=seed,
        level="",
        settle_limit_s=SETTLE_LIMIT_S,
    )
    console = Console(
        intents=tuple(
            model.Intent(
                upload_ref=one.upload_ref,
                trial=one.stretch,
                strategy=one.arm,
                user_id=one.user_id,
                size_bytes=one.size_bytes,
                sha256=one.sha256,
                at=one.at,
                scheduled_at=one.scheduled_at,
            )
            for one in lines.intents
        ),
        outcomes=tuple(model.Outcome(**one.model_dump()) for one in lines.outcomes),
        unreadable=lines.unreadable,
    )
    return await hold.auditor.audit(plan, console, baseline=baseline, rows=rows)


def _sample(sample: model.UploadSample) -> UploadSample:
    told = sample.model_dump(exclude={"trial", "strategy", "sha256"})
    return UploadSample(stretch=sample.trial, arm=sample.strategy, **told)


def _table(
    number: int, stack: str, stretches: tuple[str, ...], audit: Audit, samples: Sequence[UploadSample]
) -> LedgerTable:
    told = audit.table.model_dump(exclude={"trial"})
    return LedgerTable(
        audit=number,
        stack=stack,
        stretches=stretches,
        by_arm=_classes_by_arm(samples),
        by_user=_by_user(samples),
        **told,
    )


def _classes_by_arm(samples: Sequence[UploadSample]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for sample in samples:
        found.setdefault(sample.arm, Counter())[sample.ledger.value] += 1
    return {arm: dict(classes) for arm, classes in found.items()}


def _by_user(samples: Sequence[UploadSample]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for sample in samples:
        counts = found.setdefault(sample.user_id, Counter())
        counts["intents"] += 1
        counts["acks"] += sample.acked_at is not None
        counts["verified"] += sample.ledger is LedgerClass.VERIFIED
        counts["files"] += sample.visible_at is not None
    return {user: dict(counts) for user, counts in found.items()}


def _warn(warning: model.Warn) -> Warn:
    return Warn(**warning.model_dump(exclude={"trial"}))
