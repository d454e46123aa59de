"""The checks of the load: whether k6 failed, was at its end or late, and whether clients kept their pace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from loadtests.harness import cost
from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.limits import K6_CEILING, K6_SHARE, load_generator, scenes
from loadtests.harness.checks.check import Answers, caution, invalid, way
from loadtests.harness.latency import merged
from loadtests.harness.periods import Period
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.samples import Warn
from loadtests.harness.testbeds.network import Link

OFFERED = 0.99
SLIP = 0.05
FEWEST_ARRIVALS = 20
LINES_FILLED = 0.7  # of what slow lines allow; the rest is what a server needs for each upload anyway
_LESS_LOAD = "ask for less load, or run k6 on processors of its own"


def failed(facts: Facts, _: Answers) -> Iterator[Warn]:
    if facts.manifest.interrupted:
        return
    if facts.load is None and facts.manifest.ended_at is not None:
        yield invalid(
            "generator-failed",
            "k6 did not come to its end, or what it said then is gone",
            metric="ends of k6",
            value=0,
            limit=1,
            advice="read k6's log",
        )
    if facts.load is not None and facts.load.exit_code:
        code = facts.load.exit_code
        yield invalid(
            "generator-failed",
            f"k6 ended with code {code}",
            metric="exit code of k6",
            value=code,
            limit=0,
            advice="read k6's log",
        )


def at_its_end(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Where k6 was at its end, it may be what was measured: that voids the comparison."""
    for part, scene in scenes(facts):
        found = load_generator(scene)
        if found:
            warn = invalid if part.kind is PartKind.COMPARE else caution
            yield warn(
                "generator-limited",
                f"k6 may be what was measured ({scene.arm.name}): {found.evidence}",
                metric=f"share of k6's cores, or of its ceiling (limit {K6_CEILING:g})",
                limit=K6_SHARE,
                advice=_LESS_LOAD,
                part=part.name,
            )


def fell_behind(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Beside open arrivals: fewer begun than were due means that k6 fell behind."""
    for part in facts.parts(PartKind.NEIGHBOURS, PartKind.CROWD):
        own = facts.periods[part.name]
        begun = Counter(
            step.step for step in facts.steps if _due_in(step.scheduled_at or step.started_at, own)
        )
        seconds = sum(period.counted_s for period in own)
        for step, rate in (("login", part.login_rate_per_s), ("list", part.list_rate_per_s)):
            share = (begun[step] + len(own)) / (rate * seconds) if rate and seconds else 1.0
            if share < OFFERED:
                yield caution(
                    "offered-rate-missed",
                    f"only {begun[step]} of {rate * seconds:.0f} {step} requests were begun",
                    metric=f"begun over offered {step} requests",
                    value=round(share, 4),
                    limit=OFFERED,
                    advice=_LESS_LOAD,
                    part=part.name,
                )


def _due_in(at: float, periods: Sequence[Period]) -> bool:
    return any(period.begin <= at < period.end for period in periods)


def late(facts: Facts, _: Answers) -> Iterator[Warn]:
    """An arrival that k6 begins late is its own queue, not the system's."""
    delays = np.array(
        [one.intent_at - one.due_at for one in facts.uploads if one.scheduled_at is not None]
        + [one.started_at - one.scheduled_at for one in facts.steps if one.scheduled_at is not None]
    )
    open_parts = facts.parts(PartKind.NEIGHBOURS)
    waits = merged(period.acked_s for part in open_parts for period in facts.periods[part.name])
    if len(delays) < FEWEST_ARRIVALS or not len(waits):
        return
    late_s, usual_s = float(np.quantile(delays, 0.99)), float(np.median(waits))
    if late_s / usual_s > SLIP:
        yield caution(
            "slip",
            f"the load generator was late itself: 1 of 100 arrivals began more than {late_s * 1000:.0f} ms "
            f"after it was due, where an upload takes {usual_s * 1000:.0f} ms; that wait is counted",
            metric="p99 of delays over p50 to acknowledgement",
            value=round(late_s / usual_s, 4),
            limit=SLIP,
            advice=_LESS_LOAD,
        )


def above_capacity(facts: Facts, answers: Answers) -> Iterator[Warn]:
    """Others are watched beside uploads below the capacity of every arm."""
    rates = [arm.uploads_per_s.value for one in answers.comparisons[:1] for arm in one.arms]
    capacity = min((rate for rate in rates if rate is not None), default=None)
    for part in facts.parts(PartKind.NEIGHBOURS):
        offered = max((arm.rate_per_s or 0.0 for arm in part.arms), default=0.0)
        if capacity is not None and offered > capacity:
            yield caution(
                "rate-above-capacity",
                f"{offered:.1f} uploads/s were offered; the slowest arm does {capacity:.1f}",
                metric="offered uploads/s",
                value=offered,
                limit=round(capacity, 3),
                advice="offer less",
                part=part.name,
            )


def slower_than_lines(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Slow clients whose lines do not set the pace wait for the system: what they hold is then not theirs."""
    link = Link(facts.plan.rtt_ms, facts.plan.bandwidth_mbit)
    for part, arm, periods in facts.turns(PartKind.CROWD):
        alone_s = link.transfer_s(arm.file_size_bytes)
        did_per_s = cost.uploads_in(periods) / sum(period.counted_s for period in periods)
        share = did_per_s * alone_s / arm.vus
        if alone_s and share < LINES_FILLED:
            yield caution(
                "slower-than-lines",
                f"{did_per_s:.0f} uploads/s {way(facts, arm)}, where the lines of {arm.vus} clients allow "
                f"{arm.vus / alone_s:.0f}: they waited for the machine as well",
                metric="uploads/s over what the lines allow",
                value=round(share, 4),
                limit=LINES_FILLED,
                advice="close other programs, or use a machine with more processors",
                part=part.name,
            )
