"""Which headers pass, in both directions.

Removed first, set after: what a client says about itself in a header that the gateway sets, in any
spelling, never reaches a service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.context import RequestContext
from gateway.limits import Proxies
from services.kit.deadline import HEADER as DEADLINE_HEADER
from services.kit.tokens import CredentialSigner

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "te", "trailer", "trailers", "transfer-encoding", "upgrade"}
)
SET_BY_US = frozenset(
    {
        "host",
        "content-length",
        "expect",
        "x-request-id",
        "x-user-id",
        "x-service-token",
        "x-request-timeout-ms",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
    }
)
TRACE = frozenset({"traceparent", "tracestate"})
SECURITY: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
HSTS = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}
_NOT_TO_UPSTREAM = HOP_BY_HOP | SET_BY_US
_NOT_TO_CLIENT = (
    HOP_BY_HOP
    | TRACE
    | frozenset(name.lower() for name in (*SECURITY, *HSTS))
    | frozenset(
        {
            "content-length",
            "server",
            "date",
            "vary",
            "x-error-code",
            "x-request-id",
            "x-user-id",
            "x-service-token",
            "x-request-timeout-ms",
        }
    )
)
_KEPT_AGAINST_CONNECTION = frozenset({"authorization"})
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def _named_by_connection(headers: CIMultiDictProxy[str]) -> frozenset[str]:
    if "Connection" not in headers:
        return frozenset()
    names = (name.strip().lower() for line in headers.getall("Connection") for name in line.split(","))
    return frozenset(names) - _KEPT_AGAINST_CONNECTION


def _trace_is_good(headers: CIMultiDictProxy[str]) -> bool:
    parents = headers.getall("traceparent", ())
    return len(parents) == 1 and _TRACEPARENT.fullmatch(parents[0]) is not None


def _passing(headers: CIMultiDictProxy[str], refused: frozenset[str]) -> CIMultiDict[str]:
    named = _named_by_connection(headers)
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        key = name.lower()
        if key in refused or key in named or key.startswith("proxy-"):
            continue
        if "_" in key and key.replace("_", "-") in refused:
            continue
        passed.add(name, value)
    return passed


class Injector:
    """Makes the head that goes to a service."""

    def __init__(self, signers: Mapping[str, CredentialSigner], proxies: Proxies) -> None:
        self._signers = signers
        self._proxies = proxies

    def headers(self, context: RequestContext, service: str, deadline_s: float) -> CIMultiDict[str]:
        """The client's headers that may pass, and ours."""
        given = context.headers
        refused = _NOT_TO_UPSTREAM
        if "traceparent" in given or "tracestate" in given:
            refused = refused if _trace_is_good(given) else refused | TRACE
        headers = _passing(given, refused)
        user_id = context.user_id
        if user_id is not None:
            headers["X-User-ID"] = user_id
        headers["X-Request-Id"] = context.trail.request_id
        headers["X-Service-Token"] = self._signers[service].token(user_id)
        headers[DEADLINE_HEADER] = str(int(deadline_s * 1000))
        self._forwarded(headers, given, context.peer)
        return headers

    def _forwarded(self, headers: CIMultiDict[str], given: CIMultiDictProxy[str], peer: str) -> None:
        before: Iterable[str] = ()
        proto, host = "http", given.get("Host", "")
        if self._proxies.trusted(peer):
            before = given.getall("X-Forwarded-For", ())
            proto = given.get("X-Forwarded-Proto", proto)
            host = given.get("X-Forwarded-Host", host)
        headers["X-Forwarded-For"] = ", ".join((*before, peer))
        headers["X-Forwarded-Proto"] = proto
        headers["X-Forwarded-Host"] = host


def to_client(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """An upstream's headers that a client may see; CORS, security and length are set elsewhere."""
    passed = _passing(headers, _NOT_TO_CLIENT)
    for name in [name for name in passed if name.lower().startswith("access-control-")]:
        del passed[name]
    return passed
