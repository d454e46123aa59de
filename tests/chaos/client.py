"""A client that behaves as documented, and sends as irregularly as its plan says.

It sends again what was not answered or answered with 5xx, 429 or 408; it begins again when it is told that
an upload is over; it stops at anything else, which the judge then reports.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import aiohttp

from loadtests.harness.clients.users import Identity
from loadtests.harness.records.samples import Intent, Outcome
from tests.chaos.plan import Strategy, Upload

STRETCH = "chaos"
PATIENCE_S = 60.0  # for one step, besides what a stall lasts: else what a case breaks is whole long before
PAUSE_S = 0.1
BEGINNINGS = 4
# Answers after which an upload is over and its client begins again.
OVER = {(409, "upload_failed"), (409, "upload_aborted"), (404, "NoSuchUpload")}
# The store does not have what a step needs, or only the beginning of it: parts or object are sent again.
SEND_AGAIN = {(422, "invalid_part"), (409, "object_missing"), (422, "size_mismatch")}
AGAIN = {408, 429}
Step = Callable[[], Awaitable[None]]


class Over(Exception):
    """This upload has ended, and the client was told so."""


class Refused(Exception):
    """An answer that no client expects, or none within its patience."""


class Gone(Exception):
    """The client walked away."""


@dataclass(slots=True)
class Attempt:
    """One beginning of one upload."""

    ref: str
    number: int
    sent: int = 0
    upload_uuid: str | None = None
    file_id: str | None = None
    left: bool = False  # the client walked away: what its other requests are told does not matter


@dataclass(slots=True)
class Sender:
    """One upload from its plan to its end. ``step`` is awaited before each request."""

    http: aiohttp.ClientSession
    gateway: str
    identity: Identity
    ref: str
    plan: Upload
    step: Step
    patience_s: float = PATIENCE_S
    intents: list[Intent] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    resent: int = 0
    began_again: list[str] = field(default_factory=list)  # why
    trouble: str | None = None
    acknowledged: Attempt | None = None
    content: bytes = field(default=b"", repr=False)

    async def run(self) -> None:
        """Never raises but for a bug of the suite; what went wrong is in ``trouble``."""
        self.content = random.Random(self.plan.seed).randbytes(self.plan.size_bytes)
        await asyncio.sleep(self.plan.pause_s)
        for number in range(BEGINNINGS):
            attempt = Attempt(f"{self.ref}.{number}", number)
            started_at = time.time()
            self._intend(attempt, started_at)
            try:
                await self._attempt(attempt)
            except (Over, Gone, Refused, SendAgain) as told:
                self._ended(attempt, started_at, acked=False)
                if attempt.left or isinstance(told, Gone):
                    return
                if not isinstance(told, Over):
                    self.trouble = str(told)
                    return
                self.began_again.append(str(told))
            else:
                self.acknowledged = attempt
                self._ended(attempt, started_at, acked=True)
                return
        self.trouble = f"began again {BEGINNINGS} times: {self.began_again}"

    def _intend(self, attempt: Attempt, at: float) -> None:
        self.intents.append(
            Intent(
                upload_ref=attempt.ref,
                stretch=STRETCH,
                arm=self.plan.strategy,
                user_id=self.identity.user_id,
                size_bytes=self.plan.size_bytes,
                sha256=sha256(self.content).hexdigest(),
                at=at,
            )
        )

    def _ended(self, attempt: Attempt, started_at: float, *, acked: bool) -> None:
        self.outcomes.append(
            Outcome(
                upload_ref=attempt.ref,
                acked=acked,
                upload_uuid=attempt.upload_uuid,
                started_at=started_at,
                ended_at=time.time(),
            )
        )

    async def _attempt(self, attempt: Attempt) -> None:
        flows = {
            Strategy.PROXY: self._proxy,
            Strategy.MULTIPART: self._multipart,
            Strategy.SINGLE: self._single,
            Strategy.FILE: self._file,
        }
        await flows[self.plan.strategy](attempt)

    # The three strategies

    async def _proxy(self, attempt: Attempt) -> None:
        session = await self._session(attempt, "proxy", {})
        if not self.plan.slices:
            await self._durable_empty(attempt, session)
            return
        *first, last = self.plan.order
        if self.plan.replaced is not None:
            await self._other_bytes(attempt, self.plan.replaced)
        await self._in_parallel([self._chunk_steps(attempt, index) for index in first])
        if last in self.plan.broken:
            await self._hang_up(attempt, last, self._slice(last))
        answers = await self._complete(attempt, lambda: self._chunk(attempt, last))
        wrong = [answer for answer in answers if answer.get("status") != "completed"]
        if wrong:
            raise Refused(f"the last chunk was answered 200, but not as completed: {wrong[0]}")

    async def _chunk_steps(self, attempt: Attempt, index: int) -> None:
        if index in self.plan.broken:
            await self._hang_up(attempt, index, self._slice(index))
        await self._chunk(attempt, index)
        if index in self.plan.again:
            await self._chunk(attempt, index)

    async def _chunk(self, attempt: Attempt, index: int) -> dict[str, Any]:
        body = self._slice(index)
        return await self._call(
            attempt, "POST", self._chunk_url(index), self._chunk_headers(attempt, body), body
        )

    async def _other_bytes(self, attempt: Attempt, index: int) -> None:
        """Other bytes of the same length, once. Unless it was answered nobody knows when they arrive."""
        body = bytes(byte ^ 0x5A for byte in self._slice(index)[:4096]) + self._slice(index)[4096:]
        headers = self._chunk_headers(attempt, body)
        await self._stepped(attempt)
        status, _ = await self._once("POST", self._chunk_url(index), headers, body)
        if status != 200:
            raise Gone

    async def _multipart(self, attempt: Attempt) -> None:
        part_bytes = self.plan.slices[0] if self.plan.slices else 5 * 1024 * 1024
        session = await self._session(attempt, "multipart", {"part_size_bytes": part_bytes})
        if not self.plan.slices:
            await self._durable_empty(attempt, session)
            return
        urls = {part["part_number"] - 1: part["url"] for part in session["parts"]}
        for _ in range(BEGINNINGS):
            await self._in_parallel([self._part_steps(attempt, urls, index) for index in self.plan.order])
            if await self._completed(attempt, "multipart"):
                return
        raise Refused("complete: parts are refused however often they are sent")

    async def _part_steps(self, attempt: Attempt, urls: dict[int, str], index: int) -> None:
        body = self._slice(index)
        if index in self.plan.broken:
            await self._stepped(attempt)
            await self._half("PUT", urls[index], {}, body)
        for _ in range(2 if index in self.plan.again else 1):
            etag = (await self._call(attempt, "PUT", urls[index], {}, body))["etag"]
            facts = {"part_number": index + 1, "size_bytes": len(body), "etag": etag}
            await self._json(attempt, "/api/upload/multipart/part", facts)

    async def _single(self, attempt: Attempt) -> None:
        session = await self._session(attempt, "single", {})
        if not self.plan.slices:
            await self._durable_empty(attempt, session)
            return
        for _ in range(BEGINNINGS):
            if self.plan.broken:
                await self._stepped(attempt)
                await self._half("PUT", session["url"], {}, self.content)
            await self._call(attempt, "PUT", session["url"], {}, self.content)
            if await self._completed(attempt, "single"):
                return
        raise Refused("complete: the object is refused however often it is sent")

    async def _file(self, attempt: Attempt) -> None:
        url = f"{self.gateway}/api/upload/file?mode={self.plan.mode}"
        headers = {
            "X-File-Name": quote(self.plan.name),
            "Idempotency-Key": attempt.ref,
            "Content-Type": "application/octet-stream",
            **self._authorised(),
        }
        if self.plan.checksums:
            headers["Checksum"] = sha256(self.content).hexdigest()
        if self.plan.broken:
            await self._stepped(attempt)
            await self._half("POST", url, headers, self.content)
        await self._complete(attempt, lambda: self._call(attempt, "POST", url, headers, self.content))

    async def _completed(self, attempt: Attempt, kind: str) -> bool:
        """Whether the upload is durable; False: send again what the store has not."""
        path = f"/api/upload/{kind}/complete"
        try:
            await self._complete(attempt, lambda: self._json(attempt, path, {}))
        except SendAgain:
            return False
        return True

    async def _complete(
        self, attempt: Attempt, send: Callable[[], Awaitable[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """Send what completes the upload as often as planned; every answer names the same file."""
        answers = await _all([send() for _ in range(1 + self.plan.twice)])
        if self.plan.afterwards:
            answers.append(await send())
        files = {answer.get("file_id") for answer in answers}
        if len(files) > 1:
            raise Refused(f"one upload was answered with several files: {files}")
        attempt.file_id = answers[0].get("file_id")
        return answers

    async def _durable_empty(self, attempt: Attempt, session: dict[str, Any]) -> None:
        """A session of no bytes is completed by its own answer."""
        attempt.file_id = session["upload_uuid"]

    # Requests

    async def _session(self, attempt: Attempt, kind: str, more: dict[str, Any]) -> dict[str, Any]:
        facts = {"file_name": self.plan.name, "file_size_bytes": self.plan.size_bytes, **more}
        path = f"/api/upload/{kind}/session"
        answer = await self._json(attempt, path, facts, {"Idempotency-Key": attempt.ref})
        attempt.upload_uuid = answer["upload_uuid"]
        return answer

    async def _json(
        self, attempt: Attempt, path: str, facts: dict[str, Any], headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        known = {"upload_uuid": attempt.upload_uuid} if attempt.upload_uuid else {}
        sent = {**self._authorised(), **(headers or {})}
        return await self._call(attempt, "POST", self.gateway + path, sent, known | facts)

    async def _call(
        self, attempt: Attempt, method: str, url: str, headers: dict[str, str], body: bytes | dict[str, Any]
    ) -> dict[str, Any]:
        """Until 200, or 201.

        Raises:
            Over, SendAgain: the client was told so.
            Refused: something else, or nothing within its patience.
        """
        await self._stepped(attempt)
        what = f"{method} {url.split('?', maxsplit=1)[0].removeprefix(self.gateway)}"
        end = time.monotonic() + self.patience_s
        while True:
            status, content = await self._once(method, url, headers, body)
            code = str(content.get("error", ""))
            if status in {200, 201}:
                return content
            if (status, code) in OVER:
                raise Over(f"{what}: {status} {code}")
            if (status, code) in SEND_AGAIN:
                raise SendAgain(f"{what}: {status} {code}")
            if 0 < status < 500 and status not in AGAIN:
                raise Refused(f"{what}: {status} {code} {str(content)[:300]}")
            if time.monotonic() > end:
                raise Refused(
                    f"{what}: no success within {self.patience_s:.0f} s, the last answer {status} {code}"
                )
            self.resent += 1
            await asyncio.sleep(PAUSE_S)

    async def _once(
        self, method: str, url: str, headers: dict[str, str], body: bytes | dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Status (0: no answer) and the answer's members; a store's answer has its ETag."""
        sent: dict[str, Any] = {"json": body} if isinstance(body, dict) else {"data": io.BytesIO(body)}
        try:
            async with self.http.request(method, url, headers=headers, **sent) as answer:
                text = await answer.read()
                if method == "PUT":
                    return answer.status, _of_the_store(answer, text)
                return answer.status, json.loads(text) if answer.content_type == "application/json" else {}
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, {}

    async def _hang_up(self, attempt: Attempt, index: int, body: bytes) -> None:
        await self._stepped(attempt)
        await self._half("POST", self._chunk_url(index), self._chunk_headers(attempt, body), body)

    async def _half(self, method: str, url: str, headers: dict[str, str], body: bytes) -> None:
        """Send half of a body, then break the connection."""

        async def half() -> AsyncIterator[bytes]:
            yield body[: len(body) // 2]
            raise ConnectionResetError

        sent = {**headers, "Content-Length": str(len(body))}
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self.http.request(method, url, headers=sent, data=half()) as answer:
                await answer.read()

    async def _stepped(self, attempt: Attempt) -> None:
        await self.step()
        attempt.sent += 1
        if self.plan.stops_after is not None and attempt.sent > self.plan.stops_after:
            attempt.left = True
            if self.plan.aborts and attempt.upload_uuid:
                url = f"{self.gateway}/api/upload/session/{attempt.upload_uuid}"
                await self._once("DELETE", url, self._authorised(), b"")
            raise Gone

    async def _in_parallel(self, work: list[Awaitable[Any]]) -> None:
        slots = asyncio.Semaphore(self.plan.at_once)

        async def one(item: Awaitable[Any]) -> None:
            async with slots:
                await item

        await _all([one(item) for item in work])

    def _slice(self, index: int) -> bytes:
        start = sum(self.plan.slices[:index])
        return self.content[start : start + self.plan.slices[index]]

    def _chunk_url(self, index: int) -> str:
        return f"{self.gateway}/api/upload/proxy/chunk?id={index}"

    def _chunk_headers(self, attempt: Attempt, body: bytes) -> dict[str, str]:
        headers = {"Upload-UUID": str(attempt.upload_uuid), "Content-Type": "application/octet-stream"}
        if self.plan.checksums:
            headers["Checksum"] = sha256(body).hexdigest()
        return headers | self._authorised()

    def _authorised(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.identity.token}"}


class SendAgain(Exception):
    """The store does not have what the services were to find there."""


def _of_the_store(answer: aiohttp.ClientResponse, text: bytes) -> dict[str, Any]:
    """ETag, or the code of a refusal."""
    code = re.search(rb"<Code>(\w+)</Code>", text)
    return {"etag": answer.headers.get("ETag", ""), "error": code[1].decode() if code else ""}


async def _all(work: list[Any]) -> list[Any]:
    """All results in order. Everything has ended when the first failure is raised."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)
