"""From an id to a journey: which lines belong to it, and in which order things happened.

An upload is many requests, and only the upload service and the files service know which upload a
request is about. So the logs are read twice: once for the id, once for the requests it appeared in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from compose.trace import scan
from compose.trace.model import Hop, Note, read
from compose.trace.sources import SERVICES, FileLogs

LINES_MAX = 50_000  # an upload of ten thousand chunks has thirty thousand
DIRECT = ("/multipart/part", "/single/complete")  # what a client says after it sent bytes to the store
_METHODS = {
    "/proxy/": "proxy",
    "/multipart/": "direct, multipart",
    "/single/": "direct, single",
    "/api/upload/file": "proxy, one request",
}
_BEGINNINGS = ("/session", "/api/upload/file")


class TraceError(Exception):
    """What was asked for cannot be shown; the text says why."""


class UnknownId(TraceError):
    """No log holds a line with this id."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Between two requests the client sent bytes to the store, which writes no log of it."""

    started_ms: float
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Journey:
    """Everything that was logged about an id, outermost and earliest first."""

    wanted: str
    uploads: tuple[str, ...]
    hops: tuple[Hop, ...]
    notes: tuple[Note, ...]
    gaps: tuple[Gap, ...]
    more: bool

    @property
    def began_ms(self) -> float:
        return min([hop.started_ms for hop in self.hops] + [note.at_ms for note in self.notes])

    @property
    def ended_ms(self) -> float:
        return max([hop.ended_ms for hop in self.hops] + [note.at_ms for note in self.notes])

    @property
    def method(self) -> str:
        """How the bytes travelled, "" when no line tells."""
        found = (name for hop in self.hops for part, name in _METHODS.items() if part in hop.route)
        return next(found, "")

    @property
    def whole(self) -> bool:
        """Whether the beginning is there: a session, or the one request there is."""
        return not self.method or any(hop.route.endswith(_BEGINNINGS) for hop in self.hops)


def follow(source: FileLogs, wanted: str) -> Journey:
    """The journey of an upload's id or of a request's id.

    Raises:
        UnknownId: it is in no log.
    """
    first = _read(source, scan.mentions(wanted))
    requests = {one.request_id for one in first if isinstance(one, Hop) and one.request_id}
    others = requests - {wanted}
    entries = [*first, *_read(source, scan.of_requests(others))] if others else first
    if not entries:
        raise UnknownId(wanted)
    hops = ordered({one for one in entries if isinstance(one, Hop)})
    notes = sorted({one for one in entries if isinstance(one, Note)}, key=lambda note: note.at_ms)
    uploads = sorted({hop.upload_uuid for hop in hops if hop.upload_uuid})
    gaps = tuple(_gaps(hops))
    return Journey(wanted, tuple(uploads), hops, tuple(notes), gaps, len(entries) >= LINES_MAX)


def _read(source: FileLogs, search: scan.Search) -> list[Hop | Note]:
    found: list[Hop | Note] = []
    for service in SERVICES:
        for line in scan.lines(source.blocks(service), search):
            entry = read(line)
            if entry is not None:
                found.append(entry)
            if len(found) >= LINES_MAX:
                return found
    return found


def ordered(hops: Collection[Hop]) -> tuple[Hop, ...]:
    """Requests by the time they began; within one, the process that was asked first."""
    began: dict[str, float] = {}
    for hop in hops:
        began[hop.request_id] = min(began.get(hop.request_id, hop.started_ms), hop.started_ms)

    def place(hop: Hop) -> tuple[float, str, int, float]:
        return began[hop.request_id], hop.request_id, hop.depth, hop.started_ms

    return tuple(sorted(hops, key=place))


def _gaps(hops: Collection[Hop]) -> Iterator[Gap]:
    """From the end of everything before to the request that reports what was sent."""
    ended_ms = 0.0
    outer = sorted((hop for hop in hops if hop.depth == 0), key=lambda hop: hop.started_ms)
    for hop in outer:
        if ended_ms and hop.route.endswith(DIRECT) and hop.started_ms > ended_ms:
            yield Gap(ended_ms, hop.started_ms - ended_ms)
        ended_ms = max(ended_ms, hop.ended_ms)
