"""What k6 asks the harness while it runs: the next stretch, rows to send, whether the stretch was cut.

One answer is held back until there is something to say (a long poll), so the VUs of a stretch begin together
and the harness knows when all are idle: all have asked for the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from loadtests.harness.clients.users import Identity
from loadtests.harness.k6.rows import Kind, Rows

HOLD_S = 20.0  # k6 waits for an answer three times as long


@dataclass(slots=True)
class Control:
    """The state behind the questions. ``vus`` ask for stretches, all of them."""

    vus: int
    rows: Rows
    url: str = ""
    runner: web.AppRunner | None = None
    _number: int = 0  # of the stretch that was released last
    _message: Mapping[str, Any] = field(default_factory=dict)
    _identities: Sequence[Sequence[Identity]] = ()  # by arm
    _waiting: set[int] = field(default_factory=set)
    _cut: bool = False
    _ended: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def release(self, message: Mapping[str, Any], identities: Sequence[Sequence[Identity]]) -> None:
        """Hand out a stretch; ``identities`` are the users of each of its arms, one for each VU."""
        async with self._changed:
            self._number += 1
            self._message = {**message, "n": self._number}
            self._identities = identities
            self._cut = False
            self._waiting.clear()
            self._changed.notify_all()

    @property
    def number(self) -> int:
        return self._number

    async def idle(self) -> None:
        """Wait until every VU has asked for the stretch after the last one."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) == self.vus)

    def cut(self) -> None:
        """No upload begins any more in this stretch."""
        self._cut = True

    async def end(self) -> None:
        """Every VU ends at its next question."""
        async with self._changed:
            self._cut = self._ended = True
            self._changed.notify_all()

    async def close(self) -> None:
        """Answer nothing any more."""
        await self.end()
        if self.runner is not None:
            await self.runner.cleanup()

    async def answer_stretch(self, request: web.Request) -> web.Response:
        after, vu = int(request.query["after"]), int(request.query["vu"])
        async with self._changed:
            if after == self._number:
                self._waiting.add(vu)
                self._changed.notify_all()
            try:
                async with asyncio.timeout(HOLD_S):
                    await self._changed.wait_for(lambda: self._ended or self._number > after)
            except TimeoutError:
                return web.json_response({"wait": True})
        return web.json_response({"end": True} if self._ended else self._for(vu))

    def _for(self, vu: int) -> dict[str, Any]:
        """The stretch as one VU plays it: under its own user."""
        arms = [
            {**arm, "identity": _told(users, vu)}
            for arm, users in zip(self._message["arms"], self._identities, strict=True)
        ]
        return {**self._message, "arms": arms}

    async def answer_rows(self, request: web.Request) -> web.Response:
        if self._cut:
            return web.json_response({"cut": True})
        rows = await self.rows.take(Kind.parse(request.query["kind"]))
        # The digest of a file sent whole is its only chunk's: k6 needs it once.
        return web.json_response(
            {
                "rows": [
                    {"ref": row.ref, "sha256": row.sha256, "stamps": row.stamps}
                    | ({"chunks": row.chunks} if len(row.chunks) > 1 else {})
                    for row in rows
                ]
            }
        )

    async def answer_cut(self, _: web.Request) -> web.Response:
        return web.json_response({"cut": self._cut})

    async def answer_pattern(self, request: web.Request) -> web.Response:
        return web.Response(body=self.rows.pattern(int(request.query["bytes"])))


def _told(users: Sequence[Identity], vu: int) -> dict[str, Any]:
    index = vu % len(users)
    user = users[index]
    return {"index": index, "token": user.token, "email": user.email, "password": user.password}


@asynccontextmanager
async def serving(control: Control) -> AsyncIterator[Control]:
    """Listen on a free port of this host until the block ends."""
    app = web.Application()
    app.router.add_get("/stretch", control.answer_stretch)
    app.router.add_get("/rows", control.answer_rows)
    app.router.add_get("/cut", control.answer_cut)
    app.router.add_get("/pattern", control.answer_pattern)
    # Nobody waits for a client that is asleep in a long poll.
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    control.runner = runner
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        control.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield control
    finally:
        await control.close()
