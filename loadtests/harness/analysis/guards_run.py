"""Guards that need the samples, or several trials: each is a function of the facts of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from loadtests.harness.analysis import guards_samples, saturation
from loadtests.harness.analysis.facts import Facts, merge_warnings
from loadtests.harness.analysis.guards_measures import cpu_s, uploads_expected
from loadtests.harness.analysis.stats import MIN_PAIRS, excludes_one, ratio_of_pairs
from loadtests.harness.records.model import Question, Severity, Trial, Warn
from loadtests.harness.records.notes import ceilings

K6_DIFFERENCE_LIMIT = 0.10
CEILING_LIMIT = 0.5
OWN_CORES = 4  # with fewer, the generator shares its cores with what it measures
_EQUAL_LOAD = ("executor", "vus", "max_vus", "rate_per_s", "stages", "warmup_s", "window_s", "login_each")


def run_warnings(facts: Facts) -> tuple[Warn, ...]:
    """Every warning about a run: of its trials, of their samples, and of the run as a whole."""
    of_trials = (warn for warns in facts.trial_warnings.values() for warn in warns)
    of_samples = (warn for guard in guards_samples.SAMPLE_GUARDS for warn in guard(facts))
    of_run = (warn for guard in RUN_GUARDS for warn in guard(facts))
    return merge_warnings(of_run, of_trials, of_samples, facts.recorded)


def differences(a: Trial, b: Trial, factors: tuple[str, ...]) -> dict[str, tuple[object, object]]:
    """What two arms of a pair differ in beyond the declared factors, think time apart."""
    loads = ((f"load.{name}", getattr(a.plan.load, name), getattr(b.plan.load, name)) for name in _EQUAL_LOAD)
    plans = (
        ("file_size_bytes", a.plan.file_size_bytes, b.plan.file_size_bytes),
        ("seed", a.plan.seed, b.plan.seed),
        ("level", a.plan.level, b.plan.level),
    )
    names = sorted(a.config.keys() | b.config.keys())
    config = ((name, a.config.get(name), b.config.get(name)) for name in names if name not in factors)
    return {name: (left, right) for name, left, right in (*loads, *plans, *config) if left != right}


def config_differs(facts: Facts) -> Iterator[Warn]:
    for a, b in facts.pairs():
        for name, (left, right) in differences(a, b, facts.plan.factors).items():
            yield Warn(
                code="config-differs",
                severity=Severity.INVALID,
                message=f"{name} is {left} for {a.plan.arm} and {right} for {b.plan.arm}, undeclared",
                metric=name,
                value=str(right),
                limit=str(left),
                advice="start the system again, so that both arms run with the same settings",
            )


def think_time_differs(facts: Facts) -> Iterator[Warn]:
    for a, b in facts.pairs():
        left, right = a.plan.load.think_s, b.plan.load.think_s
        if left != right:
            yield Warn(
                code="think-time-differs",
                severity=Severity.INVALID,
                message=f"{a.plan.arm} sleeps {left:g} s per iteration and {b.plan.arm} {right:g} s",
                metric="seconds slept per iteration",
                value=right,
                limit=left,
                advice="give both arms the same think time",
            )


def seed_pauses(facts: Facts) -> Iterator[Warn]:
    """Shapes played with the pauses of their own scripts: those differ between the strategies."""
    slept = {
        t.plan.arm: t.plan.load.think_s + t.plan.load.complete_pause_s for t in facts.of(Question.JOURNEY)
    }
    if len(set(slept.values())) > 1:
        listed = " and ".join(f"{arm} {pause_s:g} s" for arm, pause_s in slept.items())
        yield Warn(
            code="think-time-differs",
            severity=Severity.CAUTION,
            message=f"the scripts sleep differently in each iteration: {listed} (SLEEPS=seed)",
            metric="seconds slept per iteration",
            value=max(slept.values()),
            limit=min(slept.values()),
            advice="leave SLEEPS out: then every strategy sleeps equally",
        )


def order_not_interleaved(facts: Facts) -> Iterator[Warn]:
    """All of one arm and then all of the other lets a drift of the machine look like a winner."""
    for base, arm in facts.couples:
        pairs = facts.pairs_of(base, arm)
        first = sum(a.started_at < b.started_at for a, b in pairs)
        apart = sum(_trials_between(facts, a, b) > 0 for a, b in pairs)
        if len(pairs) >= 2 and (abs(2 * first - len(pairs)) > 1 or apart):
            yield Warn(
                code="order-not-interleaved",
                severity=Severity.INVALID,
                message=f"the arms do not alternate: {base} ran first in {first} of {len(pairs)} pairs "
                f"with {arm}, and {apart} pairs were torn apart",
                metric=f"pairs in which {base} ran before {arm}",
                value=first,
                limit=len(pairs) / 2,
                advice="run trials in ABBA or BAAB blocks",
            )


def _trials_between(facts: Facts, a: Trial, b: Trial) -> int:
    """Paired trials that ran between the two of a pair."""
    start, end = sorted((a.started_at, b.started_at))
    return sum(start < trial.started_at < end for trial in facts.of(Question.CAPACITY))


def few_pairs(facts: Facts) -> Iterator[Warn]:
    for base, arm in facts.couples:
        pairs = len(facts.pairs_of(base, arm))
        if pairs < MIN_PAIRS:
            yield Warn(
                code="few-pairs",
                severity=Severity.CAUTION,
                message=f"naming a winner needs {MIN_PAIRS} pairs of trials; there are {pairs}",
                metric=f"pairs of {base} and {arm}",
                value=pairs,
                limit=MIN_PAIRS,
                advice="use PROFILE=ci or PROFILE=full",
            )


def shared_host(facts: Facts) -> Iterator[Warn]:
    cores = facts.cores
    if cores is not None and cores < OWN_CORES:
        yield Warn(
            code="shared-host",
            severity=Severity.INFO,
            message=f"the load generator shares {cores:g} processors with the system: "
            "absolute rates are lower bounds",
            metric="processors",
            value=cores,
            limit=OWN_CORES,
            advice="read the ratios; for absolute rates use a machine with 4 processors or more",
        )


def generator_differs(facts: Facts) -> Iterator[Warn]:
    """On shared cores an arm that costs the generator more leaves less to the system."""
    for base, arm in facts.couples:
        ratio = _generator_ratio(facts.pairs_of(base, arm))
        if ratio is None or abs(ratio - 1) <= K6_DIFFERENCE_LIMIT or (facts.cores or OWN_CORES) >= OWN_CORES:
            continue
        yield Warn(
            code="shared-host",
            severity=Severity.CAUTION,
            message=f"k6 itself needs {ratio:.2f} times the CPU per upload for {arm} as for {base}, "
            "and takes it from the system",
            metric=f"k6 CPU per upload, {arm} over {base}",
            value=round(ratio, 4),
            limit=K6_DIFFERENCE_LIMIT,
            advice="compare on a machine where k6 has processors of its own",
        )


def _generator_ratio(pairs: tuple[tuple[Trial, Trial], ...]) -> float | None:
    costs = [
        ((cpu_s(a, "k6") or 0) / a.uploads_in_window, (cpu_s(b, "k6") or 0) / b.uploads_in_window)
        for a, b in pairs
        if a.uploads_in_window and b.uploads_in_window
    ]
    return ratio_of_pairs([(a, b) for a, b in costs if a > 0 and b > 0]).value


def not_saturated(facts: Facts) -> Iterator[Warn]:
    for arm in facts.deciding_arms:
        proof = saturation.prove(facts, arm)
        if proof is None or proof.proven:
            continue
        yield Warn(
            code="not-saturated",
            severity=Severity.CAUTION,
            message=f"{proof.more_vus} instead of {proof.vus} VUs change the goodput of {arm} "
            f"by {proof.gain * 100:+.1f} % (limit {proof.limit * 100:g} %): the script set this number",
            metric=f"gain of {arm} with 1.5 times the VUs",
            value=round(proof.gain, 4),
            limit=proof.limit,
            advice=f"raise the VUs, for example VUS={2 * proof.vus}",
        )


def saturation_untried(facts: Facts) -> Iterator[Warn]:
    for arm in facts.deciding_arms:
        if saturation.prove(facts, arm) is None:
            yield Warn(
                code="not-saturated",
                severity=Severity.CAUTION,
                message=f"{arm} was not tried with 1.5 times the VUs for long enough: nothing proves "
                "that it was saturated",
                metric=f"gain of {arm} with 1.5 times the VUs",
                advice="use PROFILE=ci or PROFILE=full",
            )


def aa_failed(facts: Facts) -> Iterator[Warn]:
    """Equal arms must come out equal; once in twenty they do not by chance, twice the rig is broken."""
    same = [(a, b) for a, b in facts.pairs() if a.plan.arm == b.plan.arm]
    values = [(a.goodput_per_s, b.goodput_per_s) for a, b in same if a.goodput_per_s and b.goodput_per_s]
    verdicts = [excludes_one(values[:MIN_PAIRS]), excludes_one(values[MIN_PAIRS:])]
    if not verdicts[0]:
        return
    yield Warn(
        code="aa-failed",
        severity=Severity.INVALID if verdicts[1] else Severity.CAUTION,
        message="equal arms came out different" + (", twice: the rig is broken" if verdicts[1] else " once"),
        metric="A/A pairs",
        value=len(values),
        limit=MIN_PAIRS,
        advice="find what disturbs the machine" if verdicts[1] else "run six fresh A/A pairs",
    )


def above_ceiling(facts: Facts) -> Iterator[Warn]:
    """Beyond half of what the generator can do by itself, it may be what was measured."""
    known = ceilings(facts.manifest.notes)
    for trial in filter(uploads_expected, facts.trials):
        ceiling = known.get(trial.plan.arm)
        if ceiling is None or ceiling.file_size_bytes != trial.plan.file_size_bytes:
            continue
        share = trial.iterations_per_s / ceiling.uploads_per_s
        if share > CEILING_LIMIT:
            yield Warn(
                code="generator-limited",
                severity=Severity.INVALID,
                message=f"{trial.iterations_per_s:.0f} uploads/s are {share * 100:.0f} % of the "
                f"{ceiling.uploads_per_s:.0f} that k6 manages by itself (limit {CEILING_LIMIT * 100:.0f} %)",
                metric="uploads/s over the generator's ceiling",
                value=round(share, 4),
                limit=CEILING_LIMIT,
                advice="run k6 on processors of its own, or ask for less load",
                trial=trial.plan.trial,
            )


def rate_above_capacity(facts: Facts) -> Iterator[Warn]:
    """Latency beside uploads is compared below the capacity of both arms."""
    proofs = {arm: facts.of(Question.CAPACITY, arm=arm) for arm in facts.deciding_arms}
    limits = {arm: sum(t.goodput_per_s for t in own) / len(own) for arm, own in proofs.items() if own}
    for trial in facts.of(Question.NEIGHBOURS):
        rate, limit = trial.plan.load.rate_per_s, min(limits.values(), default=None)
        if rate and limit and rate > limit:
            yield Warn(
                code="rate-above-capacity",
                severity=Severity.CAUTION,
                message=f"{rate:.1f} uploads/s were offered, more than the {limit:.1f} of the slower arm",
                metric="offered uploads/s",
                value=rate,
                limit=round(limit, 3),
                advice="offer a lower rate",
                trial=trial.plan.trial,
            )


def not_reached(facts: Facts) -> Iterator[Warn]:
    done = {trial.plan.trial for trial in facts.trials if not trial.interrupted}
    missing = [planned.trial for planned in facts.plan.trials if planned.trial not in done]
    if missing:
        yield Warn(
            code="not-reached",
            severity=Severity.CAUTION,
            message=f"{len(missing)} of {len(facts.plan.trials)} planned trials did not run",
            metric="trials not run",
            value=len(missing),
            limit=0,
            advice="run it again to the end",
        )


RunGuard = Callable[[Facts], Iterable[Warn]]
RUN_GUARDS: tuple[RunGuard, ...] = (
    config_differs,
    think_time_differs,
    seed_pauses,
    order_not_interleaved,
    aa_failed,
    above_ceiling,
    not_saturated,
    saturation_untried,
    few_pairs,
    shared_host,
    generator_differs,
    rate_above_capacity,
    not_reached,
)
