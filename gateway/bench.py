"""Routes for experiments: known work of a known price, behind all steps of the pipeline.

Only with ``BENCH_ENDPOINTS``. What each request costs is said by its query, or by the settings.
"""

from __future__ import annotations

import asyncio
import mmap
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from random import Random
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from gateway.context import CONTEXT
from gateway.settings import MAX_ITERATIONS, MAX_MIB, MAX_SLEEP_MS, Settings
from services.kit.codec import decode, encode
from services.kit.errors import Fault
from services.kit.web.answers import JSON_HEADERS, Streamed, json_response

MIB = 1024 * 1024
MAX_ITEMS, ITEMS = 10_000, 100
MAX_USERS, USERS = 1_000, 20
BROWSED = 10
FAIL_STATUSES = (500, 502, 503, 504)
MEM_MODES = ("alloc", "touch")
BUFFERED_BYTES = 65_536
OCTET_STREAM = "application/octet-stream"
_WHOLE = re.compile(r"[0-9]{1,9}")
_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,18})?")
Query = MultiMapping[str]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _refused(name: str, expected: str) -> Fault:
    return Fault("invalid_query", f"{name} is {expected}.")


def _given(query: Query, name: str) -> str | None:
    values = query.getall(name, ())
    if len(values) > 1:
        raise _refused(name, "given once")
    return values[0] if values else None


def whole(query: Query, name: str, default: int, maximum: int) -> int:
    """Raises ``invalid_query`` outside 0 to ``maximum``."""
    text = _given(query, name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text) or int(text) > maximum:
        raise _refused(name, f"an integer from 0 to {maximum}")
    return int(text)


def _share(query: Query, name: str, default: float) -> float:
    text = _given(query, name)
    if text is None:
        return default
    if not _DECIMAL.fullmatch(text) or float(text) > 1:
        raise _refused(name, "a number from 0 to 1")
    return float(text)


def _one_of(query: Query, name: str, default: str, known: tuple[str, ...]) -> str:
    text = _given(query, name)
    if text is not None and text not in known:
        raise _refused(name, "one of " + ", ".join(known))
    return default if text is None else text


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a request is made to cost; the fields are named as the parameters."""

    cpu: int
    mem_mb: int
    mem_mode: str
    sleep_ms: int
    fail_p: float
    fail_status: int

    @classmethod
    def of(cls, query: Query, settings: Settings) -> Knobs:
        """Raises ``invalid_query``."""
        return cls(
            whole(query, "cpu", settings.load_cpu_iterations, MAX_ITERATIONS),
            whole(query, "mem_mb", settings.load_mem_mb, MAX_MIB),
            _one_of(query, "mem_mode", settings.mem_mode, MEM_MODES),
            whole(query, "sleep_ms", settings.load_sleep_ms, MAX_SLEEP_MS),
            _share(query, "fail_p", settings.load_fail_p),
            int(_one_of(query, "fail_status", "500", tuple(map(str, FAIL_STATUSES)))),
        )


class Load:
    """Makes a request cost what its knobs say."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._block = mmap.mmap(-1, MAX_MIB * MIB)  # no memory until it is touched

    async def bear(self, knobs: Knobs) -> None:
        """Raises ``injected_fault`` by chance."""
        for number in range(knobs.cpu):
            sqrt(number)
        used = self._memory(knobs)
        if knobs.sleep_ms:
            await asyncio.sleep(knobs.sleep_ms / 1000)
        del used
        if knobs.fail_p and self._rng.random() < knobs.fail_p:
            raise Fault("injected_fault", "This fault was asked for.", status=knobs.fail_status)

    def _memory(self, knobs: Knobs) -> bytearray | mmap.mmap | None:
        size = knobs.mem_mb * MIB
        if not size:
            return None
        memory = self._block if knobs.mem_mode == "touch" else bytearray(size)
        memory[: size : mmap.PAGESIZE] = bytes(size // mmap.PAGESIZE)
        return memory


class Bench:
    """The routes.

    Args:
        status: what ``/bench/status`` shows.
    """

    def __init__(self, settings: Settings, rng: Random, status: Callable[[], dict[str, Any]]) -> None:
        self._settings, self._status = settings, status
        self._load = Load(rng)

    def handlers(self) -> Mapping[str, Handler]:
        """By route name."""
        return {
            "bench_status": self._show,
            "bench_items": self._items,
            "bench_echo": self._echo,
            "bench_users": self._users,
            "bench_browse": self._browse,
            "bench_submit": self._submit,
        }

    async def _bear(self, request: web.BaseRequest) -> None:
        await self._load.bear(Knobs.of(request.query, self._settings))

    async def _show(self, _: web.BaseRequest) -> web.StreamResponse:
        return json_response(self._status())

    async def _items(self, request: web.BaseRequest) -> web.StreamResponse:
        number = whole(request.query, "items", ITEMS, MAX_ITEMS)
        await self._bear(request)
        items = [{"id": one, "value": f"item-{one}"} for one in range(number)]
        return answer(encode({"items": items, "count": number}))

    async def _echo(self, request: web.BaseRequest) -> web.StreamResponse:
        body = request[CONTEXT].body or b""
        await self._bear(request)
        return answer(body, {"Content-Type": request.headers.get("Content-Type", OCTET_STREAM)})

    async def _users(self, request: web.BaseRequest) -> web.StreamResponse:
        number = whole(request.query, "count", USERS, MAX_USERS)
        await self._bear(request)
        users = [{"id": one, "username": f"user-{one}"} for one in range(number)]
        return answer(encode({"users": users, "count": number}))

    async def _browse(self, request: web.BaseRequest) -> web.StreamResponse:
        await self._bear(request)
        items = [{"id": one, "name": f"item-{one}", "size_bytes": 1024 * one} for one in range(BROWSED)]
        return json_response({"user_id": request[CONTEXT].user_id, "items": items})

    async def _submit(self, request: web.BaseRequest) -> web.StreamResponse:
        body = request[CONTEXT].body or b""
        if not isinstance(decode(body), dict):
            raise Fault("invalid_json", "The body must be a JSON object.")
        await self._bear(request)
        return json_response({"accepted": True, "bytes": len(body)})


def answer(body: bytes, headers: Mapping[str, str] = JSON_HEADERS) -> web.StreamResponse:
    """200; what does not fit into a connection's buffer is sent before the request counts as over."""
    if len(body) <= BUFFERED_BYTES:
        return web.Response(headers=headers, body=body)
    rest = [body]

    async def source() -> bytes:
        return rest.pop() if rest else b""

    return Streamed(200, {**headers, "Content-Length": str(len(body))}, source, rest.clear)
