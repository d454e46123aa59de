"""The checks of the system: whether it restarted, refused, failed, or did other work than was planned."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.limits import REFUSED, rate_limiter, scenes
from loadtests.harness.checks.check import UNDISTURBED, Answers, caution, invalid, way
from loadtests.harness.intervals import ratio_of_sums
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.samples import Warn
from loadtests.harness.records.vocabulary import LedgerFlag
from loadtests.harness.wording import unit_of

FAILED = 0.01
MISCOUNT = 0.02


def restarted(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Another start time inside a stretch is another process."""
    for stretch in facts.stretches:
        inside = [look for look in facts.looks if stretch.began_at <= look.at <= stretch.ended_at]
        names = sorted(
            {
                name
                for before, after in pairwise(inside)
                for name, life in after.lives.items()
                if before.lives.get(name, life) != life
            }
        )
        if names:
            yield invalid(
                "restart-during-run",
                f"restarted in {stretch.stretch}: {', '.join(names)}",
                metric="restarted processes",
                value=len(names),
                limit=0,
                advice="read the log of the process",
                part=stretch.part,
            )


def limiter_in_force(facts: Facts, _: Answers) -> Iterator[Warn]:
    """What is refused is not measured, and arms that send more requests are refused sooner."""
    for part, scene in scenes(facts):
        found = rate_limiter(scene)
        if found:
            yield caution(
                "rate-limited",
                f"{found.what} set the numbers {way(facts, scene.arm)}: {found.evidence}",
                metric="share of uploads answered 429",
                limit=REFUSED,
                advice=found.advice,
                part=part.name,
            )


def uploads_failed(facts: Facts, _: Answers) -> Iterator[Warn]:
    for part, arm, periods in facts.turns(*UNDISTURBED):
        offered = arm.of_capacity is not None  # to refuse is what is asked there
        failed = sum(period.failed - (period.refused if offered else 0) for period in periods)
        begun = failed + sum(len(period.durable_s) for period in periods)
        if begun and failed / begun > FAILED:
            yield caution(
                "upload-errors",
                f"{failed} of {begun} {unit_of([arm])}s of {arm.name} failed",
                metric=f"share of failed {unit_of([arm])}s",
                value=round(failed / begun, 4),
                limit=FAILED,
                advice="read the failures by step in the ledger",
                part=part.name,
            )


def backlog_growing(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Where uploads are acknowledged before they are durable, promises may outrun storing."""
    if not any(table.flags.get(LedgerFlag.EARLY_ACK) for table in facts.ledgers):
        return
    for part, arm, periods in facts.turns(PartKind.COMPARE, PartKind.SIZES):
        growth = ratio_of_sums(
            [period.acknowledged - period.became_durable for period in periods],
            [period.counted_s for period in periods],
        )
        if growth.low is not None and growth.low > 0:
            yield caution(
                "backlog-growing",
                f"{arm.name} acknowledged {growth.value:.1f} uploads/s more than became durable",
                metric="lower end of the backlog's growth per second",
                value=round(growth.low, 4),
                limit=0,
                advice="ask for less load, until promises and stored files keep pace",
                part=part.name,
            )


def miscounted(_: Facts, answers: Answers) -> Iterator[Warn]:
    """The services' own counters against what the code of a strategy asks for."""
    for price in answers.prices:
        for what, measured, expected in (
            ("statements", price.statements, price.statements_expected),
            ("store requests", price.store_requests, price.store_requests_expected),
        ):
            if measured is None or not expected or abs(measured / expected - 1) <= MISCOUNT:
                continue
            yield caution(
                "count-differs",
                f"{price.arm} took {measured:.2f} {what} for one file, not {expected:g}",
                metric=f"{what} for one file",
                value=round(measured, 4),
                limit=expected,
                advice="look for retries and other traffic",
            )
