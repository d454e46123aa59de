"""The library twin's answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

from aiohttp import ClientError, ClientResponse
from multidict import CIMultiDictProxy

from services.kit.exchange import Guard
from services.kit.http.client import UpstreamBroken


class AiohttpAnswer:
    """See ``client.Answer``."""

    def __init__(
        self,
        response: ClientResponse,
        due_at: float,
        piece_s: float | None,
        unfinished: Callable[[], None] | None = None,
    ) -> None:
        self._response, self._due_at, self._piece_s = response, due_at, piece_s
        self._unfinished = unfinished
        self.status = response.status
        self.headers: CIMultiDictProxy[str] = response.headers

    @property
    def complete(self) -> bool:
        return self._response.content.is_eof()

    async def read_some(self) -> bytes:
        guard, piece_s = Guard(), self._piece_s
        limit_s = self._due_at - asyncio.get_running_loop().time() if piece_s is None else piece_s
        if limit_s < inf:
            guard.deadline(max(0.0, limit_s))
        try:
            return await self._response.content.readany()
        except asyncio.CancelledError:
            self.close()
            guard.translate()
            raise
        except (ClientError, OSError) as error:
            self.close()
            raise UpstreamBroken(type(error).__name__) from error
        finally:
            guard.stop()

    async def read(self) -> bytes:
        pieces = []
        while piece := await self.read_some():
            pieces.append(piece)
            if self._response.content.at_eof():
                break
        return b"".join(pieces)

    def close(self) -> None:
        if self._unfinished is not None:
            self._unfinished()
        self._response.release()
