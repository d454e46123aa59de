"""What was played and not audited yet: from k6's lines and the services' counters to the bundle.

An audit covers all stretches since the last one. It judges every upload of every stack, and what it judged is
deleted before the load goes on. Downloads were judged by k6, which has their bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.harness.k6.console import Lines, Played, by_stack, read_tail
from loadtests.harness.k6.rows import Rows
from loadtests.harness.ledger.audit import Piece
from loadtests.harness.ledger.evidence import Baseline
from loadtests.harness.load import Shelf, Stocked, shelf_of
from loadtests.harness.metrics.counters import Scrape, differences
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.records.plan import Part, Stretch
from loadtests.harness.records.samples import Counted, UploadSample, Warn
from loadtests.harness.running import stock
from loadtests.harness.running.rig import Rig


@dataclass(slots=True)
class Books:
    """Keeps account of one run."""

    rig: Rig
    rows: Rows
    writer: BundleWriter
    console: Path
    seed: int
    warnings: list[Warn] = field(default_factory=list)
    audits: int = 0
    open: list[str] = field(default_factory=list)  # stretches that were not audited
    killed: set[str] = field(default_factory=set)  # stacks of which a process was killed on purpose in these
    stocked: dict[Shelf, list[Stocked]] = field(default_factory=dict)  # files that are there to be downloaded
    _prepared: dict[str, Lines] = field(default_factory=dict)  # their uploads, by stack
    _offset: int = 0
    played: dict[int, Played] = field(default_factory=dict)
    _counted: list[Counted] = field(default_factory=list)
    _scrapes: dict[str, dict[str, Scrape]] = field(default_factory=dict)
    _baselines: dict[str, Baseline] = field(default_factory=dict)

    async def clean(self) -> None:
        """Nothing of the harness's users is left on any stack."""
        self.stocked.clear()
        for stack, hold in self.rig.holds.items():
            cleaned = await hold.cleaner.clean()
            first = stack not in self._baselines
            self._baselines[stack] = cleaned.baseline
            if first and cleaned.baseline.files:
                self.rig.event("other-files", stack=stack, files=cleaned.baseline.files)

    def forget(self) -> None:
        """The stacks are others now, and nobody's files are on them."""
        self._baselines = {}
        self.played.clear()
        self.stocked.clear()
        self._prepared.clear()

    async def stock(self, part: Part) -> None:
        """Have the files that the part's arms download; those that an audit deleted are put there again.
        Raises ``StockFailed``."""
        wanted: dict[Shelf, int] = {}
        for arm in part.arms:
            if arm.download is not None:
                wanted[shelf_of(arm)] = max(arm.files, wanted.get(shelf_of(arm), 0))
        for (stack, size_bytes), files in wanted.items():
            there = self.stocked.setdefault((stack, size_bytes), [])
            lines = self._prepared.setdefault(stack, Lines())
            missing = max(0, files - len(there))
            there += await stock.put(self.rig.holds[stack], self.rows, size_bytes, missing, lines)

    async def begin(self) -> None:
        """Read the services' counters before a stretch."""
        self._scrapes = {stack: await hold.counters() for stack, hold in self.rig.holds.items()}

    def play(self, number: int, stretch: Stretch, part: Part) -> None:
        """This stretch begins; lines with its number are its own."""
        self.played[number] = Played(
            stretch=stretch.stretch,
            arms=tuple(arm.name for arm in part.arms),
            stacks=tuple(arm.stack for arm in part.arms),
            user_ids=tuple([u.user_id for u in self.rig.holds[arm.stack].identities] for arm in part.arms),
        )
        self.open.append(stretch.stretch)

    async def end(self, stretch: Stretch) -> None:
        """Read the services' counters after it."""
        for stack, hold in self.rig.holds.items():
            before, after = self._scrapes[stack], await hold.counters()
            self._counted.append(differences(before, after, stack=stack, stretches=(stretch.stretch,)))

    async def audit(self, *, clients_came_back: bool = True) -> list[UploadSample]:
        """Judge everything since the last audit, write it down and delete it. Returns uploads and downloads.

        ``clients_came_back``: every VU asked for more; an upload without an outcome was dropped in silence.
        """
        raw, self._offset = read_tail(self.console, self._offset)
        stretches, self.open = tuple(self.open), []
        rows = self.rows.given()
        judged: list[UploadSample] = []
        for stack, lines in by_stack(raw, self.played).items():
            hold, prepared = self.rig.holds[stack], self._prepared.pop(stack, Lines())
            lines.intents += prepared.intents
            lines.outcomes += prepared.outcomes
            piece = Piece(
                self.audits,
                stack,
                stretches,
                self.seed + self.audits,
                clients_came_back,
                killed=stack in self.killed,
            )
            audit = await hold.auditor.audit(piece, lines, baseline=self._baselines[stack], rows=rows)
            samples = [*audit.samples, *lines.downloads]
            self.writer.append_uploads(samples)
            self.writer.append_steps(sorted(lines.steps, key=lambda step: step.started_at))
            self.writer.append_ledger(audit.table)
            self.warnings += audit.warnings
            judged += samples
            self._count(stack, samples)
        self.killed.clear()
        self.audits += 1
        await self.clean()
        return judged

    def _count(self, stack: str, samples: Sequence[UploadSample]) -> None:
        """Write down what was counted over this stack's stretches, with the samples that are verified now."""
        verified: dict[str, Counter[str]] = {}
        for sample in samples:
            verified.setdefault(sample.stretch, Counter())[sample.arm] += sample.verified
        mine = [one for one in self._counted if one.stack == stack]
        self._counted = [one for one in self._counted if one.stack != stack]
        self.writer.append_counted(
            [one.model_copy(update={"uploads": dict(verified.get(one.stretches[0], {}))}) for one in mine]
        )
