"""Proof of saturation: without it a closed loop measures its own script, and no winner is named."""

from __future__ import annotations

from collections.abc import Sequence

from scipy import stats as scipy_stats

from loadtests.harness.analysis.analyse_facts import Facts
from loadtests.harness.analysis.analyse_model import Saturation
from loadtests.harness.records.model import Question, Trial

GAIN_LIMIT = 0.05
MIN_MORE = 1.4  # "1.5 times the VUs", with room for rounding small numbers of VUs


def prove(facts: Facts, arm: str) -> Saturation | None:
    """Goodput at the level of the comparison against goodput with more VUs; None if not tried."""
    base = [trial for trial in facts.of(Question.CAPACITY, arm=arm) if trial.goodput_per_s > 0]
    more = [trial for trial in facts.of(Question.SATURATION, arm=arm) if trial.goodput_per_s > 0]
    if not base or not more:
        return None
    vus, more_vus = base[0].plan.load.vus or 0, more[0].plan.load.vus or 0
    goodput, more_goodput = _mean(base), _mean(more)
    gain = float(scipy_stats.gmean([one.goodput_per_s / _beside(one, base) for one in more])) - 1
    think_s = base[0].plan.load.think_s
    return Saturation(
        id=f"saturation.{arm}",
        arm=arm,
        vus=vus,
        more_vus=more_vus,
        goodput_per_s=goodput,
        more_goodput_per_s=more_goodput,
        gain=gain,
        limit=GAIN_LIMIT,
        trials=(len(base), len(more)),
        proven=gain < GAIN_LIMIT and more_vus >= MIN_MORE * vus > 0 and think_s == 0,
        predicted_per_s=script_rate(base),
        think_s=think_s,
    )


def script_rate(trials: Sequence[Trial]) -> float | None:
    """VUs / (think + latency): the rate that the script alone predicts, from the mean iteration."""
    rates = [
        trial.plan.load.vus / (trial.k6.iteration_duration_mean_ms / 1000)
        for trial in trials
        if trial.plan.load.vus and trial.k6.iteration_duration_mean_ms
    ]
    return sum(rates) / len(rates) if rates else None


def _beside(one: Trial, base: Sequence[Trial]) -> float:
    """Goodput of the trials run last before and first after ``one``: a machine that drifts is no gain."""
    before = [trial for trial in base if trial.started_at < one.started_at]
    after = [trial for trial in base if trial.started_at > one.started_at]
    return _mean([*before[-1:], *after[:1]] or base)


def _mean(trials: Sequence[Trial]) -> float:
    return float(scipy_stats.gmean([trial.goodput_per_s for trial in trials]))
