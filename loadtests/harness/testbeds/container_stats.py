"""What the engine's answers mean: CPU, memory, limits and times of one container. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from loadtests.harness.testbeds.processes import Usage

NANO = 1_000_000_000
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


def nanoseconds(text: str) -> int:
    """Nanoseconds since the epoch of the engine's times, exactly. 0 for "never"."""
    match = _TIME.fullmatch(text)
    if match is None or text.startswith("0001-"):
        return 0
    zone = "+00:00" if match[3] == "Z" else match[3]
    whole = datetime.fromisoformat(match[1] + zone).astimezone(UTC)
    return int(whole.timestamp()) * NANO + int((match[2] or "0")[:9].ljust(9, "0"))


def read_at(stats: Mapping[str, Any]) -> float:
    """When the counters were read, in seconds since the epoch; 0 when they were not."""
    return nanoseconds(str(stats.get("read", ""))) / NANO


def usage(stats: Mapping[str, Any], started_ns: int) -> Usage | None:
    """What a container has used since its start; nothing when it does not run."""
    if not read_at(stats):
        return None
    total = stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)
    memory = stats.get("memory_stats", {})
    if not total or not memory.get("usage"):
        return None
    return Usage(total / NANO, resident_bytes(memory), started_ns)


def resident_bytes(memory: Mapping[str, Any]) -> int:
    """Anonymous pages and mapped files, shared ones included once: what a process's resident size means.

    The group's whole ``usage`` also holds files the kernel merely remembers, and would make every
    database look as large as what it has read.
    """
    detail = memory.get("stats", {})
    if "anon" in detail:  # control groups version 2
        return int(detail["anon"]) + int(detail.get("file_mapped", 0))
    return int(detail.get("total_rss", 0)) + int(detail.get("total_mapped_file", 0))


def throttled(stats: Mapping[str, Any]) -> dict[str, int]:
    """How often a quota stopped the container, and in how many periods it ran."""
    found = stats.get("cpu_stats", {}).get("throttling_data", {})
    return {
        "periods": int(found.get("periods", 0)),
        "throttled_periods": int(found.get("throttled_periods", 0)),
        "throttled_ms": int(found.get("throttled_time", 0)) // 1_000_000,
    }


def limits(inspected: Mapping[str, Any], stats: Mapping[str, Any]) -> dict[str, Any]:
    """Limits in effect: processors as set, memory as its control group says. Absent means none."""
    host = inspected.get("HostConfig", {})
    found: dict[str, Any] = {}
    if host.get("NanoCpus"):
        found["cpus"] = host["NanoCpus"] / NANO
    elif host.get("CpuQuota", 0) > 0:
        found["cpus"] = host["CpuQuota"] / (host.get("CpuPeriod") or 100_000)
    if host.get("CpusetCpus"):
        found["cpuset"] = host["CpusetCpus"]
    if host.get("Memory"):
        found["memory_bytes"] = int(stats.get("memory_stats", {}).get("limit", 0))
        # Equal to the memory limit: no swap beside it.
        found["memory_and_swap_bytes"] = host.get("MemorySwap", 0)
    return found


def state_word(state: Mapping[str, Any]) -> str:
    """One word for an inspected state: health where there is a check, else what the engine says."""
    status = str(state.get("Status", "unknown"))
    health = state.get("Health", {}).get("Status", "none")
    return str(health) if status == "running" and health != "none" else status
