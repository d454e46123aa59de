"""Which arms a run has: those of its experiment, or those that were asked for."""

from __future__ import annotations

from collections.abc import Mapping

from loadtests.harness.planning.experiment import Arm, Experiment
from loadtests.harness.planning.overrides import Overrides
from loadtests.harness.strategies import Strategy


class PlanError(Exception):
    """The plan cannot be made; the message says why."""


def chosen_arms(
    experiment: Experiment, overrides: Overrides, strategies: Mapping[str, Strategy]
) -> tuple[Arm, ...]:
    """The experiment's arms, or those of ``STRATEGIES=``. Raises ``PlanError`` for unknown ones."""
    declared = {arm.strategy: arm for arm in experiment.arms}
    if unknown := [name for name in declared if name not in strategies]:
        raise PlanError(f"{experiment.id} names strategies without a folder: {', '.join(unknown)}")
    if overrides.strategies is None:
        return tuple(experiment.arms)
    return tuple(declared.get(name, Arm(strategy=name)) for name in overrides.strategies)
