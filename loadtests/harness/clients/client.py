"""One upload by each strategy with a plain HTTP client: for looking at, never for measuring load."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import aiohttp
from yarl import URL

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=60)
SENT_MIB = 1024 * 1024


class StepFailed(Exception):
    """A step was answered with something else than 200."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request of an upload, as the client saw it."""

    name: str
    path_of_bytes: str  # who talked to whom
    started_at: float
    duration_ms: float
    sent_bytes: int


@dataclass(slots=True)
class Uploader:
    """Sends one file as one user. ``watch`` is told of every step."""

    http: aiohttp.ClientSession
    gateway_url: str
    token: str = field(repr=False)
    name: str = "demo.bin"
    key: str = ""
    piece_bytes: int = 5 * SENT_MIB
    watch: Callable[[Step], Awaitable[None]] | None = None

    async def proxy_chunked(self, content: bytes) -> str:
        facts = {"file_name": self.name, "file_size_bytes": len(content)}
        session = await self._api("ask for a session", "/api/upload/proxy/session", facts, keyed=True)
        for index, start in enumerate(range(0, len(content), self.piece_bytes)):
            chunk = content[start : start + self.piece_bytes]
            headers = {
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/octet-stream",
                "Upload-UUID": session["upload_uuid"],
                "Checksum": sha256(chunk).hexdigest(),
            }
            url = f"{self.gateway_url}/api/upload/proxy/chunk?id={index}"
            await self._send("you → gateway → upload → store", "POST", url, chunk, headers)
        return str(session["upload_uuid"])

    async def direct_multipart(self, content: bytes) -> str:
        facts = {"file_name": self.name, "file_size_bytes": len(content), "part_size_bytes": self.piece_bytes}
        session = await self._api("ask for addresses", "/api/upload/multipart/session", facts, keyed=True)
        upload = {"upload_uuid": session["upload_uuid"]}
        for part in session["parts"]:
            start = (part["part_number"] - 1) * self.piece_bytes
            body = content[start : start + self.piece_bytes]
            etag = await self._send("you → store", "PUT", part["url"], body, {})
            facts = upload | {"part_number": part["part_number"], "size_bytes": len(body), "etag": etag}
            await self._api("report the part", "/api/upload/multipart/part", facts)
        await self._api("join the parts", "/api/upload/multipart/complete", upload)
        return str(session["upload_uuid"])

    async def direct_single(self, content: bytes) -> str:
        facts = {"file_name": self.name, "file_size_bytes": len(content)}
        session = await self._api("ask for an address", "/api/upload/single/session", facts, keyed=True)
        etag = await self._send("you → store", "PUT", session["url"], content, {})
        facts = {"upload_uuid": session["upload_uuid"], "etag": etag}
        await self._api("report the file", "/api/upload/single/complete", facts)
        return str(session["upload_uuid"])

    async def _api(
        self, name: str, path: str, facts: Mapping[str, Any], *, keyed: bool = False
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        if keyed and self.key:
            headers["Idempotency-Key"] = self.key
        step = self._step(
            name, "you → gateway → upload", "POST", self.gateway_url + path, json=dict(facts), headers=headers
        )
        async with step as answer:
            content: dict[str, Any] = await answer.json()
        return content

    async def _send(self, route: str, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> str:
        # A presigned URL is signed letter by letter: it must not be encoded again.
        step = self._step(
            "send the bytes", route, method, URL(url, encoded=True), sent_bytes=len(body), data=body,
            headers=headers, skip_auto_headers=["Content-Type"],
        )  # fmt: skip
        async with step as answer:
            return answer.headers.get("ETag", "")

    @asynccontextmanager
    async def _step(
        self, name: str, route: str, method: str, url: str | URL, *, sent_bytes: int = 0, **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request, timed until its whole answer is there. Raises ``StepFailed``."""
        started_at, begun = time.time(), time.perf_counter()
        async with self.http.request(method, url, timeout=REQUEST_TIMEOUT, **more) as answer:
            if answer.status != 200:
                raise StepFailed(f"{name}: answered {answer.status}: {(await answer.text())[:200]}")
            yield answer
            await answer.read()
        if self.watch is not None:
            took_ms = (time.perf_counter() - begun) * 1000
            await self.watch(Step(name, route, started_at, took_ms, sent_bytes))

    def by_strategy(self, strategy: str) -> Callable[[bytes], Awaitable[str]] | None:
        """How this client plays a strategy; nothing if it does not know it."""
        known = {
            "proxy-chunked": self.proxy_chunked,
            "direct-multipart": self.direct_multipart,
            "direct-single": self.direct_single,
        }
        return known.get(strategy)
