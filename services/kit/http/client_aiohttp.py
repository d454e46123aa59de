"""The library twin: aiohttp's client behind the protocol of ours."""

from __future__ import annotations

import asyncio

from services.kit.exchange import Guard
from services.kit.http.client import Address, Call
from services.kit.http.client_aiohttp_answer import AiohttpAnswer
from services.kit.http.client_aiohttp_request import Connector, send
from services.kit.http.client_aiohttp_sending import AiohttpSending


class AiohttpClient:
    """See ``client.Client``."""

    def __init__(self, address: Address) -> None:
        self._base = f"{'https' if address.tls else 'http'}://{address.authority}"
        self._refusals_end = address.refusals_end
        self._kept = Connector(address.opened, limit=address.limit, keepalive_timeout=address.idle_s)
        self._fresh = Connector(address.opened, limit=address.limit, force_close=True)

    async def send(
        self,
        call: Call,
        body: bytes = b"",
        *,
        timeout_s: float,
        piece_s: float | None = None,
        fresh: bool = False,
    ) -> AiohttpAnswer:
        guard = Guard()
        due_at = asyncio.get_running_loop().time() + timeout_s
        guard.deadline(timeout_s)
        try:
            response = await send(
                self._fresh if fresh else self._kept,
                self._base,
                call,
                body or None,
                refusals_end=self._refusals_end,
            )
        except asyncio.CancelledError:
            guard.translate()
            raise
        finally:
            guard.stop()
        return AiohttpAnswer(response, due_at, piece_s)

    async def open(self, call: Call, length: int, *, timeout_s: float) -> AiohttpSending:
        sending = AiohttpSending(
            length,
            lambda payload: send(self._kept, self._base, call, payload, refusals_end=self._refusals_end),
        )
        await sending.opened(timeout_s)
        return sending

    async def close(self) -> None:
        await self._kept.close()
        await self._fresh.close()
