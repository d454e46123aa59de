"""First answer: how much each arm carries, which is faster, and whether that may be said at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from loadtests.harness.analysis import saturation
from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.guards_measures import RAW_PUT, has_mean, host_busy
from loadtests.harness.analysis.model import ArmCapacity, Capacity, Estimate, Ratio, Saturation
from loadtests.harness.analysis.price import cpu_per_upload
from loadtests.harness.analysis.stats import (
    RatioEstimate,
    decide,
    holm,
    mean_interval,
    neighbour_ratios,
    noise_floor,
    ratio_of_pairs,
)
from loadtests.harness.records.model import Question, Severity, Trial, Warn

# Requests per second are no unit of comparison: the strategies send different numbers of them.
NOT_COMPARABLE = frozenset({"rps", "requests_per_s"})
BUSY = 0.90  # from here on the processors count as fully used
VOIDING = ("config-differs", "think-time-differs", "order-not-interleaved", "aa-failed")
ALPHA = 0.05


def capacity(facts: Facts, warnings: Sequence[Warn]) -> Capacity | None:
    """None when the run holds no trial of capacity at all."""
    measured = facts.of(Question.CAPACITY, Question.SINGLE, Question.LARGE)
    if not measured:
        return None
    raw_trials = facts.of(Question.RAW)
    raw = _arm(facts, RAW_PUT, raw_trials) if raw_trials else None
    proofs = tuple(proof for arm in facts.arms(Question.CAPACITY) if (proof := saturation.prove(facts, arm)))
    ratios = _ratios(facts, warnings, proofs)
    cpu_ratios = _cpu_ratios(facts)
    arms = _arms(facts, Question.CAPACITY, raw)
    neighbours = neighbour_ratios(_goodputs(facts.of(Question.CAPACITY)))
    single = _arms(facts, Question.SINGLE, raw)
    return Capacity(
        arms=arms,
        single=single,
        large=_arms(facts, Question.LARGE, None),
        raw=raw,
        ratios=ratios,
        cpu_ratios=cpu_ratios,
        pairs=tuple(tuple(_values(facts, couple, _goodput)) for couple in facts.couples),
        saturation=proofs,
        noise_ratios=tuple(neighbours),
        noise_floor=noise_floor(neighbours),
        aa=_control(facts),
        because=_because(ratios, cpu_ratios, arms) if _quiet(facts) else None,
        multipart_price=_multipart_price(arms, single),
    )


def compare(
    *, ident: str, metric: str, couple: tuple[str, str], estimate: RatioEstimate, margin: float,
    refused: str | None = None, p_holm: float | None = None, verdict: bool = True,
) -> Ratio:  # fmt: skip
    """A ratio with its verdict. Raises ``ValueError`` for a metric that compares nothing."""
    if metric in NOT_COMPARABLE:
        raise ValueError(f"{metric} depends on the requests per upload and is never compared between arms")
    words = decide(estimate, margin).text(margin)
    if p_holm is not None and p_holm > ALPHA and words.startswith(("faster", "slower")):
        words = "~"
    return Ratio(
        id=ident,
        metric=metric,
        base=couple[0],
        arm=couple[1],
        n=estimate.n,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        p_t=estimate.p_t,
        p_holm=p_holm,
        margin=margin,
        verdict=words if verdict and refused is None else None,
        refused=refused,
    )


def _ratios(facts: Facts, warnings: Sequence[Warn], proofs: Sequence[Saturation]) -> tuple[Ratio, ...]:
    estimates = [ratio_of_pairs(_values(facts, couple, _goodput)) for couple in facts.couples]
    adjusted = holm([1.0 if estimate.p_t is None else estimate.p_t for estimate in estimates])
    return tuple(
        compare(
            ident="capacity.ratio" if index == 0 else f"capacity.ratio.{couple[1]}",
            metric="goodput",
            couple=couple,
            estimate=estimate,
            margin=facts.plan.margin,
            refused=_refusal(facts, couple, warnings, proofs),
            p_holm=adjusted[index],
        )
        for index, (couple, estimate) in enumerate(zip(facts.couples, estimates, strict=True))
    )


def _refusal(
    facts: Facts, couple: tuple[str, str], warnings: Sequence[Warn], proofs: Sequence[Saturation]
) -> str | None:
    """Why no verdict may be given, or None."""
    for warn in warnings:
        if warn.code in VOIDING and warn.severity is Severity.INVALID:
            return warn.message
    trials = (trial for pair in facts.pairs_of(*couple) for trial in pair)
    proving = (trial for arm in couple for trial in facts.of(Question.SATURATION, arm=arm))
    invalid = [trial.plan.trial for trial in (*trials, *proving) if not facts.is_valid(trial)]
    if invalid:
        return "the comparison has invalid trials: " + ", ".join(invalid)
    proven = {proof.arm: proof.proven for proof in proofs}
    untried = [arm for arm in couple if arm not in proven]
    if untried:
        return "saturation was not tried"
    return None if all(proven[arm] for arm in couple) else "the script set this number"


def _cpu_ratios(facts: Facts) -> tuple[Ratio, ...]:
    return tuple(
        compare(
            ident="price.ratio" if index == 0 else f"price.ratio.{couple[1]}",
            metric="system_cpu_per_upload",
            couple=couple,
            estimate=ratio_of_pairs(_values(facts, couple, _system_cpu)),
            margin=facts.plan.margin,
            verdict=False,
        )
        for index, couple in enumerate(facts.couples)
    )


def _goodput(trial: Trial) -> float | None:
    return trial.goodput_per_s if has_mean(trial) else None


def _system_cpu(trial: Trial) -> float | None:
    return cpu_per_upload(trial).system if has_mean(trial) else None


def _values(
    facts: Facts, couple: tuple[str, str], measure: Callable[[Trial], float | None]
) -> list[tuple[float, float]]:
    values = ((measure(a), measure(b)) for a, b in facts.pairs_of(*couple))
    return [(a, b) for a, b in values if a and b]


def _goodputs(trials: Iterable[Trial]) -> list[tuple[str, float]]:
    return [(trial.plan.arm, trial.goodput_per_s) for trial in trials]


def _control(facts: Facts) -> Ratio | None:
    same = {a.plan.arm for a, b in facts.pairs() if a.plan.arm == b.plan.arm}
    for arm in sorted(same):
        estimate = ratio_of_pairs(_values(facts, (arm, arm), _goodput))
        return compare(
            ident="capacity.control",
            metric="goodput",
            couple=(arm, arm),
            estimate=estimate,
            margin=facts.plan.margin,
            verdict=False,
        )
    return None


def _arms(facts: Facts, question: Question, raw: ArmCapacity | None) -> tuple[ArmCapacity, ...]:
    found = []
    for arm in facts.arms(question):
        own = _arm(facts, arm, facts.of(question, arm=arm))
        if raw and raw.goodput_per_s.value and own.goodput_per_s.value:
            own = own.model_copy(update={"share_of_raw": own.goodput_per_s.value / raw.goodput_per_s.value})
        found.append(own)
    return tuple(found)


def _arm(facts: Facts, arm: str, trials: Sequence[Trial]) -> ArmCapacity:
    counted = [trial for trial in trials if has_mean(trial)]
    plan = trials[0].plan
    return ArmCapacity(
        id=f"{plan.question.value}.{arm}",
        arm=arm,
        title=facts.plan.strategy_titles.get(arm, arm),
        file_size_bytes=plan.file_size_bytes,
        level=plan.level,
        goodput_per_s=estimate_of([trial.goodput_per_s for trial in counted]),
        payload_mb_per_s=estimate_of([trial.goodput_bytes_per_s / 1e6 for trial in counted]),
        host_busy=estimate_of([busy for trial in counted if (busy := host_busy(trial)) is not None]),
        per_trial=tuple(trial.goodput_per_s for trial in counted),
    )


def estimate_of(values: Sequence[float]) -> Estimate:
    mean = mean_interval(values)
    return Estimate(n=mean.n, value=mean.value, low=mean.low, high=mean.high)


def _quiet(facts: Facts) -> bool:
    """Whether the host belonged to the system and its load in every pair: else busy explains nothing."""
    trials = (trial for pair in facts.pairs() for trial in pair)
    return not any(w.code == "noisy-host" for trial in trials for w in facts.trial_warnings[trial.plan.trial])


def _because(ratios: Sequence[Ratio], cpu_ratios: Sequence[Ratio], arms: Sequence[ArmCapacity]) -> str | None:
    """The price explains the ratio where all processors are used and the intervals agree on who wins."""
    if not ratios or ratios[0].verdict is None:
        return None
    goodput, cpu = ratios[0], cpu_ratios[0]
    busy = [arm.host_busy.value for arm in arms if arm.arm in (goodput.base, goodput.arm)]
    if not all(share is not None and share >= BUSY for share in busy):
        return None
    if goodput.low is None or goodput.high is None or cpu.low is None or cpu.high is None:
        return None
    faster_and_cheaper = goodput.low > 1 and cpu.high < 1
    slower_and_dearer = goodput.high < 1 and cpu.low > 1
    return cpu.id if faster_and_cheaper or slower_and_dearer else None


def _multipart_price(arms: Sequence[ArmCapacity], single: Sequence[ArmCapacity]) -> float | None:
    """Goodput of one presigned request over that of parts: what the store's multipart calls cost."""
    parts = next((arm.goodput_per_s.value for arm in arms if arm.arm == "direct-multipart"), None)
    whole = next((arm.goodput_per_s.value for arm in single if arm.arm == "direct-single"), None)
    return whole / parts if whole and parts else None
