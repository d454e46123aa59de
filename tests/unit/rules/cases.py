"""For each alert: what provokes it, and the nearest thing that must not."""

from __future__ import annotations

from dataclasses import dataclass

from services.kit.metrics import HTTP_BUCKETS
from tests.unit.rules.timeline import ILL_S, WELL_S, Series

FILES = {"job": "vaultbench", "service": "files", "instance": "files:1"}
ROUTE = {**FILES, "method": "GET", "path": "/me/owned"}
LIVE = {**FILES, "method": "GET", "path": "/ready"}
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Case:
    """`ill` fires while the time line is ill; `near` stays silent through all of it."""

    ill: tuple[Series, ...]
    near: tuple[Series, ...]
    labels: dict[str, str]


def requests(rates: dict[str, tuple[float, float]], route: dict[str, str] = ROUTE) -> tuple[Series, ...]:
    """Requests a second by status: (while well, while ill)."""
    return tuple(
        Series("http_requests_total", {**route, "status": status}, well, ill, counter=True)
        for status, (well, ill) in rates.items()
    )


def latency(slow_share: float, slow_le: str) -> tuple[Series, ...]:
    """100 requests a second, all within 50 ms; while ill, this share falls into a slower bucket."""
    bounds = (*(str(float(bound)) for bound in HTTP_BUCKETS), "+Inf")
    reached = {le: 100.0 * (1 - slow_share) if float(le) < float(slow_le) else 100.0 for le in bounds}
    return tuple(
        Series("http_request_duration_seconds_bucket", {**ROUTE, "le": le}, 100.0, reached[le], counter=True)
        for le in bounds
    )


def cpu(cores: float) -> tuple[Series, ...]:
    return (Series("process_cpu_seconds_total", FILES, 0.1, cores, counter=True),)


def level(name: str, ill: float, well: float = 0.0, **labels: str) -> Series:
    return Series(name, {**FILES, **labels}, well, ill)


def queue(waiting: float) -> tuple[Series, ...]:
    return level("queue_waiting", waiting, queue="finalise"), level("queue_limit", 100, 100, queue="finalise")


def admitted(percent: float) -> tuple[Series, ...]:
    return (
        level("admission_running", percent / 4, 1),
        level("admission_queued", percent * 3 / 4),
        level("admission_limit", 100, 100),
    )


def breaker(state: float, opened: float) -> tuple[Series, ...]:
    """``opened``: how often a second it opens."""
    transitions = {**FILES, "upstream": "auth", "to": "open"}
    return (
        level("breaker_state", state, upstream="auth"),
        Series("breaker_transitions_total", transitions, 0, opened, counter=True),
    )


def pool(in_use: float) -> tuple[Series, ...]:
    return (
        level("db_pool_connections", in_use, 1, state="in_use"),
        level("db_pool_connections", 0, 1, state="idle"),
        level("db_pool_limit", 20, 20),
    )


def sweeps(last: float) -> tuple[Series, ...]:
    """The last sweep, in seconds since the time line began; one a minute is due."""
    return (
        level("sweep_last_success_timestamp_seconds", last, 1e5),
        level("sweep_interval_seconds", 60, 60),
    )


SERVICE = {"service": "files"}
CASES: dict[str, Case] = {
    "LatencyCritical": Case(latency(0.1, "2.5"), latency(0.04, "2.5"), SERVICE),
    "LatencyWarning": Case(latency(0.1, "0.5"), latency(0.1, "0.25"), SERVICE),
    # Clients' own faults, clients that left and unready health routes are no errors of ours.
    "ErrorsCritical": Case(
        requests({"200": (100, 98), "503": (0, 2)}),
        (
            *requests({"200": (100, 50), "404": (0, 30), "499": (0, 19.1), "500": (0, 0.9)}),
            *requests({"503": (0, 50)}, LIVE),
        ),
        SERVICE,
    ),
    "ErrorsWarning": Case(
        requests({"200": (100, 99.8), "500": (0, 0.2)}),
        (*requests({"200": (100, 99), "409": (0, 1)}), *requests({"503": (0, 50)}, LIVE)),
        SERVICE,
    ),
    "CpuCritical": Case(cpu(0.95), cpu(0.85), SERVICE),
    "CpuWarning": Case(cpu(0.85), cpu(0.75), SERVICE),
    "QueueCritical": Case(queue(96), queue(95), {**SERVICE, "queue": "finalise"}),
    "QueueWarning": Case(queue(81), queue(80), {**SERVICE, "queue": "finalise"}),
    "ProcessGone": Case(
        (level("up", 0, 1),), (Series("up", {"job": "harness", "instance": "harness:1"}, 1, 0),), SERVICE
    ),
    "MemoryWarning": Case(
        (level("process_resident_memory_bytes", 401e6, 60e6),),
        (level("process_resident_memory_bytes", 381 * MIB, 60e6),),
        SERVICE,
    ),
    "RequestsRejected": Case(
        requests({"200": (100, 90), "429": (0, 5), "503": (0, 5)}),
        (*requests({"200": (100, 90), "401": (0, 10)}), *requests({"503": (0, 10)}, LIVE)),
        SERVICE,
    ),
    # Half-open is no alarm: without requests it stays so.
    "BreakerOpen": Case(
        breaker(2, 0),
        breaker(1, 0),
        {**SERVICE, "upstream": "auth"},
    ),
    # A limit that is reached and refuses nobody is none either.
    "AdmissionRejects": Case(
        (Series("admission_rejected_total", {**FILES, "reason": "full"}, 0, 2, counter=True),),
        (*admitted(100), Series("admission_rejected_total", {**FILES, "reason": "full"}, 0, 0, counter=True)),
        SERVICE,
    ),
    "AdmissionFull": Case(admitted(81), admitted(80), SERVICE),
    "SweepOverdue": Case(sweeps(-1e4), sweeps(WELL_S + ILL_S - 500), SERVICE),
    # A row that is not in the cache is no fault of Redis.
    "RedisGone": Case(
        (Series("rate_limit_fallback_total", {**FILES, "reason": "timeout"}, 0, 2, counter=True),),
        (
            Series("rate_limit_fallback_total", {**FILES, "reason": "timeout"}, 0, 0, counter=True),
            Series("cache_lookups_total", {**FILES, "result": "failed"}, 0, 0, counter=True),
            Series("cache_lookups_total", {**FILES, "result": "miss"}, 0, 9, counter=True),
        ),
        SERVICE,
    ),
    "DatabasePoolFull": Case(pool(19), pool(18), SERVICE),
}
