"""Answers when something is wrong: a part is gone or stands still, a limit is reached, a switch is off.

One system of its own, with the other chunk store, short waits and small limits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp
import pytest

from tests.contract import flows, forms
from tests.contract.api import Api
from tests.contract.conftest import PASSWORD
from tests.contract.flows import MIB, Multipart, Proxy, Single, Strategy
from tests.stack import System, running_system

pytestmark = pytest.mark.contract

UPLOAD = {
    "CHUNK_STORE": "disk",
    "MAX_OPEN_UPLOADS": "3",
    "FINALISE_ATTEMPTS": "3",
    "FINALISE_BACKOFF_S": "0.2",
    "FINALISE_WAIT_S": "1",
    "BENCH_ENDPOINTS": "0",
    "PROXY_MAX_BYTES": str(20 * MIB),
    "BUFFERED_MAX_BYTES": str(MIB),
    "BATCH_MAX_FILE_BYTES": str(MIB),
    "BATCH_MAX_BYTES": str(3 * MIB),
    "BREAKER": "off",  # here each attempt meets the fault itself
}
NUMBERS = count(1)
FILE, BATCH = "/api/upload/file", "/api/upload/batch"


@pytest.fixture(scope="module")
def strained() -> Iterator[System]:
    with running_system({"upload": UPLOAD}) as started:
        yield started


@pytest.fixture
async def user(strained: System, http: aiohttp.ClientSession, seen: Counter[str]) -> Api:
    name = f"strained_{next(NUMBERS)}"
    body = {"username": name, "email": f"{name}@contract.example", "password": PASSWORD}
    anyone = Api(http, strained.gateway, seen)
    token = (await anyone.ok("POST", "/auth/signup", json=body))["token"]
    return Api(http, strained.gateway, seen, token, body["email"])


@asynccontextmanager
async def without(strained: System, part: str) -> AsyncIterator[None]:
    """A part is down inside the block and healthy again after it."""
    await asyncio.to_thread(strained.stack.control, "stop", part)
    try:
        yield
    finally:
        await asyncio.to_thread(strained.stack.control, "restart", part)


@asynccontextmanager
async def standing_still(strained: System, part: str) -> AsyncIterator[None]:
    """A part takes connections and answers nothing inside the block."""
    await asyncio.to_thread(strained.stack.control, "pause", part)
    try:
        yield
    finally:
        await asyncio.to_thread(strained.stack.control, "resume", part)


strategies = pytest.mark.parametrize(
    "strategy", [Proxy(), Multipart(), Single()], ids=["proxy", "multipart", "single"]
)


@pytest.mark.parametrize("chunk_mib", [1, 5, 10])
async def test_chunks_on_disk_make_the_same_file(user: Api, chunk_mib: int) -> None:
    data = bytes(range(256)) * (13 * MIB // 256)
    strategy = Proxy(chunk_mib * MIB)
    upload = await flows.start(strategy, user, data)
    for index in reversed(range(len(strategy.pieces(data)))):
        answer = await strategy.send(upload, index)
        assert answer.status == 200, answer.body
    assert (await upload.status())["status"] == "completed"
    assert await flows.content(user, upload.uuid) == data


@strategies
async def test_too_many_open_uploads(user: Api, strategy: Strategy) -> None:
    opened = [await flows.start(strategy, user, b"abcd") for _ in range(3)]
    body = strategy.facts("a.bin", 4)
    answer = await user.refused("POST", strategy.session, "too_many_open_uploads", json=body)
    assert answer.headers["Retry-After"] == "60"
    await user.ok("DELETE", f"/api/upload/session/{opened[0].uuid}", 204)
    await flows.start(strategy, user, b"abcd")


async def test_experiment_switches_are_off(user: Api) -> None:
    body = Proxy().facts("a.bin", 4)
    params = {"finalise": "queued"}
    await user.refused("POST", Proxy.session, "switch_disabled", json=body, params=params)


@strategies
async def test_registration_is_not_possible(strained: System, user: Api, strategy: Strategy) -> None:
    """The first attempt is answered for; after the last one the upload has failed, until it is sent again."""
    upload = await flows.start(strategy, user, b"abcd")
    async with without(strained, "files"):
        answer = await strategy.send(upload, 0)
        if not isinstance(strategy, Proxy):
            answer = await strategy.finish(upload)
        assert answer is not None
        assert answer.code == "dependency_unavailable"
        assert answer.headers["Retry-After"] == "2"
        async with asyncio.timeout(30):
            while (status := await upload.status())["status"] != "failed":
                await asyncio.sleep(0.02)
        assert set(status["error"]) == {"code", "message"}
    if isinstance(strategy, Proxy):
        assert (await strategy.chunk(upload, 0, b"wxyz")).code == "upload_failed"
    if isinstance(strategy, Multipart):
        body = {"upload_uuid": upload.uuid, "part_numbers": [1]}
        await user.refused("POST", "/api/upload/multipart/presign", "upload_failed", json=body)
    answer = await strategy.finish(upload)
    assert (answer.status, answer.json["status"]) == (200, "completed")
    assert len(await flows.owned(user)) == 1


@strategies
async def test_a_failed_upload_can_be_given_up(strained: System, user: Api, strategy: Strategy) -> None:
    upload = await flows.start(strategy, user, b"abcd")
    async with without(strained, "files"):
        await strategy.send(upload, 0)
        await strategy.finish(upload)
        async with asyncio.timeout(30):
            while (await upload.status())["status"] != "failed":
                await asyncio.sleep(0.02)
    await user.ok("DELETE", f"/api/upload/session/{upload.uuid}", 204)
    assert (await upload.status())["status"] == "aborted"


@strategies
async def test_finalisation_takes_too_long(strained: System, user: Api, strategy: Strategy) -> None:
    upload = await flows.start(strategy, user, b"abcd")
    async with standing_still(strained, "files"):
        answer = await strategy.send(upload, 0)
        if not isinstance(strategy, Proxy):
            answer = await strategy.finish(upload)
        assert answer is not None
        assert (answer.code, answer.headers["Retry-After"]) == ("still_finalising", "2")
        if isinstance(strategy, Proxy):
            assert (await strategy.chunk(upload, 0, b"wxyz")).code == "upload_not_open"
        await user.refused("DELETE", f"/api/upload/session/{upload.uuid}", "upload_not_open")
    assert (await strategy.finish(upload)).json["status"] == "completed"
    assert len(await flows.owned(user)) == 1


def raw(data: bytes, **headers: str) -> dict[str, Any]:
    return {"data": data, "headers": {"X-File-Name": "a.bin", **headers}}


FORMED = pytest.mark.parametrize("formed", [False, True], ids=["raw", "form"])


def in_one(formed: bool, data: bytes, **headers: str) -> dict[str, Any]:
    """Arguments of ``POST /file``."""
    return forms.given(forms.form(forms.file(data)), headers) if formed else raw(data, **headers)


@FORMED
async def test_a_stored_file_that_cannot_be_registered(strained: System, user: Api, formed: bool) -> None:
    """The answer names the upload, and its job goes on."""
    async with without(strained, "files"):
        answer = await user.refused("POST", FILE, "dependency_unavailable", **in_one(formed, b"abcd"))
        assert answer.headers["Retry-After"] == "2"
        uuid = answer.json["details"]["upload_uuid"]
    async with asyncio.timeout(30):
        while (await user.ok("GET", f"/api/upload/status?upload_uuid={uuid}"))["status"] == "completing":
            await asyncio.sleep(0.02)
    status = await user.ok("GET", f"/api/upload/status?upload_uuid={uuid}")
    if status["status"] == "completed":
        assert await flows.content(user, uuid) == b"abcd"
    else:  # the service was away for longer than its attempts lasted
        assert status["error"]["code"] == "dependency_unavailable"


async def test_the_same_key_brings_a_failed_one_to_its_end(strained: System, user: Api) -> None:
    given = raw(b"abcd", **{"Idempotency-Key": "k"})
    async with without(strained, "files"):
        answer = await user.refused("POST", FILE, "dependency_unavailable", **given)
        path = f"/api/upload/status?upload_uuid={answer.json['details']['upload_uuid']}"
        async with asyncio.timeout(30):
            while (await user.ok("GET", path))["status"] != "failed":
                await asyncio.sleep(0.02)
    made = await user.ok("POST", FILE, 201, **given)
    assert made["upload_uuid"] == answer.json["details"]["upload_uuid"]
    assert len(await flows.owned(user)) == 1


async def test_a_registration_that_takes_too_long(strained: System, user: Api) -> None:
    async with standing_still(strained, "files"):
        answer = await user.refused("POST", FILE, "still_finalising", **raw(b"abcd"))
    uuid = answer.json["details"]["upload_uuid"]
    async with asyncio.timeout(30):
        while (await user.ok("GET", f"/api/upload/status?upload_uuid={uuid}"))["status"] != "completed":
            await asyncio.sleep(0.02)


@FORMED
@pytest.mark.parametrize("mode", ["streamed", "spooled", "buffered"])
async def test_the_largest_file_of_one_request(user: Api, mode: str, formed: bool) -> None:
    most = MIB if mode == "buffered" else 20 * MIB
    params = {"mode": mode}
    made = await user.ok("POST", FILE, 201, params=params, **in_one(formed, bytes(most)))
    assert made["size_bytes"] == most
    code = "body_too_large" if formed or mode == "buffered" else "file_too_large"
    await user.refused("POST", FILE, code, params=params, **in_one(formed, bytes(most + 1)))
    assert len(await flows.owned(user)) == 1


async def test_a_batch_has_its_limits(user: Api) -> None:
    fields = [forms.file(bytes(size), f"{size}.bin", "files") for size in (MIB, MIB + 1, 4)]
    answer = await user.ok("POST", BATCH, **forms.given(forms.form(*fields)))
    assert [one.get("error") for one in answer["results"]] == [None, "body_too_large", None]
    many = forms.form(*(forms.file(bytes(MIB), "a.bin", "files") for _ in range(5)))
    await user.refused("POST", BATCH, "body_too_large", **forms.given(many))
    assert len(await flows.owned(user)) == 2
    await user.refused("POST", BATCH, "body_too_large", **forms.given(many, chunked=True))


async def test_too_many_are_open_for_one_more(user: Api) -> None:
    for _ in range(3):
        await flows.start(Proxy(), user, b"abcd")
    answer = await user.refused("POST", FILE, "too_many_open_uploads", **raw(b"abcd"))
    assert answer.headers["Retry-After"] == "60"
    given = forms.given(forms.form(forms.file(b"abcd", "a.bin", "files")))
    batch = await user.ok("POST", BATCH, **given)
    assert batch["results"][0]["error"] == "too_many_open_uploads"


async def test_the_store_is_gone_for_whole_files(strained: System, user: Api) -> None:
    async with without(strained, strained.store_part):
        for mode in ("streamed", "spooled", "buffered"):
            params = {"mode": mode}
            answer = await user.refused("POST", FILE, "dependency_unavailable", params=params, **raw(b"abcd"))
            assert "details" not in answer.json
        given = forms.given(forms.form(forms.file(b"abcd", "a.bin", "files")))
        batch = await user.ok("POST", BATCH, **given)
        assert batch["results"][0]["error"] == "dependency_unavailable"
    assert (await user.ok("GET", "/api/upload/sessions"))["sessions"] == []
    assert await flows.owned(user) == []


async def test_auth_is_gone(strained: System, user: Api) -> None:
    async with without(strained, "auth"):
        await user.refused("POST", "/auth/login", "upstream_unavailable", json={})
        await not_ready(user, "", "auth")
        assert await flows.owned(user) == []  # others do not notice
    body = {"email": user.email, "password": PASSWORD}
    await user.ok("POST", "/auth/login", json=body)


async def not_ready(user: Api, prefix: str, check: str) -> None:
    """Readiness ends, for this reason; what was found is kept for two seconds."""
    async with asyncio.timeout(30):
        while (answer := await user.get(f"{prefix}/ready")).json["checks"][check]["ok"]:
            await asyncio.sleep(0.05)
    assert answer.code == "not_ready"
    await user.ok("GET", f"{prefix}/live")


@pytest.mark.parametrize(
    ("prefix", "method", "path"),
    [
        ("/auth", "POST", "/auth/login"),
        ("/api/upload", "GET", "/api/upload/sessions"),
        ("/api/files", "GET", "/api/files/me/owned"),
    ],
)
async def test_a_database_is_gone(strained: System, user: Api, prefix: str, method: str, path: str) -> None:
    body = {"email": user.email, "password": PASSWORD} if method == "POST" else None
    await user.ok(method, path, json=body)
    async with without(strained, "pg-" + prefix.rpartition("/")[2]):
        answer = await user.refused(method, path, "dependency_unavailable", json=body)
        assert answer.headers["Retry-After"] == "2"
        await not_ready(user, prefix, "database")
    await user.ok(method, path, json=body)


async def test_the_store_is_gone(strained: System, user: Api) -> None:
    upload = await flows.run(Proxy(), user, b"abcd")
    pending = await flows.start(Single(), user, b"abcd")
    async with without(strained, strained.store_part):
        body = Multipart().facts("a.bin", 4)
        await user.refused("POST", Multipart.session, "dependency_unavailable", json=body)
        assert (await Single().finish(pending)).code == "dependency_unavailable"
        path = f"/api/files/f/{upload.uuid}/download"
        await user.refused("GET", path, "dependency_unavailable", params={"delivery": "proxied"})
        await user.ok("GET", path)  # a presigned URL is made without the store
        for prefix in ("/api/upload", "/api/files"):
            await not_ready(user, prefix, "store")
    assert await flows.content(user, upload.uuid) == b"abcd"
    await Single().send(pending, 0)
    assert (await Single().finish(pending)).status == 200
