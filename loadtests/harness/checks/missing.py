"""The checks of what is not there: audits, processor time, parts that were not run."""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.harness import cost
from loadtests.harness.analysis.facts import Facts
from loadtests.harness.checks.check import Answers, caution, invalid
from loadtests.harness.ledger.table import unaudited
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.samples import Warn
from loadtests.harness.records.vocabulary import DOWNLOADED, Severity


def audits(facts: Facts, _: Answers) -> Iterator[Warn]:
    missing = unaudited(facts.stretches, facts.ledgers)
    if missing:
        killed = facts.manifest.ended_at is None
        why = "the run was cut off before its end: " if killed else ""
        yield invalid(
            "not-ended" if killed else "missing-samples",
            f"{why}nobody audited {', '.join(missing[:5])}",
            metric="stretches without an audit",
            value=len(missing),
            limit=0,
            advice="run it again" if killed else "keep the bundle whole",
        )


def samples(facts: Facts, _: Answers) -> Iterator[Warn]:
    """What the audits judged must be there: every upload is written down before its audit's table is."""
    played = {one.stretch for one in facts.stretches}
    gone = sorted({name for table in facts.ledgers for name in table.stretches} - played)
    judged = sum(table.intents for table in facts.ledgers)
    kept = sum(DOWNLOADED not in upload.flags for upload in facts.uploads)
    for what, lost in (("stretches", len(gone)), ("uploads", max(0, judged - kept))):
        if lost:
            yield invalid(
                "missing-samples",
                f"records of {lost:,} {what} that were audited are gone",
                metric=f"{what} audited and gone",
                value=lost,
                limit=0,
                advice="keep the bundle whole",
            )


def processor_time(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Without the processor time of our services or of k6 there is no price."""
    for part, arm, periods in facts.turns(PartKind.COMPARE, PartKind.SIZES):
        lacking = sum(
            cost.spent(period, arm).ours is None or cost.GENERATOR not in period.cpu_s for period in periods
        )
        if lacking and facts.unseen(arm.name):
            yield Warn(
                code="no-price",
                severity=Severity.INFO,
                message=f"what an upload costs {arm.name} is not known",
                metric="periods without processor time",
                value=lacking,
                limit=0,
                advice="name its processes: PIDS=file, with `name pid` in each line",
                part=part.name,
            )
        elif lacking:
            yield caution(
                "missing-samples",
                f"{lacking} periods of {arm.name} lack processor time",
                metric="periods without processor time",
                value=lacking,
                limit=0,
                advice="make doctor",
                part=part.name,
            )


def parts(facts: Facts, _: Answers) -> Iterator[Warn]:
    begun = {part.name for part in facts.parts(*PartKind)}
    missing = [part.name for part in facts.plan.parts if part.name not in begun]
    if missing:
        yield caution(
            "not-reached",
            f"not measured: {', '.join(missing)}",
            metric="parts not run",
            value=len(missing),
            limit=0,
            advice="run it again to the end",
        )
