"""The fault proxy: whatever it does to a request, it does exactly that, and so often as it was told."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from aiohttp import web

from tests.chaos.fault_proxy import FaultProxy, Rule, operation
from tests.chaos.plan import Action

pytestmark = pytest.mark.unit

BODY = b"0123456789" * 200_000
ANSWER = b"answer" * 20_000


class Upstream:
    """Keeps the bodies that arrived whole, and the ``Host`` each was sent to."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.hosts: list[str] = []
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.hosts.append(request.headers["Host"])
        self.bodies.append(b"".join([piece async for piece in request.content.iter_any()]))
        return web.Response(body=ANSWER, headers={"ETag": '"tag"'})


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    one = Upstream()
    runner = web.ServerRunner(web.Server(one.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield one
    await runner.cleanup()


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with FaultProxy() as opened:
        yield opened


@pytest.fixture
def url(proxy: FaultProxy, upstream: Upstream) -> str:
    return f"http://127.0.0.1:{proxy.listen('store', upstream.url)}/bucket/a%2Bb%20c?x=%2F"


async def post(url: str) -> tuple[int, bytes]:
    """Status and body; status 0 when the connection broke. (A client may send a PUT again by itself.)"""
    async with aiohttp.ClientSession() as http:
        try:
            async with http.post(url, data=io.BytesIO(BODY)) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, OSError):
            return 0, b""


async def test_without_a_rule_nothing_changes(url: str, upstream: Upstream) -> None:
    assert await post(url) == (200, ANSWER)
    assert upstream.bodies == [BODY]
    assert upstream.hosts == [url.split("/")[2]]


ENDINGS = {
    Action.REFUSE: (503, 0),
    Action.LOSE: (503, 1),
    Action.LIE: (200, 0),
    Action.LIE_DONE: (200, 1),
    Action.RESET: (0, 0),
    Action.RESET_BODY: (0, 0),
    Action.RESET_ANSWER: (0, 1),
    Action.RESET_HALF: (0, 1),
    Action.STALL: (200, 1),
}


@pytest.mark.parametrize("action", Action)
async def test_each_action(proxy: FaultProxy, url: str, upstream: Upstream, action: Action) -> None:
    proxy.arm([Rule("store", "complete_multipart", action, skip=1, count=1, stall_s=0.05)])
    assert await post(url) == (200, ANSWER)
    status, body = await post(url)
    carried_out = len(upstream.bodies) - 1
    assert (status, carried_out) == ENDINGS[action]
    if action in {Action.LIE, Action.LIE_DONE}:
        assert b"<Error><Code>InternalError</Code>" in body
    assert await post(url) == (200, ANSWER)
    assert upstream.bodies == [BODY] * (2 + carried_out)
    assert proxy.hits == {f"store {action}": 1}


async def test_what_stalls_goes_on_when_disarmed(proxy: FaultProxy, url: str, upstream: Upstream) -> None:
    proxy.arm([Rule("store", "any", Action.STALL, skip=0, count=1, stall_s=600)])
    waiting = asyncio.create_task(post(url))
    while not proxy.hits:
        await asyncio.sleep(0.01)
    assert upstream.bodies == []
    proxy.disarm()
    assert await waiting == (200, ANSWER)


async def test_rules_of_other_places_and_operations_do_not_hit(
    proxy: FaultProxy, url: str, upstream: Upstream
) -> None:
    proxy.arm(
        [
            Rule("upload", "any", Action.REFUSE, skip=0, count=9, stall_s=0),
            Rule("store", "copy_object", Action.REFUSE, skip=0, count=9, stall_s=0),
        ]
    )
    assert await post(url) == (200, ANSWER)


@pytest.mark.parametrize(
    ("method", "query", "headers", "expected"),
    [
        ("PUT", "", "", "put_object"),
        ("PUT", "", "X-Amz-Copy-Source", "copy_object"),
        ("PUT", "uploadId partNumber", "", "upload_part"),
        ("PUT", "uploadId partNumber", "x-amz-copy-source", "upload_part_copy"),
        ("POST", "uploads", "", "create_multipart"),
        ("POST", "uploadId", "", "complete_multipart"),
        ("POST", "delete", "", "delete_objects"),
        ("DELETE", "", "", "delete_object"),
        ("DELETE", "uploadId", "", "abort_multipart"),
        ("HEAD", "", "", "head_object"),
        ("GET", "", "", "get_object"),
        ("GET", "uploadId", "", "list_parts"),
        ("GET", "list-type prefix", "", "list_objects"),
        ("OPTIONS", "", "", "other"),
    ],
)
def test_operations(method: str, query: str, headers: str, expected: str) -> None:
    assert operation(method, query.split(), headers.split()) == expected
