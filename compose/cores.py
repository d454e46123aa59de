"""How many cores there are for us."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cores(cgroup: Path = CGROUP) -> int:
    """Cores this process may use: those it may run on, or fewer where a container has a quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return min(count, max(1, int(quota))) if quota else count


def _quota(cgroup: Path) -> float:
    """Cores' worth of time that a container may use; 0 without a limit. Control groups version 2, then 1."""
    version_1 = cgroup / "cpu"
    try:
        if (cgroup / "cpu.max").exists():
            time, period = (cgroup / "cpu.max").read_text().split()
        else:
            time, period = ((version_1 / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return max(0.0, int(time) / int(period))
    except (OSError, ValueError):  # none, or "max"
        return 0.0
