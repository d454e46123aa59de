"""Signed addresses stay as they are; only the connection goes elsewhere."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtests.harness.testbeds.store_route import StoreRoute, UnknownStore, netloc

pytestmark = pytest.mark.unit

NOBODY = "localhost:1"  # a port that nothing listens on


async def test_our_client_keeps_the_signed_name_and_connects_to_the_inner_one() -> None:
    async def told(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["Host"])

    app = web.Application()
    app.router.add_get("/object", told)
    async with TestServer(app) as server:
        route = StoreRoute(NOBODY, f"localhost:{server.port}")
        connector = aiohttp.TCPConnector(resolver=route.resolver())
        async with aiohttp.ClientSession(connector=connector) as http:
            async with http.get(f"http://{NOBODY}/object") as answer:
                assert await answer.text() == NOBODY
            async with http.get(f"http://localhost:{server.port}/object") as answer:
                assert await answer.text() == f"localhost:{server.port}"


async def test_k6_gets_an_address_for_the_signed_name() -> None:
    assert await StoreRoute("localhost:9100", "localhost:9200").k6_hosts() == {
        "localhost:9100": "127.0.0.1:9200"
    }


async def test_natively_nothing_is_changed() -> None:
    route = StoreRoute("localhost:9100", "localhost:9100")
    assert route.resolver() is None
    assert await route.k6_hosts() == {}


async def test_a_store_without_an_address_is_named() -> None:
    with pytest.raises(UnknownStore, match=r"no-store\.invalid:9100"):
        await StoreRoute("localhost:9100", "no-store.invalid:9100").k6_hosts()


def test_the_name_that_urls_are_signed_for() -> None:
    assert netloc({"S3_PUBLIC_ENDPOINT": "http://localhost:8610/"}) == "localhost:8610"
    assert netloc({"S3_PORT": "9100"}) == "localhost:9100"
