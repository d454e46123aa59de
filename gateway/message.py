"""What passes through the steps: one request on its way in, one answer on its way out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.routes import Entry
from services.kit.codec import encode
from services.kit.errors import Fault
from services.kit.upstream import Incoming

JSON = "application/json"


@dataclass(slots=True)
class Exchange:
    """A request's head and what the steps found out about it.

    ``target`` is the raw request target; ``path`` and ``query`` are what will be forwarded.
    """

    method: str
    target: str
    headers: CIMultiDictProxy[str]
    version: tuple[int, int]
    peer: str
    request_id: str
    path: str = ""
    query: str = ""
    entry: Entry | None = None
    user_id: str | None = None
    tier: str = ""
    cors: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Answer:
    """A response: either ``body``, or the pieces of ``stream``. ``close`` ends the connection after it."""

    status: int
    headers: CIMultiDict[str]
    body: bytes = b""
    stream: Incoming | None = None
    error: str | None = None
    close: bool = False


def json_answer(status: int, value: Any) -> Answer:
    return Answer(status, CIMultiDict({"Content-Type": JSON}), encode(value))


def refusal(fault: Fault, request_id: str) -> Answer:
    """The one error form."""
    answer = json_answer(fault.status, fault.body(request_id))
    for name, value in fault.headers.items():
        if name == "Connection":
            answer.close = True
        else:
            answer.headers[name] = value
    answer.error = fault.code
    return answer


def bare(status: int) -> Answer:
    """For HTTP that cannot be served at all: no body, and the connection ends."""
    return Answer(status, CIMultiDict(), close=True)
