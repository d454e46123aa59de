"""One upload by each strategy with a plain HTTP client: for looking at, never for measuring load."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
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
        started_at, begun = time.time(), time.perf_counter()
        url = self.gateway_url + path
        async with self.http.post(url, json=dict(facts), headers=headers, timeout=REQUEST_TIMEOUT) as answer:
            await _expect_ok(name, answer)
            content: dict[str, Any] = await answer.json()
        await self._note(name, "you → gateway → upload", started_at, begun, 0)
        return content

    async def _send(self, route: str, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> str:
        name = "send the bytes"
        started_at, begun = time.time(), time.perf_counter()
        # A presigned URL is signed letter by letter: it must not be encoded again.
        target = URL(url, encoded=True)
        async with self.http.request(
            method,
            target,
            data=body,
            headers=headers,
            timeout=REQUEST_TIMEOUT,
            skip_auto_headers=["Content-Type"],
        ) as answer:
            await _expect_ok(name, answer)
            etag = answer.headers.get("ETag", "")
            await answer.read()
        await self._note(name, route, started_at, begun, len(body))
        return etag

    async def _note(self, name: str, route: str, started_at: float, begun: float, sent_bytes: int) -> None:
        step = Step(name, route, started_at, (time.perf_counter() - begun) * 1000, sent_bytes)
        if self.watch is not None:
            await self.watch(step)

    def by_strategy(self, strategy: str) -> Callable[[bytes], Awaitable[str]] | None:
        """How this client plays a strategy; nothing if it does not know it."""
        known = {
            "proxy-chunked": self.proxy_chunked,
            "direct-multipart": self.direct_multipart,
            "direct-single": self.direct_single,
        }
        return known.get(strategy)


async def _expect_ok(name: str, answer: aiohttp.ClientResponse) -> None:
    if answer.status != 200:
        raise StepFailed(f"{name}: answered {answer.status}: {(await answer.text())[:200]}")
