"""What the parser accepts and this gateway does not serve: answered bare, and the connection ends."""

from __future__ import annotations

from aiohttp import web

from gateway.message import Answer, bare

MAX_HEAD_BYTES = 32_768
_LINE_OVERHEAD_BYTES = 4  # ": " and the end of the line


def refusal_of(request: web.BaseRequest) -> Answer | None:
    """501 for codings and upgrades we do not speak, 400 for codings in HTTP/1.0, 431 for a huge head."""
    headers = request.headers
    if "Transfer-Encoding" in headers:
        if request.version < (1, 1):
            return bare(400)
        if headers["Transfer-Encoding"].strip().lower() != "chunked":
            return bare(501)
    if "Upgrade" in headers:
        return bare(501)
    size = len(request.raw_path)
    for name, value in request.raw_headers:
        size += len(name) + len(value) + _LINE_OVERHEAD_BYTES
    return bare(431) if size > MAX_HEAD_BYTES else None
