"""Presigned URLs as a client uses them: another program, no credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from yarl import URL

from services.kit.clock import World
from services.kit.s3 import Part, S3Address, S3Client, open_client

pytestmark = pytest.mark.integration
LIFE_S = 60


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def put(browser: aiohttp.ClientSession, url: str, body: bytes = b"hello") -> tuple[int, str]:
    async with browser.put(URL(url, encoded=True), data=body) as answer:
        await answer.read()
        return answer.status, answer.headers.get("ETag", "")


async def test_put_then_get_with_disposition_and_type(
    store: S3Client, key: str, browser: aiohttp.ClientSession
) -> None:
    url = store.presign_put(key, LIFE_S)
    assert url.startswith("http://localhost:")
    status, etag = await put(browser, url)
    assert (status, etag) == (200, (await store.head(key)).etag)
    disposition = "attachment; filename=\"a_.txt\"; filename*=UTF-8''a%C3%BC.txt"
    shown = store.presign_get(key, LIFE_S, disposition=disposition, content_type="text/plain")
    async with browser.get(URL(shown, encoded=True)) as answer:
        assert (answer.status, await answer.read()) == (200, b"hello")
        assert answer.headers["Content-Disposition"] == disposition
        assert answer.headers["Content-Type"] == "text/plain"


async def test_parts_by_url(store: S3Client, key: str, browser: aiohttp.ClientSession) -> None:
    upload_id = await store.create_multipart(key)
    status, etag = await put(browser, store.presign_part(key, upload_id, 1, 5, LIFE_S))
    assert status == 200
    for size_bytes in (4, 6):
        url = store.presign_part(key, upload_id, 1, size_bytes, LIFE_S)
        assert (await put(browser, url))[0] == 403
    await store.complete_multipart(key, upload_id, [Part(1, etag)])
    assert (await store.head(key)).size_bytes == 5


@pytest.mark.parametrize(
    ("what", "replacement"),
    [("localhost", "127.0.0.1"), ("X-Amz-Expires=60", "X-Amz-Expires=61"), ("/users/", "/userz/")],
)
async def test_a_changed_url_is_refused(
    store: S3Client, key: str, browser: aiohttp.ClientSession, what: str, replacement: str
) -> None:
    url = store.presign_put(key, LIFE_S)
    assert what in url
    assert (await put(browser, url.replace(what, replacement)))[0] == 403


async def test_another_method_is_refused(store: S3Client, key: str, browser: aiohttp.ClientSession) -> None:
    await store.put_bytes(key, b"x")
    async with browser.get(URL(store.presign_put(key, LIFE_S), encoded=True)) as answer:
        assert answer.status == 403


async def test_an_expired_url_is_refused(
    address: S3Address, key: str, browser: aiohttp.ClientSession
) -> None:
    world = World()
    long_ago = World(now=lambda: world.now() - 3600)
    async with open_client(address, long_ago, lambda *_: None) as store:
        assert (await put(browser, store.presign_put(key, LIFE_S)))[0] == 403


async def test_a_wrong_secret_is_refused(
    address: S3Address, key: str, browser: aiohttp.ClientSession
) -> None:
    async with open_client(replace(address, secret_key="wrong"), World(), lambda *_: None) as store:
        assert (await put(browser, store.presign_put(key, LIFE_S)))[0] == 403
