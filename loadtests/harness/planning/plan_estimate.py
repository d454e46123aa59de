"""How long a run will take, stated before it starts.

The load of every trial is known from the profile. What a trial needs beside it was measured on two
processors: k6's start, the last uploads' end and the audit take the same time each, beside the rest before;
deleting and reading back what was stored takes longer the longer the load was.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.harness.planning.experiment import Profile

TRIAL_OVERHEAD_S = 2.4
OVERHEAD_PER_LOAD = 0.13  # seconds for each second of load
RUN_OVERHEAD_S = 5.0  # reading settings, analysis and report
SIGNUP_S = 0.1  # of one identity
CALIBRATION_S = 4.0  # of one strategy
# Levels a ramp is likely to need; the knee decides.
LIKELY_RAMP_STEPS = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """Trials and seconds of a whole run."""

    trials: int
    seconds: float


def estimate(profile: Profile, *, deciding: int, beside: int, ramp_trials: int | None = None) -> Estimate:
    """From a profile and its numbers of arms with and without a verdict.

    ``ramp_trials``: how many the ramp took, once that is known.
    """
    groups = _groups(profile, deciding, beside, ramp_trials)
    each_s = TRIAL_OVERHEAD_S + profile.rest_s
    seconds = sum(count * (load_s * (1 + OVERHEAD_PER_LOAD) + each_s) for count, load_s in groups)
    seconds += CALIBRATION_S * (deciding + beside) if profile.calibrate else 0.0
    seconds += RUN_OVERHEAD_S + SIGNUP_S * profile.identities
    return Estimate(sum(count for count, _ in groups), seconds)


def _groups(profile: Profile, deciding: int, beside: int, ramp_trials: int | None) -> list[tuple[int, float]]:
    """(trials, seconds of load of each) by part of the profile."""
    part = profile.capacity
    trials = (part.pairs * max(1, deciding - 1) + part.control_pairs) * 2
    trials += profile.single.trials * beside if profile.single else 0
    groups = [(trials, part.warmup_s + part.window_s)]
    if proof := profile.saturation:
        groups.append((deciding, proof.load_s))
    if ramp := profile.ramp:
        likely = min(len(ramp.levels), LIKELY_RAMP_STEPS) * deciding
        groups.append((likely if ramp_trials is None else ramp_trials, ramp.warmup_s + ramp.window_s))
    if large := profile.large:
        load_s = 1.0 if large.iterations else large.warmup_s + large.window_s
        groups.append((deciding + beside, load_s))
    if others := profile.neighbours:
        groups.append((others.rounds * (deciding + 1), others.warmup_s + others.window_s))
    return groups
