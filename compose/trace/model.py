"""One line of a log, and what all lines about an upload or a request say together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_DEPTH = {"gateway": 0}
INTERNAL = "/internal/"


@dataclass(frozen=True, slots=True)
class Hop:
    """What one process did for one request, or after its answer. Times in milliseconds; `started_ms`
    since the epoch."""

    process: str
    instance: str
    request_id: str
    upload_uuid: str
    what: str
    route: str
    status: int
    error: str
    started_ms: float
    duration_ms: float
    bytes_in: int
    bytes_out: int
    statements: int
    sql_ms: float
    store_requests: int
    store_ms: float
    upstream_ms: float

    @property
    def ended_ms(self) -> float:
        return self.started_ms + self.duration_ms

    @property
    def depth(self) -> int:
        """0 for what the client asks, one more for each process that was asked on its behalf."""
        return _DEPTH.get(self.process, 2 if self.route.startswith(INTERNAL) else 1)

    @property
    def failed(self) -> bool:
        return self.status >= 400 or bool(self.error)


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened at one moment: a warning, a job taken up again."""

    process: str
    at_ms: float
    level: str
    text: str


def read(line: bytes) -> Hop | Note | None:
    """What a line says; None for a line that is none of ours.

    Docker Compose puts the part's name, or an escape sequence, before it.
    """
    try:
        given = json.loads(line[max(line.find(b"{"), 0) :])
        at_ms = datetime.fromisoformat(given["time"]).timestamp() * 1000
        if given["event"] in ("request", "finalised"):
            return _hop(given, at_ms)
        return _note(given, at_ms)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _hop(given: Mapping[str, Any], at_ms: float) -> Hop:
    duration_ms = float(given["duration_ms"])
    asked = given["event"] == "request"
    route = given["route"] if asked else ""
    ending = "" if asked or given["ending"] == "durable" else str(given["ending"])
    return Hop(
        process=given["service"],
        instance=given["instance"],
        request_id=given.get("request_id") or "",
        upload_uuid=given.get("upload_uuid") or "",
        what=f"{given['method']} {route}" if asked else "finalising, after the answer",
        route=route,
        status=int(given.get("status") or 0),
        error=given.get("error") or ending,
        started_ms=at_ms - duration_ms,
        duration_ms=duration_ms,
        bytes_in=int(given.get("bytes_in") or 0),
        bytes_out=int(given.get("bytes_out") or 0),
        statements=int(given.get("statements") or 0),
        sql_ms=float(given.get("sql_ms") or 0),
        store_requests=int(given.get("store_requests") or 0),
        store_ms=float(given.get("store_ms") or 0),
        upstream_ms=float(given.get("upstream_ms") or 0),
    )


_HEAD = ("time", "level", "service", "instance", "event", "request_id", "upload_uuid", "exception")


def _note(given: Mapping[str, Any], at_ms: float) -> Note:
    more = " ".join(f"{name}={value}" for name, value in given.items() if name not in _HEAD)
    return Note(given["service"], at_ms, given["level"], f"{given['event']} {more}".rstrip())
