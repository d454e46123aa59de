"""Arms that run with settings of their own: processes restarted before every trial, settings read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadtests.harness.planning.experiment import Arm
from loadtests.harness.records.vocabulary import service_of
from loadtests.harness.running.rig import Rig


class ArmNotInEffect(Exception):
    """A process does not run with the settings its arm asks for."""


def processes_of(arms: Mapping[str, Arm]) -> list[str]:
    """Every process that some arm changes, in one order."""
    return sorted({process for arm in arms.values() for process in arm.environment})


async def apply_arm(rig: Rig, arm: str) -> None:
    """Restart what any arm changes, in every arm, with this arm's environment; then read it back.

    Without declared environments nothing is restarted. Raises ``ArmNotInEffect``.
    """
    affected = processes_of(rig.arms)
    if not affected:
        return
    environment = rig.arms[arm].environment if arm in rig.arms else {}
    for process in affected:
        wanted = environment.get(process, {})
        for part in rig.system.parts(process) or [process]:
            rig.event("restart", process=part, planned=True, environment=wanted)
            await rig.testbed.restart(part, wanted)
    settings = await rig.settings()
    if differing := differences(environment, settings):
        raise ArmNotInEffect(f"{arm}: " + "; ".join(differing))


def differences(
    wanted: Mapping[str, Mapping[str, str]], settings: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Every setting that is not in effect as asked for. Names are compared without case."""
    found = []
    for process, variables in wanted.items():
        for part in [part for part in settings if service_of(part) == process] or [process]:
            effective = {name.lower(): value for name, value in settings.get(part, {}).items()}
            for name, value in variables.items():
                actual = effective.get(name.lower())
                if str(actual).lower() != value.lower():
                    found.append(f"{part} runs with {name}={actual}, not {value}")
    return found


def flat_config(settings: Mapping[str, Mapping[str, Any]], workload: Mapping[str, Any]) -> dict[str, str]:
    """What a trial ran with, one entry per setting, so that two trials can be compared entry by entry."""
    flat = {
        f"{process}.{name.upper()}": str(value)
        for process, own in settings.items()
        for name, value in own.items()
    }
    return flat | {f"workload.{name}": str(value) for name, value in workload.items()}
