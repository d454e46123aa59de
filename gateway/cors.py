"""Browser origins: which may ask, and what they are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiohttp import web

from gateway.context import RequestContext
from services.kit.errors import Fault
from services.kit.origins import ORIGINS

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    "Accept, Content-Type, Content-Length, Authorization, Upload-UUID, Checksum, Idempotency-Key, "
    "X-File-Name, X-Request-Id, Range, If-Range, If-None-Match"
)
EXPOSED_HEADERS = (
    "Authorization, ETag, X-Request-Id, Retry-After, Content-Disposition, Content-Range, Accept-Ranges"
)
MAX_AGE_S = 10_800
NO_ORIGIN: Mapping[str, str] = {"Vary": "Origin"}


def _headers(origin: str) -> Mapping[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": REQUEST_HEADERS,
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
        "Access-Control-Max-Age": str(MAX_AGE_S),
        "Vary": "Origin",
    }


class Cors:
    """Sets the CORS headers of an answer, and answers preflights."""

    def __init__(self, more_origins: Iterable[str]) -> None:
        self._allowed = {origin: _headers(origin) for origin in (*ORIGINS, *more_origins)}

    def check(self, context: RequestContext) -> web.Response | None:
        """The answer to a preflight, else None.

        Raises:
            Fault: ``origin_not_allowed``.
        """
        context.cors = NO_ORIGIN
        if "Origin" not in context.headers:
            return None
        origins = context.headers.getall("Origin")
        allowed = self._allowed.get(origins[0]) if len(origins) == 1 else None
        if allowed is None:
            raise Fault("origin_not_allowed", "This origin may not use the API.")
        context.cors = allowed
        return web.Response(status=204) if context.method == "OPTIONS" else None
