"""Whether arms gain from more clients, and until how many: the knee as a range, or the end that is known.

Levels are arms that take turns, so that a machine that gets faster or slower within a minute neither feigns
a gain nor hides one. Gains are ratios of rates in neighbouring turns of the same round.

A minute is too short to find the knee of each arm: the mean of five gains that spread by 9 % is known to
±11 %, and gains above 10 % are to be told from those below. So the gains of all arms in all rounds are units
of one mean. What the arms differ by widens its interval, so that it says little where some gain and others
do not. Each arm by itself is judged by the same rule, for the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from loadtests.harness.comparison import busy_cores, observed, rate_of, rate_per_s
from loadtests.harness.intervals import mean_ratio
from loadtests.harness.latency import merged, percentile
from loadtests.harness.order import levels_by_arm
from loadtests.harness.periods import Block, units_of
from loadtests.harness.plan.warm_up import GAIN
from loadtests.harness.records.plan import Arm, Part
from loadtests.harness.records.result import CommonKnee, Interval, Knee, Level, Step, evidence_id
from loadtests.harness.wording import percent

FEWEST_ROUNDS = 5
FEWEST_LEVELS = 3


def knees(part: Part, blocks: Sequence[Block]) -> tuple[Knee, ...]:
    """One for each arm whose levels the part visits, in the plan's order."""
    levels = levels_by_arm(part.arms)
    return tuple(_knee(name, levels[name], blocks) for name in dict.fromkeys(arm.of for arm in part.arms))


def common_knee(part: Part, blocks: Sequence[Block]) -> CommonKnee:
    """Of all arms whose levels the part visits; each has the same numbers of clients."""
    steps = _steps(list(levels_by_arm(part.arms).values()), blocks)
    low, high, why_not = _ends(steps, len(blocks))
    return CommonKnee(
        id=evidence_id("knee"), steps=steps, limit=GAIN, low_vus=low, high_vus=high, why_not=why_not
    )


def _knee(name: str, levels: Sequence[Arm], blocks: Sequence[Block]) -> Knee:
    low, high, why_not = _ends(_steps([levels], blocks), len(blocks))
    return Knee(
        id=evidence_id("knee", name),
        arm=name,
        levels=tuple(_level(level, blocks) for level in levels),
        low_vus=low,
        high_vus=high,
        reached=low is not None and high is not None,
        why_not=why_not,
    )


def _level(level: Arm, blocks: Sequence[Block]) -> Level:
    rounds = units_of(blocks, level.name, replicated=False)
    return Level(
        vus=level.vus,
        uploads_per_s=rate_of(rounds),
        durable_p95_ms=percentile(merged(p.durable_s for periods in rounds for p in periods), 0.95).ms.value,
        busy_cores=busy_cores(rounds).value,
    )


def _steps(arms: Sequence[Sequence[Arm]], blocks: Sequence[Block]) -> tuple[Step, ...]:
    """``arms`` are the levels of each."""
    found = []
    for pairs in zip(*(pairwise(levels) for levels in arms), strict=True):
        below, above = pairs[0]
        logs = [one.log for base, more in pairs for one in observed(blocks, base, more, rate_per_s)]
        found.append(step(below.vus, above.vus, logs))
    return tuple(found)


def step(vus: int, more_vus: int, logs: Sequence[float]) -> Step:
    """From the logarithms of its gains, one for each unit."""
    gain = mean_ratio(logs)
    matters = None
    if gain.low is not None and gain.low > 1 + GAIN:
        matters = True
    elif gain.high is not None and gain.high < 1 + GAIN:
        matters = False
    return Step(vus=vus, more_vus=more_vus, gain=gain, matters=matters)


def _ends(steps: Sequence[Step], rounds: int) -> tuple[int | None, int | None, str | None]:
    """Both ends, and why neither is known."""
    if len(steps) + 1 < FEWEST_LEVELS:
        return None, None, f"fewer than {FEWEST_LEVELS} numbers of clients were tried"
    if rounds < FEWEST_ROUNDS:
        return None, None, f"{rounds} rounds were measured, and it takes {FEWEST_ROUNDS}"
    low, high = ends_of(steps)
    if low is None and high is None:
        return None, None, f"neither a gain of {percent(GAIN)} nor its absence was shown"
    return low, high, None


def ends_of(steps: Sequence[Step]) -> tuple[int | None, int | None]:
    """VUs beyond which more still brought what matters, and VUs from which on they did not.

    The upper end is sought from the top downwards, as far as every step is shown not to matter: a fixed order
    of tests, so that many levels make a wrong end no likelier than one does.
    """
    flat_from = len(steps)
    while flat_from and steps[flat_from - 1].matters is False:
        flat_from -= 1
    gained = [one.vus for one in steps[:flat_from] if one.matters]
    return gained[-1] if gained else None, steps[flat_from].vus if flat_from < len(steps) else None


def gain(blocks: Sequence[Block], below: Arm, above: Arm) -> Interval:
    """Ratio of rates of two levels over rounds."""
    return mean_ratio([one.log for one in observed(blocks, below, above, rate_per_s)])
