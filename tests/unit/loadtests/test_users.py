"""Signing up the users of a run."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtests.harness.clients.users import SIGNUPS_AT_ONCE, SignupFailed, create_users

pytestmark = pytest.mark.unit


async def test_where_one_is_refused_nobody_else_is_signed_up() -> None:
    asked = 0

    async def refuse(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == SIGNUPS_AT_ONCE:
            return web.Response(status=503, text="overloaded")
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application()
    app.router.add_post("/auth/signup", refuse)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        with pytest.raises(SignupFailed, match="was answered 503: overloaded"):
            await create_users(http, str(server.make_url("")).rstrip("/"), "run", 3 * SIGNUPS_AT_ONCE)
        assert asked < 3 * SIGNUPS_AT_ONCE
        going_on = [task for task in asyncio.all_tasks() if "_few_at_once" in repr(task.get_coro())]
        assert going_on == []
