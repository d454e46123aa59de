"""How often the verdict is right: simulated switchbacks, judged by the same code as measured ones.

``docs/statistics.md`` shows the figures, and a test holds them to their limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from loadtests.harness.intervals import ratio_of_sums
from loadtests.harness.periods import Samples
from loadtests.harness.records.plan import Arm, Part, PartKind, Stretch
from loadtests.harness.records.result import Interval, Verdict
from loadtests.harness.records.samples import UploadSample
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.verdict import (
    ALPHA,
    Observed,
    Rule,
    blocks_wanted,
    estimate,
    far_enough,
    holm,
    interval_of,
    judge,
    units_of,
)

Floats = NDArray[np.float64]
SEED = 12
RUNS = 2000
EQUAL_RUNS = 8000  # of equal arms: a share of 5 % is then known to half a percent
PERIOD_S, WASHOUT_S = 1.5, 0.375  # as in profile ci
IN_BLOCK = 4
SWITCHES = np.array([[0, 1, 1, 0], [1, 0, 0, 1]])  # which arm's turn: ABBA, BAAB
CI = Rule(margin=0.10, precision=0.05, first_blocks=12)
STACKS = replace(CI, precision=0.10, first_blocks=24, replicated=True)
MOST_BLOCKS = 48  # about five minutes
NOISE = 0.05  # standard deviation of a block's log ratio where nothing else is said


@dataclass(frozen=True, slots=True)
class Load:
    """What happens to the logarithm of the rate in every period: runs x periods; ``turns`` says whose."""

    turns: NDArray[np.int64]
    random: np.random.Generator

    @property
    def shape(self) -> tuple[int, ...]:
        return self.turns.shape

    def noise(self, spread: float) -> Floats:
        """Independent from period to period; a block's log ratio has the same spread."""
        return self.random.normal(0.0, spread, self.shape)


Disturbance = Callable[[Load], Floats]


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of runs."""

    covered: float  # the interval holds the true ratio
    shown: float  # a difference is shown
    named: float  # a winner is named
    reversed: float  # the wrong one of the two
    blocks: float  # median


def played(disturbance: Disturbance, difference: float, most_blocks: int, carried: float = 0.0) -> Floats:
    """Log ratios of B over A, runs x blocks. ``carried`` of what a period did stays for the next one."""
    random, runs = np.random.default_rng(SEED), RUNS if difference else EQUAL_RUNS
    turns = SWITCHES[random.integers(2, size=(runs, most_blocks))].reshape(runs, -1)
    log_rates = disturbance(Load(turns, random)) + math.log1p(difference) * turns
    before = np.concatenate([log_rates[:, :1], log_rates[:, :-1]], axis=1)
    log_rates = (1 - carried) * log_rates + carried * before
    signs = np.where(turns == 1, 0.5, -0.5)
    logs: Floats = (log_rates * signs).reshape(runs, most_blocks, IN_BLOCK).sum(axis=2)
    return logs


def judged(logs: Floats, difference: float, rule: Rule, blocks_per_making: int = 1) -> Rates:
    """Every run stopped and judged as a measured one would be."""
    seen = [_judged(run, rule, blocks_per_making) for run in logs]
    truth, right = 1 + difference, Verdict.LESS if difference < 0 else Verdict.MORE
    return Rates(
        covered=_share((ratio.low or 0.0) <= truth <= (ratio.high or np.inf) for ratio, _, _ in seen),
        shown=_share(verdict in (Verdict.MORE, Verdict.LESS) for _, verdict, _ in seen),
        named=_share(far_enough(ratio, verdict, rule.margin) for ratio, verdict, _ in seen),
        reversed=_share(verdict in (Verdict.MORE, Verdict.LESS) and verdict is not right
                        for _, verdict, _ in seen),
        blocks=float(np.median([blocks for _, _, blocks in seen])),
    )  # fmt: skip


def _judged(logs: Floats, rule: Rule, blocks_per_making: int) -> tuple[Interval, Verdict, int]:
    observed = [Observed(index // blocks_per_making, log) for index, log in enumerate(logs.tolist())]
    blocks = min(len(observed), blocks_wanted(observed[: rule.first_blocks], rule))
    units, first = units_of(observed[:blocks], rule)
    found = estimate(units, first)
    ratio = interval_of(found)
    return ratio, judge(ratio, rule.margin, found.p), blocks


def _share(cases: Iterable[bool]) -> float:
    return float(np.mean(list(cases)))


def independent(spread: float) -> Disturbance:
    return lambda load: load.noise(spread)


even = independent(NOISE)


def drift(load: Load) -> Floats:
    """From 30 % slower to 30 % faster over the run, or the other way round."""
    way = load.random.choice([-1.0, 1.0], size=(load.shape[0], 1))
    return load.noise(NOISE) + way * np.linspace(-0.3, 0.3, load.shape[1])


def wandering(load: Load) -> Floats:
    """A random walk: the machine forgets nothing."""
    return load.noise(NOISE) + np.cumsum(load.noise(0.03), axis=1)


def autoregressive(memory: float) -> Disturbance:
    """AR(1) by period, 10 % around the mean."""

    def disturb(load: Load) -> Floats:
        steps = load.noise(0.10 * math.sqrt(1 - memory**2))
        values = np.empty(load.shape)
        values[:, 0] = load.random.normal(0.0, 0.10, load.shape[0])
        for index in range(1, load.shape[1]):
            values[:, index] = memory * values[:, index - 1] + steps[:, index]
        return values

    return disturb


def periodic(every_s: float) -> Disturbance:
    """A wave of 10 % as its mean over the counted part of each period, its phase drawn for each run."""

    def disturb(load: Load) -> Floats:
        phase = load.random.uniform(0, 2 * np.pi, (load.shape[0], 1))
        begin = PERIOD_S * np.arange(load.shape[1]) + WASHOUT_S
        end, turn = begin + PERIOD_S - WASHOUT_S, 2 * np.pi / every_s
        wave = np.cos(turn * begin + phase) - np.cos(turn * end + phase)
        return load.noise(NOISE) + 0.10 * wave / (turn * (end - begin))

    return disturb


def outliers(load: Load) -> Floats:
    """One period in thirty loses half its rate."""
    return load.noise(NOISE) + math.log(0.5) * (load.random.random(load.shape) < 1 / 30)


def switching(load: Load) -> Floats:
    """The first turn after the other arm's is 20 % slower, whichever arm that is."""
    changed = np.zeros(load.shape, dtype=bool)
    changed[:, 1:] = load.turns[:, 1:] != load.turns[:, :-1]
    return load.noise(NOISE) + math.log(0.8) * changed


def one_sided(load: Load) -> Floats:
    """B leaves work behind: what follows it is 20 % slower. This is what no order of turns evens out."""
    after_b = np.zeros(load.shape, dtype=bool)
    after_b[:, 1:] = load.turns[:, :-1] == 1
    return load.noise(NOISE) + math.log(0.8) * after_b


WAVES_S = (1.0, 2.0, 3.0, 5.0, 6.0, 9.0, 12.0, 17.0, 24.0, 30.0, 60.0)
SCENES: dict[str, tuple[Disturbance, float]] = {
    "independent noise": (even, 0.0),
    "drift of 60 %": (drift, 0.0),
    "random walk, 3 % a period": (wandering, 0.0),
    **{
        f"AR(1), {memory:g} from period to period": (autoregressive(memory), 0.0)
        for memory in (0.5, 0.9, 0.99)
    },
    **{f"a wave of 10 % every {every:g} s": (periodic(every), 0.0) for every in WAVES_S},
    "outliers: 1 period in 30 loses half": (outliers, 0.0),
    "carry-over of 20 %": (even, 0.2),
    "carry-over of 20 % and AR(1), 0.9": (autoregressive(0.9), 0.2),
    "20 % slower after every switch": (switching, 0.0),
}


def coverage() -> dict[str, tuple[Rates, Rates]]:
    """By scene: two equal arms, and B 10 % faster."""
    return {
        name: (
            judged(played(disturbance, 0.0, MOST_BLOCKS, carried), 0.0, CI),
            judged(played(disturbance, 0.1, MOST_BLOCKS, carried), 0.1, CI),
        )
        for name, (disturbance, carried) in SCENES.items()
    }


def left_behind() -> Rates:
    """Two equal arms one of which slows whatever follows it."""
    return judged(played(one_sided, 0.0, MOST_BLOCKS), 0.0, CI)


SPREADS, DIFFERENCES, BUDGETS = (0.03, 0.05, 0.07, 0.10), (0.05, 0.10), (14, 48)


def power() -> dict[tuple[float, float, int], Rates]:
    """By spread of a block's log ratio, difference and most blocks."""
    return {
        (spread, difference, most): judged(played(independent(spread), difference, most), difference, CI)
        for spread in SPREADS
        for difference in DIFFERENCES
        for most in BUDGETS
    }


PLANTED = 0.07  # by which two stacks of equal code differ here
PER_MAKING = 4  # blocks
MAKINGS = MOST_BLOCKS // PER_MAKING


def stacks() -> dict[str, Rates]:
    """Equal code on two stacks that differ by themselves: the interval over blocks and over makings."""
    random = np.random.default_rng(SEED)
    shape, fixed = (EQUAL_RUNS, MAKINGS), math.log1p(PLANTED)
    once = fixed * random.choice([-1.0, 1.0], size=(EQUAL_RUNS, 1)) * np.ones(shape)
    tossed = fixed * random.choice([-1.0, 1.0], size=shape)
    in_pairs = random.choice([-1.0, 1.0], size=(EQUAL_RUNS, MAKINGS // 2, 1)) * np.array([1.0, -1.0])
    return {
        "one pair of stacks, blocks as units": _on_stacks(once, CI),
        "made anew, every making differs by chance": _on_stacks(random.normal(0.0, fixed, shape), STACKS),
        "made anew, one place always faster, a coin gives it to an arm": _on_stacks(tossed, STACKS),
        "made anew, one place always faster, arms swap it": _on_stacks(
            fixed * in_pairs.reshape(shape), STACKS
        ),
    }


def _on_stacks(offset: Floats, rule: Rule) -> Rates:
    logs = played(even, 0.0, MOST_BLOCKS) + np.repeat(offset, PER_MAKING, axis=1)
    return judged(logs, 0.0, rule, PER_MAKING)


def three_arms() -> float:
    """Share of runs of three equal arms in which any pair is shown to differ, after Holm."""
    random = np.random.default_rng(SEED)
    logs = random.normal(0.0, NOISE / math.sqrt(2), (EQUAL_RUNS, 3, CI.first_blocks))
    return _share(_any_shown(run) for run in logs)


def _any_shown(logs: Floats) -> bool:
    """Whether any of three arms is shown to differ from another, after Holm."""
    found = [estimate((logs[b] - logs[a]).tolist(), CI.first_blocks) for a, b in combinations(range(3), 2)]
    return min(holm([1.0 if one.p is None else one.p for one in found])) <= ALPHA


@dataclass(frozen=True, slots=True)
class Counting:
    """Rate found over true rate for three ways to count."""

    by_share: float
    whole_only: float
    by_end: float


def counting(upload_s: float, vus: int = 16, blocks: int = 120) -> Counting:
    """A closed loop of one arm against a second that takes half as long; the first is counted."""
    random = np.random.default_rng(SEED)
    turns = SWITCHES[random.integers(2, size=blocks)].reshape(-1)
    end_s = PERIOD_S * len(turns)
    began, ended, arms = _loops(random, turns, upload_s, vus)
    stretch = Stretch(
        stretch="s", part="p", t0=0.0, period_s=PERIOD_S, washout_s=WASHOUT_S,
        order=tuple("AB"[turn] for turn in turns), blocks=tuple(i // IN_BLOCK for i in range(len(turns))),
    )  # fmt: skip
    samples = [_upload(*row) for row in zip(began.tolist(), ended.tolist(), arms.tolist(), strict=True)]
    periods = [p for p in Samples(samples, ()).periods(_part(), [stretch]) if p.arm == "A"]
    share = ratio_of_sums([p.uploads for p in periods], [p.counted_s for p in periods]).value or 0.0
    into_begin, into_end = (np.where(times < end_s, times, 0.0) % PERIOD_S for times in (began, ended))
    own = (arms == 0) & (ended < end_s)
    counted = (
        own & (into_end >= WASHOUT_S) & (turns[(np.minimum(ended, end_s - 1) // PERIOD_S).astype(int)] == 0)
    )
    whole = counted & (into_begin >= WASHOUT_S) & (began // PERIOD_S == ended // PERIOD_S)
    seconds, true_rate = sum(p.counted_s for p in periods), vus / upload_s
    return Counting(share / true_rate, whole.sum() / seconds / true_rate, counted.sum() / seconds / true_rate)


def _loops(
    random: np.random.Generator, turns: NDArray[np.int64], upload_s: float, vus: int
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Begin, end and arm of every upload of VUs that look whose turn it is before each."""
    rows, spread = [], 0.4
    for _ in range(vus):
        now = random.uniform(0, upload_s)
        while now < PERIOD_S * len(turns):
            turn = int(turns[int(now // PERIOD_S)])
            mean = upload_s / (turn + 1)
            took = mean * random.lognormal(-(spread**2) / 2, spread)
            rows.append((now, now + took, turn))
            now += took
    table = np.array(rows)
    return table[:, 0], table[:, 1], table[:, 2].astype(np.int64)


def _upload(began: float, ended: float, arm: int) -> UploadSample:
    return UploadSample(
        upload_ref="u", stretch="s", arm="AB"[arm], user_id="u", size_bytes=1, intent_at=began,
        started_at=began, acked_at=ended, durable_at=ended, ledger=LedgerClass.VERIFIED,
    )  # fmt: skip


def _part() -> Part:
    arms = tuple(
        Arm(name=name, of=name, title=name, colour="#000000", strategy=name, file_size_bytes=1, piece_bytes=1,
            vus=1)
        for name in "AB"
    )  # fmt: skip
    return Part(name="p", kind=PartKind.COMPARE, arms=arms, period_s=PERIOD_S, washout_s=WASHOUT_S,
                first_blocks=CI.first_blocks, most_blocks=MOST_BLOCKS)  # fmt: skip


UPLOADS_S = (0.1, 0.3, 0.5)


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that the page says and the test asserts, from one simulation."""

    coverage: dict[str, tuple[Rates, Rates]]
    left_behind: Rates
    power: dict[tuple[float, float, int], Rates]
    stacks: dict[str, Rates]
    three_arms: float
    counting: dict[float, Counting]


def simulate() -> Findings:
    by_length = {upload_s: counting(upload_s) for upload_s in UPLOADS_S}
    return Findings(coverage(), left_behind(), power(), stacks(), three_arms(), by_length)
