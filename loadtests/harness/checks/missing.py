"""The checks of what is not there: audits, processor time, parts that were not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set

from loadtests.harness import cost
from loadtests.harness.analysis.facts import Facts
from loadtests.harness.checks.check import Answers, caution, invalid, title
from loadtests.harness.k6.tally import Failure
from loadtests.harness.ledger.table import unaudited
from loadtests.harness.periods import TOO_MANY
from loadtests.harness.records.plan import Arm, Part, PartKind
from loadtests.harness.records.samples import UploadSample, Warn
from loadtests.harness.records.vocabulary import DOWNLOADED, Severity
from loadtests.harness.wording import listed, size

NOT_MEASURED = "not-measured"
# What answers a question with arms that may all succeed: none is killed, or offered more than fits.
ASKED = (
    PartKind.COMPARE, PartKind.LEVELS, PartKind.NEIGHBOURS, PartKind.SIZES, PartKind.CROWD, PartKind.FLEET,
)  # fmt: skip


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


def measurements(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Arms and sizes of a part of which every upload failed; what a limiter refused is told elsewhere."""
    part_of = {stretch.stretch: stretch.part for stretch in facts.stretches}
    seen: dict[tuple[str | None, str], list[UploadSample]] = {}
    for one in facts.uploads:
        seen.setdefault((part_of.get(one.stretch), one.arm), []).append(one)
    for part in facts.parts(*ASKED):
        own = {arm.name: seen.get((part.name, arm.name), []) for arm in part.arms}
        vain = {name: found for name, found in own.items() if _in_vain(found)}
        failures = Counter(
            Failure(one.failed_step, one.failed_status, one.failed_code)
            for found in vain.values()
            for one in found
        )
        if not failures:
            continue
        ((what, times),) = failures.most_common(1)
        names = dict.fromkeys(_called(facts, part, part.arm(name), vain.keys()) for name in vain)
        yield caution(
            NOT_MEASURED,
            f"not measured: {listed(list(names))}, of which all {failures.total():,} transfers failed, "
            f"{times:,} of them so: {what}",
            metric=f"arms of {part.name} without a success",
            value=len(vain),
            limit=0,
            advice="make status says what is wrong with the system, and how full its disk is",
            part=part.name,
        )


def _in_vain(found: Sequence[UploadSample]) -> bool:
    failed = all(one.failed_at is not None and not one.verified for one in found)
    return failed and any(one.failed_status != TOO_MANY for one in found)


def _called(facts: Facts, part: Part, arm: Arm, vain: Set[str]) -> str:
    """A size at which no arm had a success, an arm of the question that had none, or one of its loads."""
    if part.kind is PartKind.SIZES:
        alike = {one.name for one in part.arms if one.file_size_bytes == arm.file_size_bytes}
        if vain >= alike:
            return f"files of {size(arm.file_size_bytes)}"
    whole = vain >= {one.name for one in part.arms if one.of == arm.of}
    return title(facts, arm.of if whole else arm.name)
