"""A client as a careful person would write it: it uploads, and sends again what was not answered.

It leaves the same record as the load generator, an intent and an outcome for every upload, so the
ledger can judge what became of each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from loadtests.harness.clients.payload import Payload, UploadRow
from loadtests.harness.clients.users import Identity
from loadtests.harness.records.samples import Intent, Outcome

STRETCH = "adversity"
PIECE_BYTES = 5 * 1024 * 1024
PATIENCE_S = 45.0
ROUNDS, INVALID_PART = 3, 422
PAUSE_S = 0.1
Hook = Callable[[str, int], Awaitable[None]]


class GaveUp(Exception):
    """A step was not answered with 200, and the client does not try again."""

    def __init__(self, step: str, status: int) -> None:
        super().__init__(f"{step}: {status or 'no answer'}")
        self.step = step
        self.status = status


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk or part."""

    index: int
    body: bytes = field(repr=False)


async def nothing(step: str, index: int) -> None:
    """The hook of a client to which nothing happens."""


@dataclass(slots=True)
class Client:
    """One user. ``resends``: whether an unanswered or refused step is sent again."""

    http: aiohttp.ClientSession
    gateway: str
    identity: Identity
    payload: Payload
    resends: bool = True
    intents: list[Intent] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    resent: int = 0

    async def upload(self, strategy: str, row: UploadRow, hook: Hook = nothing) -> bool:
        """Upload one file; whether the client was told that it is done.

        ``hook`` is awaited before each step, and in the middle of each body, with the step's name and
        the index of its piece.
        """
        started_at = time.time()
        self.intents.append(
            Intent(
                upload_ref=row.ref,
                stretch=STRETCH,
                arm=strategy,
                user_id=self.identity.user_id,
                size_bytes=self.payload.size_bytes,
                sha256=row.sha256,
                at=started_at,
            )
        )
        facts: dict[str, Any] = {"acked": True}
        try:
            await (self._proxy if strategy == "proxy-chunked" else self._direct)(row, hook)
        except GaveUp as failure:
            facts = {"acked": False, "step": failure.step, "status": failure.status}
        self.outcomes.append(
            Outcome(upload_ref=row.ref, started_at=started_at, ended_at=time.time(), **facts)
        )
        return bool(facts["acked"])

    async def _proxy(self, row: UploadRow, hook: Hook) -> None:
        session = await self._session("proxy", row, hook, {})
        for piece in self._pieces(row):
            headers = {"Upload-UUID": session["upload_uuid"], "Checksum": row.chunks[piece.index]}
            url = f"{self.gateway}/api/upload/proxy/chunk?id={piece.index}"
            await hook("chunk", piece.index)
            await self._body("chunk", piece, url, headers | self._authorised(), hook)

    async def _direct(self, row: UploadRow, hook: Hook) -> None:
        session = await self._session("multipart", row, hook, {"part_size_bytes": PIECE_BYTES})
        known = {"upload_uuid": session["upload_uuid"]}
        for left in range(ROUNDS, 0, -1):
            await self._parts(row, session, hook)
            await hook("complete", 0)
            try:
                await self._json("complete", "/api/upload/multipart/complete", known)
            except GaveUp as failure:
                # A store that was cut off while it joined the parts may have forgotten them, and says so.
                if failure.status != INVALID_PART or not self.resends or left == 1:
                    raise
                self.resent += 1
            else:
                return

    async def _parts(self, row: UploadRow, session: dict[str, Any], hook: Hook) -> None:
        for piece in self._pieces(row):
            await hook("put", piece.index)
            answer = await self._body("put", piece, session["parts"][piece.index]["url"], {}, hook)
            part = {"part_number": piece.index + 1, "size_bytes": len(piece.body), "etag": answer["etag"]}
            await hook("part", piece.index)
            facts = {"upload_uuid": session["upload_uuid"], **part}
            await self._json("part", "/api/upload/multipart/part", facts)

    async def _session(self, kind: str, row: UploadRow, hook: Hook, more: dict[str, Any]) -> dict[str, Any]:
        facts = {"file_name": f"{row.ref}.bin", "file_size_bytes": self.payload.size_bytes, **more}
        await hook("session", 0)
        return await self._json("session", f"/api/upload/{kind}/session", facts, {"Idempotency-Key": row.ref})

    def _pieces(self, row: UploadRow) -> list[Piece]:
        body = self.payload.body(row.ref)
        starts = range(0, len(body), PIECE_BYTES)
        return [Piece(index, body[at : at + PIECE_BYTES]) for index, at in enumerate(starts)]

    def _authorised(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.identity.token}"}

    async def _json(
        self, step: str, path: str, facts: dict[str, Any], headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        async def attempt() -> tuple[int, dict[str, Any]]:
            sent = self._authorised() | (headers or {})
            async with self.http.post(self.gateway + path, json=facts, headers=sent) as answer:
                return answer.status, await answer.json() if answer.status == 200 else {}

        return await self._until_answered(step, attempt)

    async def _body(
        self, step: str, piece: Piece, url: str, headers: dict[str, str], hook: Hook
    ) -> dict[str, Any]:
        body, method = piece.body, "PUT" if step == "put" else "POST"
        sent = {"Content-Length": str(len(body)), "Content-Type": "application/octet-stream", **headers}

        async def pieces() -> AsyncIterator[bytes]:
            half = len(body) // 2
            yield body[:half]
            await hook(f"half of {step}", piece.index)
            yield body[half:]

        async def attempt() -> tuple[int, dict[str, Any]]:
            async with self.http.request(method, url, data=pieces(), headers=sent) as answer:
                await answer.read()
                return answer.status, {"etag": answer.headers.get("ETag")}

        return await self._until_answered(step, attempt)

    async def _until_answered(
        self, step: str, attempt: Callable[[], Awaitable[tuple[int, dict[str, Any]]]]
    ) -> dict[str, Any]:
        """Try until 200. Only what may pass is tried again: no answer, 5xx and 429."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                status, content = await attempt()
            except (aiohttp.ClientError, TimeoutError):
                status, content = 0, {}
            if status == 200:
                return content
            passing = status == 0 or status >= 500 or status == 429
            if not (self.resends and passing) or time.monotonic() > end:
                raise GaveUp(step, status)
            self.resent += 1
            await asyncio.sleep(PAUSE_S)
