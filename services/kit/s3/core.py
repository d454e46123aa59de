"""What every operation shares: sign, send, repeat if the body is still held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256

from services.kit.s3.errors import StoreError
from services.kit.s3.put import StreamedPut
from services.kit.s3.retry import Retry
from services.kit.s3.signing import UNSIGNED_PAYLOAD, Signer
from services.kit.s3.transport import READ_S, STALL_S, Transport, Whole

INLINE_HASH_BYTES = 262_144
EMPTY_SHA256 = sha256(b"").hexdigest()


def object_headers(
    content_type: str | None,
    meta: Mapping[str, str] | None,
    *,
    if_none_match: bool = False,
    if_match: str | None = None,
) -> dict[str, str]:
    headers = {f"x-amz-meta-{name}": value for name, value in (meta or {}).items()}
    if content_type:
        headers["Content-Type"] = content_type
    if if_none_match:
        headers["If-None-Match"] = "*"
    if if_match is not None:
        headers["If-Match"] = if_match
    return headers


async def digest_of(body: bytes) -> str:
    """SHA-256 in hex; a large body is hashed in a thread, so that the loop stays free."""
    if not body:
        return EMPTY_SHA256
    if len(body) <= INLINE_HASH_BYTES:
        return sha256(body).hexdigest()
    return await asyncio.to_thread(lambda: sha256(body).hexdigest())


class Core:
    """Signed calls with retries, and streamed PUTs without."""

    def __init__(self, signer: Signer, transport: Transport, retry: Retry) -> None:
        self._signer, self._transport, self._retry = signer, transport, retry

    async def _call(
        self,
        op: str,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        read_s: float = READ_S,
    ) -> Whole:
        payload_sha256 = await digest_of(body)

        async def attempt() -> Whole:
            signed = self._signer.sign(
                method, key, query=query, headers=headers, payload_sha256=payload_sha256
            )
            return await self._transport.call(op, signed, body, read_s)

        return await self._retry(attempt)

    async def _stream(
        self,
        op: str,
        key: str,
        size_bytes: int,
        payload_sha256: str | None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        refusal: Callable[[], Awaitable[StoreError | None]] | None = None,
    ) -> StreamedPut:
        signed = self._signer.sign(
            "PUT", key, query=query, headers=headers, payload_sha256=payload_sha256 or UNSIGNED_PAYLOAD
        )

        sending, done = await self._transport.put(op, signed, size_bytes)
        return StreamedPut(op, size_bytes, sending, done, stall_s=STALL_S, refusal=refusal)
