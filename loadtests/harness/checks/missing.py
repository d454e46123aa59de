"""The checks of what is not there: audits, processor time, parts that were not run."""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.harness import cost
from loadtests.harness.checks.check import Answers, caution, invalid
from loadtests.harness.facts import Facts
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.samples import Warn
from loadtests.harness.records.vocabulary import Severity


def audits(facts: Facts, _: Answers) -> Iterator[Warn]:
    audited = {name for table in facts.ledgers for name in table.stretches}
    missing = [stretch.stretch for stretch in facts.stretches if stretch.stretch not in audited]
    if missing:
        yield invalid(
            "missing-samples",
            f"nobody audited {', '.join(missing[:5])}",
            metric="stretches without an audit",
            value=len(missing),
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
