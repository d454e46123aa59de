"""How long a run will take, stated before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.harness.planning.experiment import Profile

# Cleaning, quiet wait, starting k6, settling and audit of one trial, beside its load.
TRIAL_OVERHEAD_S = 4.5
RUN_OVERHEAD_S = 12.0  # identities, reading settings, analysis and report
# Levels a ramp is likely to need; the knee decides.
LIKELY_RAMP_STEPS = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """Trials and seconds of a whole run."""

    trials: int
    seconds: float


def estimate(profile: Profile, *, deciding: int, beside: int) -> Estimate:
    """From a profile and its numbers of arms with and without a verdict."""
    groups = _groups(profile, deciding, beside)
    seconds = sum(count * (load_s + TRIAL_OVERHEAD_S) for count, load_s in groups)
    return Estimate(sum(count for count, _ in groups), RUN_OVERHEAD_S + seconds)


def _groups(profile: Profile, deciding: int, beside: int) -> list[tuple[int, float]]:
    """(trials, seconds of load of each) by part of the profile."""
    part = profile.capacity
    trials = (part.pairs * max(1, deciding - 1) + part.control_pairs) * 2
    trials += profile.single.trials * beside if profile.single else 0
    trials += profile.saturation.trials * deciding if profile.saturation else 0
    groups = [(trials, part.warmup_s + part.window_s)]
    if ramp := profile.ramp:
        steps = min(len(ramp.levels), LIKELY_RAMP_STEPS) * deciding
        groups.append((steps, ramp.warmup_s + ramp.window_s))
    if large := profile.large:
        load_s = 1.0 if large.iterations else large.warmup_s + large.window_s
        groups.append((deciding + beside, load_s))
    if others := profile.neighbours:
        groups.append((others.rounds * (deciding + 1), others.warmup_s + others.window_s))
    return groups
