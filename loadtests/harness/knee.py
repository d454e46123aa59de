"""Whether an arm gains from more clients, and until how many: the knee as a range, or nothing.

Levels are arms that take turns, so that a machine that gets faster or slower within a minute neither feigns
a gain nor hides one. Gains are ratios of rates in the same round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from loadtests.harness.comparison import busy_cores, observed, rate_of, rate_per_s
from loadtests.harness.intervals import mean_ratio
from loadtests.harness.latency import merged, percentile
from loadtests.harness.periods import Block, units_of
from loadtests.harness.records.plan import Arm, Part, PartKind
from loadtests.harness.records.result import Interval, Knee, Level, Saturation, evidence_id

FEWEST_ROUNDS = 5
FEWEST_LEVELS = 3
STILL_GAINS = 1.03  # from a level to the next: the lower end of the gain is above it
GAINS_NO_MORE = 1.05  # from a level to all later ones: the upper end of the gain is below it
MORE_CLIENTS = 1.4  # "1.5 times the VUs", with room for rounding small numbers of VUs


def levels_by_arm(arms: Iterable[Arm]) -> dict[str, list[Arm]]:
    """Levels of each arm of the question, fewest VUs first."""
    found: dict[str, list[Arm]] = {}
    for arm in sorted(arms, key=lambda arm: arm.vus):
        found.setdefault(arm.of, []).append(arm)
    return found


def knees(part: Part, blocks: Sequence[Block]) -> tuple[Knee, ...]:
    """One for each arm whose levels the part visits, in the plan's order."""
    levels = levels_by_arm(part.arms)
    return tuple(_knee(name, levels[name], blocks) for name in dict.fromkeys(arm.of for arm in part.arms))


def _knee(name: str, levels: Sequence[Arm], blocks: Sequence[Block]) -> Knee:
    low, high, why_not = _range(levels, blocks)
    return Knee(
        id=evidence_id("knee", name),
        arm=name,
        levels=tuple(_level(level, blocks) for level in levels),
        low_vus=low,
        high_vus=high,
        reached=why_not is None,
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


def _range(levels: Sequence[Arm], blocks: Sequence[Block]) -> tuple[int | None, int | None, str | None]:
    """VUs up to which the arm gained, VUs from which it did not, and why there is no such range."""
    if len(levels) < FEWEST_LEVELS:
        return None, None, f"fewer than {FEWEST_LEVELS} numbers of clients were tried"
    rounds = len(blocks)
    if rounds < FEWEST_ROUNDS:
        return None, None, f"{rounds} rounds were measured, and it takes {FEWEST_ROUNDS}"
    steps = [gain(blocks, below, above) for below, above in pairwise(levels)]
    gained = [index for index, step in enumerate(steps) if step.low is not None and step.low > STILL_GAINS]
    if not gained:
        return None, None, f"no gain beyond {levels[0].vus}, the fewest tried, was shown"
    low = gained[-1]
    ends = [index for index in range(low + 1, len(levels) - 1) if _no_more(blocks, levels[index:])]
    if not ends:
        return levels[low].vus, None, f"a gain up to {levels[-1].vus}, the most tried, is not ruled out"
    return levels[low].vus, levels[ends[0]].vus, None


def _no_more(blocks: Sequence[Block], levels: Sequence[Arm]) -> bool:
    """Whether no later level is shown to gain over the first one, and none can gain as much as matters."""
    gains = [gain(blocks, levels[0], later) for later in levels[1:]]
    return all(g.low is not None and g.low <= 1 and (g.high or 0.0) < GAINS_NO_MORE for g in gains)


def gain(blocks: Sequence[Block], below: Arm, above: Arm) -> Interval:
    """Ratio of rates of two levels over rounds."""
    return mean_ratio([one.log for one in observed(blocks, below, above, rate_per_s)])


def saturations(
    parts: Iterable[Part], blocks: Mapping[str, Sequence[Block]], limit: float
) -> tuple[Saturation, ...]:
    """For each arm that ran against itself with more VUs: proven where a gain of ``limit`` is ruled out."""
    found = []
    for part in parts:
        if part.kind is not PartKind.SATURATION:
            continue
        for name, levels in levels_by_arm(part.arms).items():
            fewer, more = levels[0], levels[-1]
            gained = gain(blocks.get(part.name, ()), fewer, more)
            enough = more.vus >= MORE_CLIENTS * fewer.vus > 0
            found.append(
                Saturation(
                    id=evidence_id("saturation", name),
                    arm=name,
                    vus=fewer.vus,
                    more_vus=more.vus,
                    gain=gained,
                    limit=limit,
                    proven=enough and gained.high is not None and gained.high < 1 + limit,
                )
            )
    return tuple(found)
