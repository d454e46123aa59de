"""Metrics are read in the turns of the arms that are scraped, and in no others."""

from __future__ import annotations

import time
from collections import Counter

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtests.harness.metrics.scraping import scrape
from loadtests.harness.records.plan import Stretch
from tests.unit.loadtests.switchback import arm, part

pytestmark = pytest.mark.unit


async def test_each_turn_of_a_scraped_arm_reads_every_page_of_its_stack_once() -> None:
    asked = Counter[str]()

    async def answer(request: web.Request) -> web.Response:
        asked[request.path] += 1
        return web.Response(text="up 1\n")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    own = part(arm("on", stack="on", scraped=True), arm("off", stack="off"))
    stretch = Stretch(
        stretch="s001", part=own.name, t0=time.time() - 100, period_s=1.0, washout_s=0.2,
        order=("on", "off", "off", "on"), blocks=(0, 0, 0, 0),
    )  # fmt: skip
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        pages = {
            "on": [str(server.make_url("/gateway")), "http://127.0.0.1:9"],
            "off": [str(server.make_url("/x"))],
        }
        await scrape(http, stretch, own, pages)
    assert asked == {"/gateway/metrics": 2}, "a process that does not answer costs nothing else"
