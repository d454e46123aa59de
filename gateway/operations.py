"""What clients may ask of the gateway itself."""

from __future__ import annotations

from collections.abc import Mapping

from services.kit.web.operations import (
    ANYTHING,
    BOOLEAN,
    COUNT,
    HEALTH,
    INTEGER,
    JSON_ERRORS,
    NUMBER,
    STRING,
    TIME,
    UUID,
    Operation,
    Raw,
    Schema,
    array,
    one_of,
    record,
    whole,
)

_KNOBS: Mapping[str, Schema] = {
    "cpu": whole(0, 100_000_000),
    "mem_mb": whole(0, 256),
    "mem_mode": one_of("alloc", "touch"),
    "sleep_ms": whole(0, 60_000),
    "fail_p": {"type": "number", "minimum": 0, "maximum": 1},
    "fail_status": {"type": "integer", "enum": [500, 502, 503, 504]},
}
_KNOB_ERRORS = ("invalid_query", "injected_fault")
_BODY_ERRORS = ("body_too_large", "unsupported_media_type")

OPERATIONS: Mapping[str, Operation] = {
    **HEALTH,
    "openapi": Operation("This document.", {200: ANYTHING}),
    "bench_status": Operation(
        "The process and its settings.",
        {
            200: record(
                "BenchStatus",
                service=STRING,
                pid=INTEGER,
                started_at=TIME,
                uptime_s=NUMBER,
                requests=COUNT,
                in_flight=COUNT,
                settings=ANYTHING,
            )
        },
    ),
    "bench_items": Operation(
        "A list of a known length.",
        {200: record("BenchItems", items=array(record("BenchItem", id=COUNT, value=STRING)), count=COUNT)},
        query={"items": whole(0, 10_000, 100), **_KNOBS},
        errors=_KNOB_ERRORS,
    ),
    "bench_echo": Operation(
        "The body, as it came.",
        {200: Raw()},
        takes=Raw(),
        query=_KNOBS,
        errors=(*_KNOB_ERRORS, *_BODY_ERRORS),
    ),
    "bench_users": Operation(
        "Made-up users.",
        {200: record("BenchUsers", users=array(record("BenchUser", id=COUNT, username=STRING)), count=COUNT)},
        query={"count": whole(0, 1_000, 20), **_KNOBS},
        errors=_KNOB_ERRORS,
    ),
    "bench_browse": Operation(
        "Ten small objects, for a user.",
        {
            200: record(
                "BenchPage",
                user_id=UUID,
                items=array(record("BenchObject", id=COUNT, name=STRING, size_bytes=COUNT)),
            )
        },
        query=_KNOBS,
        errors=_KNOB_ERRORS,
    ),
    "bench_submit": Operation(
        "Takes an object and counts its bytes.",
        {200: record("BenchSubmitted", accepted=BOOLEAN, bytes=COUNT)},
        takes=ANYTHING,
        query=_KNOBS,
        errors=(*_KNOB_ERRORS, *JSON_ERRORS, *_BODY_ERRORS),
    ),
}
