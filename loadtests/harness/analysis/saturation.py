"""Proof of saturation: without it a closed loop measures its own script, and no winner is named.

One trial per arm goes to more VUs and back several times (a switchback). Each turn at more VUs is compared
with the turns right before and after it, so that a machine that gets faster or slower within a minute
neither feigns a gain nor hides one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.model import Saturation
from loadtests.harness.analysis.stats import ratio_of_pairs
from loadtests.harness.records.model import LedgerClass, Question, Trial
from loadtests.harness.records.switchback import holds

GAIN_LIMIT = 0.05
MIN_MORE = 1.4  # "1.5 times the VUs", with room for rounding small numbers of VUs
# Uploads under way at a switch are slowed down or hurried by the other level: this long, or one mean upload
# if that is longer, does not count at either end of a turn. What is left must be half as long at least.
AROUND_SWITCH_S, MIN_TURN = 0.5, 2.5
SHORTEST_UPLOAD_S = 1e-4  # two clocks: a durable time may come out a little before the client's first request


@dataclass(frozen=True, slots=True)
class Turn:
    """One stay at one level."""

    vus: int
    goodput_per_s: float


def prove(facts: Facts, arm: str) -> Saturation | None:
    """Goodput at the level of the comparison against goodput with more VUs; None if not tried."""
    base = [trial for trial in facts.of(Question.CAPACITY, arm=arm) if trial.goodput_per_s > 0]
    tried = [turns_of(facts, trial) for trial in facts.of(Question.SATURATION, arm=arm)]
    pairs = [pair for turns in tried for pair in _against_neighbours(turns)]
    if not base or not pairs:
        return None
    levels = [turn.vus for turns in tried for turn in turns]
    vus, more_vus = min(levels), max(levels)
    goodput, more_goodput = (_mean(values) for values in zip(*pairs, strict=True))
    interval, gain = ratio_of_pairs(pairs), more_goodput / goodput - 1
    think_s = base[0].plan.load.think_s
    return Saturation(
        id=f"saturation.{arm}",
        arm=arm,
        vus=vus,
        more_vus=more_vus,
        goodput_per_s=goodput,
        more_goodput_per_s=more_goodput,
        gain=gain,
        gain_low=None if interval.low is None else interval.low - 1,
        gain_high=None if interval.high is None else interval.high - 1,
        switches=len(pairs),
        limit=GAIN_LIMIT,
        proven=gain < GAIN_LIMIT and more_vus >= MIN_MORE * vus > 0 and think_s == 0,
        predicted_per_s=script_rate(base),
        think_s=think_s,
    )


def turns_of(facts: Facts, trial: Trial) -> list[Turn]:
    """Verified uploads per second of every turn of a switchback; none when uploads take too long for it.

    A turn holds few uploads of each VU, so an upload counts for the part of its time that lies in the
    turn: whole uploads would let chance decide which of two turns gets those under way at its end.
    """
    iteration_s = (trial.k6.iteration_duration_mean_ms or 0.0) / 1000 - trial.plan.load.think_s
    under_way_s = max(AROUND_SWITCH_S, iteration_s)
    turns = list(holds(trial.plan.load))
    if any(end - switched < MIN_TURN * under_way_s for _, switched, end in turns):
        return []
    verified = [
        (begun - trial.load_started_at, sample.durable_at - trial.load_started_at)
        for sample in facts.uploads.get(trial.plan.trial, ())
        if sample.ledger is LedgerClass.VERIFIED and sample.durable_at and (begun := sample.started_at)
    ]
    times = np.array(verified, dtype=np.float64).reshape(-1, 2)
    return [
        Turn(vus, _per_s(times, switched + under_way_s, end - under_way_s)) for vus, switched, end in turns
    ]


def _per_s(times: NDArray[np.float64], start: float, end: float) -> float:
    """Uploads per second between ``start`` and ``end``, each counted for the part of its time inside."""
    begun, durable = times[:, 0], times[:, 1]
    inside = np.clip(np.minimum(durable, end) - np.maximum(begun, start), 0.0, None)
    return float(np.sum(inside / np.maximum(durable - begun, SHORTEST_UPLOAD_S))) / (end - start)


def script_rate(trials: Sequence[Trial]) -> float | None:
    """VUs / (think + latency): the rate that the script alone predicts, from the mean iteration."""
    rates = [
        trial.plan.load.vus / (trial.k6.iteration_duration_mean_ms / 1000)
        for trial in trials
        if trial.plan.load.vus and trial.k6.iteration_duration_mean_ms
    ]
    return sum(rates) / len(rates) if rates else None


def _against_neighbours(turns: Sequence[Turn]) -> list[tuple[float, float]]:
    """(goodput of the turns beside it, its own) of every turn at more VUs; without goodput, none."""
    triples = zip(turns, turns[1:], turns[2:], strict=False)
    return [
        (_mean([before.goodput_per_s, after.goodput_per_s]), turn.goodput_per_s)
        for before, turn, after in triples
        if turn.vus > before.vus == after.vus
        and min(before.goodput_per_s, turn.goodput_per_s, after.goodput_per_s) > 0
    ]


def _mean(values: Sequence[float]) -> float:
    return float(scipy_stats.gmean(values))
