"""What passes through the steps: one request on its way in, and how answers of our own are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.routes import Entry
from services.kit.codec import encode
from services.kit.errors import Fault
from services.kit.http.message import JSON, Request, Response
from services.kit.upstream import Incoming


@dataclass(slots=True)
class Exchange:
    """A request and what the steps found out about it.

    ``client`` is the address that asks, which a trusted proxy may name; ``path`` and ``query`` are what
    will be forwarded.
    """

    request: Request
    method: str
    headers: CIMultiDictProxy[str]
    client: str
    request_id: str
    path: str = ""
    query: str = ""
    entry: Entry | None = None
    user_id: str | None = None
    tier: str = ""
    cors: Mapping[str, str] = field(default_factory=dict)
    incoming: Incoming | None = None  # a service's answer that is still on its way


def answer(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Response:
    return Response(status, CIMultiDict(headers or {}), body)


def json_answer(status: int, value: Any) -> Response:
    return answer(status, {"Content-Type": JSON}, encode(value))


def refusal(fault: Fault, request_id: str) -> Response:
    """The one error form."""
    refused = json_answer(fault.status, fault.body(request_id))
    for name, value in fault.headers.items():
        if name == "Connection":
            refused.close = True
        else:
            refused.headers[name] = value
    refused.error = fault.code
    return refused


def bare(status: int) -> Response:
    """For HTTP that cannot be served at all: no body, and the connection ends."""
    response = answer(status)
    response.close = True
    return response
