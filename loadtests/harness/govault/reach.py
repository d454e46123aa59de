"""Which ramps there are, and which of them this machine cannot run, with the reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.harness.govault.records import Ramp
from loadtests.harness.govault.source import FILE_BYTES, GRACE_S, LEVELS, METHODS, RAMP_S
from loadtests.harness.plan.planning import COPIES_OF_FILE, COPIES_ON_DISK, GIB, VU_BYTES
from loadtests.harness.plan.room import MEMORY_SHARE

FILES_OF_A_VU, FILES_BESIDE = 2, 500  # open files: a connection to the gateway, one to the store
INIT_S_PER_VU, AUDIT_S = 0.008, 8.0  # what a ramp takes beside itself, measured on two cores


@dataclass(frozen=True, slots=True)
class Means:
    """What there is now. ``left_s`` is what is left of the time that the study may take."""

    memory_bytes: int
    disk_bytes: int
    open_files: int
    left_s: float | None


def planned(scale: float) -> tuple[Ramp, ...]:
    """Level by level, both methods; which goes first alternates, so that a machine that gets slower favours
    neither."""
    ramps: list[Ramp] = []
    for place, level in enumerate(LEVELS):
        for method in METHODS if place % 2 == 0 else METHODS[::-1]:
            vus = max(1, round(level * scale))
            ramps.append(Ramp(stretch=f"s{len(ramps) + 1:03d}", level=level, vus=vus, method=method))
    return tuple(ramps)


def seconds_of(ramp: Ramp, time: float) -> float:
    """The longest that a ramp takes, with its start, the rounds that are still under way at its end, and its
    audit."""
    return RAMP_S * time + GRACE_S + INIT_S_PER_VU * ramp.vus + AUDIT_S


def obstacle(ramp: Ramp, time: float, means: Means) -> tuple[str, str] | None:
    """Why a ramp cannot be run: a code, and the evidence in words."""
    memory = ramp.vus * (VU_BYTES + COPIES_OF_FILE * FILE_BYTES)
    if memory > MEMORY_SHARE * means.memory_bytes:
        return "memory", (
            f"{ramp.vus} clients with a copy of the file each need about {memory / GIB:.1f} GiB in k6, and"
            f" {means.memory_bytes / GIB:.1f} GiB are free"
        )
    if (disk := COPIES_ON_DISK * ramp.vus * FILE_BYTES) > means.disk_bytes:
        return "disk", (
            f"{ramp.vus} uploads at once may fill {disk / GIB:.1f} GiB, and"
            f" {means.disk_bytes / GIB:.1f} GiB may be used"
        )
    if (files := FILES_OF_A_VU * ramp.vus + FILES_BESIDE) > means.open_files:
        return "nofile", f"{ramp.vus} clients open {files} files, and a process may open {means.open_files}"
    if means.left_s is not None and (needed := seconds_of(ramp, time)) > means.left_s:
        return "time-budget", (
            f"it may take {needed:.0f} s, and {max(0.0, means.left_s):.0f} s were left; BUDGET_S= or TIME="
            " give it more"
        )
    return None
