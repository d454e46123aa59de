"""What the parser accepts and this gateway does not serve: answered bare, and the connection ends."""

from __future__ import annotations

from aiohttp import HttpVersion10, HttpVersion11, web

from gateway.message import Answer, bare

MAX_HEAD_BYTES = 32_768
_VERSIONS = (HttpVersion11, HttpVersion10)
_LINE_OVERHEAD_BYTES = 4  # ": " and the end of the line


def refusal_of(request: web.BaseRequest) -> Answer | None:
    """400 for other versions, 501 for codings and upgrades we do not speak, 431 for a huge head.

    A header that is not UTF-8 is 400 too: the library would forward it without the odd bytes.
    """
    headers, version = request.headers, request.version
    if version not in _VERSIONS:
        return bare(400)
    if "Transfer-Encoding" in headers:
        if version == HttpVersion10:
            return bare(400)
        if headers["Transfer-Encoding"].strip().lower() != "chunked":
            return bare(501)
    if "Upgrade" in headers:
        return bare(501)
    size = len(request.raw_path)
    for name, value in request.raw_headers:
        size += len(name) + len(value) + _LINE_OVERHEAD_BYTES
        if not value.isascii() and not _is_utf8(value):
            return bare(400)
    return bare(431) if size > MAX_HEAD_BYTES else None


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
