"""The ETag that an object will get, known before the store has made it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def multipart_etag(etags: Sequence[str | None]) -> str | None:
    """The ETag that an object of these parts gets; None when a part's ETag is not an MD5."""
    try:
        digests = b"".join(bytes.fromhex((etag or "").strip('"')) for etag in etags)
    except ValueError:
        return None
    if len(digests) != 16 * len(etags):
        return None
    return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"'


def put_etag(body: bytes) -> str:
    """The ETag of an object that is PUT at once."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
