"""An HTTP proxy that can be told to misbehave: between the services and the store, and between services.

It forwards everything as it is, ``Host`` included, because that is signed. It understands just enough of
S3 to tell the operations apart. It runs on a loop in a thread of its own, so that neither a slow test nor
a blocking start-up holds it up.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import uvloop
from aiohttp import web
from yarl import URL

from tests.chaos.plan import Action

T = TypeVar("T")
PIECE_BYTES = 64 * 1024
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "proxy-connection"}
NOTHING = {"User-Agent", "Accept", "Accept-Encoding", "Content-Type"}
_ERROR = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>InternalError</Code><Message>Please try again.</Message></Error>"
)


@dataclass(slots=True)
class Rule:
    """Hits ``count`` matching requests after letting ``skip`` of them through. ``op`` ``any`` matches all."""

    place: str  # "store", or the hop's name
    op: str  # an S3 operation; of a hop, the last word of the path
    action: Action
    skip: int
    count: int
    stall_s: float

    def hits(self, place: str, op: str) -> bool:
        if place != self.place or self.op not in {"any", op} or self.count == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.count -= 1
        return True


# What tells the operations of one method apart: a word of the query, or of a copy its header; then the rest.
_OPERATIONS: Mapping[str, tuple[tuple[frozenset[str], str], ...]] = {
    "PUT": (
        (frozenset({"uploadId", "x-amz-copy-source"}), "upload_part_copy"),
        (frozenset({"uploadId"}), "upload_part"),
        (frozenset({"x-amz-copy-source"}), "copy_object"),
        (frozenset(), "put_object"),
    ),
    "POST": (
        (frozenset({"uploads"}), "create_multipart"),
        (frozenset({"delete"}), "delete_objects"),
        (frozenset(), "complete_multipart"),
    ),
    "DELETE": ((frozenset({"uploadId"}), "abort_multipart"), (frozenset(), "delete_object")),
    "HEAD": ((frozenset(), "head_object"),),
    "GET": (
        (frozenset({"uploadId"}), "list_parts"),
        (frozenset({"list-type"}), "list_objects"),
        (frozenset(), "get_object"),
    ),
}


def operation(method: str, query: Collection[str], headers: Collection[str]) -> str:
    """The S3 operation of a request, in the words of our own metrics; ``other`` for what we never ask."""
    words = {*query, *(name.lower() for name in headers)}
    return next((name for needed, name in _OPERATIONS.get(method, ()) if needed <= words), "other")


class FaultProxy:
    """Several listening ports, each in front of one address. Used as a context manager.

    ``arm`` and ``disarm`` may be called from any thread; ``hits`` says how often each action was taken.
    """

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._rules: list[Rule] = []
        self._calm = asyncio.Event()
        self._runners: list[web.ServerRunner] = []
        self._session: aiohttp.ClientSession | None = None
        self.hits = Counter[str]()

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._wait(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def listen(self, place: str, upstream: str) -> int:
        """A new port; what comes to it goes to ``upstream``, an address without a path."""
        return self._wait(self._listen(place, upstream))

    def arm(self, rules: list[Rule]) -> None:
        def change() -> None:
            self._rules, self._calm = rules, asyncio.Event()

        self._loop.call_soon_threadsafe(change)

    def disarm(self) -> None:
        """Forward everything from now on; what stalls goes on at once."""

        def change() -> None:
            self._rules = []
            self._calm.set()

        self._loop.call_soon_threadsafe(change)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),  # a body is sent once only
            auto_decompress=False,
            skip_auto_headers=NOTHING,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        )

    async def _close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _listen(self, place: str, upstream: str) -> int:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(request, place, upstream)

        runner = web.ServerRunner(
            web.Server(handle, access_log=None, handler_cancellation=True), shutdown_timeout=0.5
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._runners.append(runner)
        port: int = runner.addresses[0][1]
        return port

    async def _handle(self, request: web.BaseRequest, place: str, upstream: str) -> web.StreamResponse:
        op = request.path.rpartition("/")[2]
        if place == "store":
            op = operation(request.method, request.query, request.headers)
        rule = next((rule for rule in self._rules if rule.hits(place, op)), None)
        if rule is None:
            return await self._forward(request, upstream)
        self.hits[f"{place} {rule.action}"] += 1
        return await self._hit(request, rule, upstream)

    async def _hit(self, request: web.BaseRequest, rule: Rule, upstream: str) -> web.StreamResponse:
        action = rule.action
        if action is Action.STALL:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._calm.wait(), rule.stall_s)
        if action in {Action.STALL, Action.RESET_BODY, Action.RESET_HALF}:
            cut_body, cut_answer = action is Action.RESET_BODY, action is Action.RESET_HALF
            return await self._forward(request, upstream, cut_body=cut_body, cut_answer=cut_answer)
        if action in {Action.LOSE, Action.LIE_DONE, Action.RESET_ANSWER}:
            await self._carried_out(request, upstream)
        elif action is not Action.RESET:
            async for _ in request.content.iter_chunked(PIECE_BYTES):
                continue  # `read` would refuse what is long
        if action in {Action.RESET, Action.RESET_ANSWER}:
            return self._reset(request)
        status = 200 if action in {Action.LIE, Action.LIE_DONE} else 503
        return web.Response(status=status, body=_ERROR, content_type="application/xml")

    def _reset(self, request: web.BaseRequest) -> web.StreamResponse:
        """Break the client's connection so that it sees a reset, not an orderly end."""
        transport = request.transport
        if transport is not None:
            raw = transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        return web.Response()  # it reaches nobody

    async def _carried_out(self, request: web.BaseRequest, upstream: str) -> None:
        try:
            async with self._asked(request, upstream, self._body(request)) as answer:
                await answer.read()
        except (aiohttp.ClientError, OSError):
            self._reset(request)

    async def _forward(
        self, request: web.BaseRequest, upstream: str, *, cut_body: bool = False, cut_answer: bool = False
    ) -> web.StreamResponse:
        try:
            async with self._asked(request, upstream, self._body(request, cut=cut_body)) as answer:
                response = web.StreamResponse(status=answer.status, reason=answer.reason)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP_BY_HOP:
                        response.headers.add(name, value)
                await response.prepare(request)
                async for piece in answer.content.iter_chunked(PIECE_BYTES):
                    await response.write(piece[: len(piece) // 2] if cut_answer else piece)
                    if cut_answer:
                        return self._reset(request)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, OSError):  # what is behind us went away: so do we
            return self._reset(request)

    def _asked(self, request: web.BaseRequest, upstream: str, body: AsyncIterator[bytes] | None) -> Any:
        assert self._session is not None
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        url = URL(f"{upstream}{request.raw_path}", encoded=True)
        return self._session.request(request.method, url, headers=headers, data=body, allow_redirects=False)

    def _body(self, request: web.BaseRequest, *, cut: bool = False) -> AsyncIterator[bytes] | None:
        if not request.body_exists:
            return None

        async def pieces() -> AsyncIterator[bytes]:
            sent, half = 0, (request.content_length or 0) // 2
            async for piece in request.content.iter_chunked(PIECE_BYTES):
                if cut and sent + len(piece) > half:
                    yield piece[: max(0, half - sent)]
                    raise ConnectionResetError
                yield piece
                sent += len(piece)

        return pieces()
