"""What one request did, counted where it happens and written into its line of the access log.

The boundary of a process opens a trail per request; database, store client and upstream client add to
the trail of whatever they work for. A task started by a request works for it too. Costs one object and
one context variable per request, one look-up per statement or call; nothing is written but the line
that is written anyway.
"""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any
from uuid import UUID

UNMATCHED = "unmatched"


@dataclass(slots=True)
class Trail:
    """Seconds are those spent in calls; calls that run side by side count each.

    ``route`` is the template that the request matched; ``user_id`` whom it is for; ``sent_bytes`` the
    part of a streamed answer's body that was sent; ``error`` the code of a refusal that was passed on.
    """

    request_id: str = ""
    route: str = UNMATCHED
    quiet: bool = False  # no line in the access log
    user_id: UUID | str | None = None
    sent_bytes: int = 0
    error: str | None = None
    upload_uuid: UUID | None = None
    statements: int = 0
    sql_s: float = 0.0
    store_requests: int = 0
    store_s: float = 0.0
    upstream_s: float = 0.0

    def statement(self, seconds: float) -> None:
        self.statements += 1
        self.sql_s += seconds

    def store_request(self, seconds: float) -> None:
        self.store_requests += 1
        self.store_s += seconds

    def upstream(self, seconds: float) -> None:
        self.upstream_s += seconds

    def fields(self) -> dict[str, Any]:
        """For a log line, in milliseconds."""
        return {
            "upload_uuid": self.upload_uuid,
            "statements": self.statements,
            "sql_ms": round(self.sql_s * 1000, 3),
            "store_requests": self.store_requests,
            "store_ms": round(self.store_s * 1000, 3),
            "upstream_ms": round(self.upstream_s * 1000, 3),
        }


NOBODY = Trail()  # collects, unread, what is done for no request
TRAIL: ContextVar[Trail] = ContextVar("trail", default=NOBODY)


def about(upload_uuid: UUID) -> UUID:
    """The request at work is about this upload; returns it."""
    TRAIL.get().upload_uuid = upload_uuid
    return upload_uuid


def nobody() -> Context:
    """A context for a task that outlives the request that started it and is not part of its price."""
    context = copy_context()
    context.run(TRAIL.set, NOBODY)
    return context
