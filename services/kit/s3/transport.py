"""One request to the store on aiohttp's client, timed and counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import aiohttp

from services.kit.s3.errors import StoreError, refusal, transport_error
from services.kit.s3.signing import Signed
from services.kit.trail import TRAIL

Observe = Callable[[str, str, float], None]
CONNECTIONS = 256
IDLE_S = 20.0  # MinIO closes an idle connection after 30 s; the client must be the one that closes
CONNECT_S, POOL_WAIT_S = 2.0, 10.0
READ_S, SLOW_READ_S = 30.0, 120.0
READ_BUFFER_BYTES = 65_536
BROKEN = (aiohttp.ClientError, OSError)
_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _timeout(read_s: float) -> aiohttp.ClientTimeout:
    """``read_s`` bounds the wait for the head and between pieces; the time to send is not bounded."""
    return aiohttp.ClientTimeout(total=None, connect=POOL_WAIT_S, sock_connect=CONNECT_S, sock_read=read_s)


def open_session() -> aiohttp.ClientSession:
    """A session that adds nothing to a request: no cookies, no decompression, no automatic headers."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE_S, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_AUTO_HEADERS,
        read_bufsize=READ_BUFFER_BYTES,
        trust_env=False,
    )


class Transport:
    """Sends signed requests; every failure is a ``StoreError``, every request is observed once."""

    def __init__(self, session: aiohttp.ClientSession, observe: Observe) -> None:
        self._session, self._observe = session, observe
        self._timeouts = {read_s: _timeout(read_s) for read_s in (READ_S, SLOW_READ_S)}

    @asynccontextmanager
    async def open(
        self, op: str, signed: Signed, data: Any = None, read_s: float = READ_S
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer's head, status below 300; leaving the block gives the connection back or closes it.

        Raises:
            StoreError: no answer or a refusal.
        """
        started = perf_counter()
        result = "aborted"
        try:
            response = await self._send(op, signed, data, read_s)
            result = "ok"
        except StoreError as error:
            result = error.result
            raise
        finally:
            seconds = perf_counter() - started
            self._observe(op, result, seconds)
            TRAIL.get().store_request(seconds)
        try:
            yield response
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    async def _send(self, op: str, signed: Signed, data: Any, read_s: float) -> aiohttp.ClientResponse:
        try:
            response = await self._session.request(
                signed.method,
                signed.url,
                headers=signed.headers,
                data=data,
                allow_redirects=False,
                timeout=self._timeouts[read_s],
            )
            if response.status < 300:
                return response
            async with response:
                raise refusal(op, response.status, await response.read())
        except BROKEN as error:
            raise transport_error(op) from error

    async def call(self, op: str, signed: Signed, data: Any = None, read_s: float = READ_S) -> Answer:
        """The whole answer to a request whose answer is small."""
        async with self.open(op, signed, data, read_s) as response:
            try:
                return Answer(response.status, response.headers, await response.read())
            except BROKEN as error:
                raise transport_error(op) from error
