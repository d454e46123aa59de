"""A client that checks, on every single answer, what holds for all of them."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import aiohttp
import orjson
from multidict import CIMultiDictProxy
from yarl import URL

from services.kit.errors import STATUS
from tests.contract import described

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
LEAKS = re.compile(
    r"https?://|127\.0\.0\.1|localhost|select |insert |asyncpg|postgresql|minio|aiohttp|traceback|NoSuch",
    re.IGNORECASE,
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"].startswith("application/json")
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        """The error code; "" for a success."""
        return str(self.json["error"]) if self.status >= 400 else ""


@dataclass(frozen=True, slots=True)
class Api:
    """The gateway, as one user or none. ``seen`` counts the error codes that answers carried."""

    session: aiohttp.ClientSession
    base: str
    seen: Counter[str]
    token: str | None = None
    email: str = ""
    user_id: UUID | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_token(self, token: str | None) -> Api:
        return replace(self, token=token)

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; ``path`` goes out as it is, ``json`` is encoded unless it is bytes already."""
        sent = {**self.headers, **(headers or {})}
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        body = streamed(data) if isinstance(data, bytes) else data
        if json is not None:
            body = json if isinstance(json, bytes) else orjson.dumps(json)
            sent.setdefault("Content-Type", "application/json")
        text = {name: str(value) for name, value in (params or {}).items()}
        async with self.session.request(
            method,
            URL(self.base + path, encoded=True),
            data=body,
            params=text,
            headers=sent,
            allow_redirects=False,
        ) as response:
            answer = Answer(response.status, response.headers, await response.read())
        self._check(method, answer)
        self._described(method, path, answer)
        return answer

    async def get(self, path: str, **given: Any) -> Answer:
        return await self.call("GET", path, **given)

    async def post(self, path: str, **given: Any) -> Answer:
        return await self.call("POST", path, **given)

    async def ok(self, method: str, path: str, status: int = 200, **given: Any) -> Any:
        """The JSON body of an answer that must have ``status``; None for an empty one."""
        answer = await self.call(method, path, **given)
        assert answer.status == status, (answer.status, answer.body)
        return answer.json if answer.body else None

    async def refused(self, method: str, path: str, code: str, **given: Any) -> Answer:
        """An answer that must be this error."""
        answer = await self.call(method, path, **given)
        assert answer.status >= 400, (answer.status, answer.body)
        assert answer.code == code, answer.body
        return answer

    def _described(self, method: str, path: str, answer: Answer) -> None:
        """Held against the page that describes all routes."""
        kind = answer.headers.get("Content-Type", "")
        body = orjson.loads(answer.body) if answer.body and kind == described.JSON else answer.body
        described.check(method, path, answer.status, answer.headers, body)

    def _check(self, method: str, answer: Answer) -> None:
        assert str(UUID(answer.headers["X-Request-Id"])) == answer.headers["X-Request-Id"]
        for name, value in SECURITY.items():
            assert answer.headers.getall(name) == [value], name
        assert "Server" not in answer.headers or "aiohttp" not in answer.headers["Server"]
        if answer.status == 204:
            assert answer.body == b""
            assert "Content-Type" not in answer.headers
        if answer.status >= 400 and method != "HEAD":
            self._check_error(answer)

    def _check_error(self, answer: Answer) -> None:
        body = answer.json
        assert set(body) - {"details", "status", "service", "checks"} == {"error", "message", "request_id"}
        assert body["request_id"] == answer.headers["X-Request-Id"]
        assert STATUS.get(body["error"], answer.status) == answer.status or body["error"] == "injected_fault"
        assert body["message"].strip()
        assert not LEAKS.search(body["message"]), body["message"]
        if answer.status == 401:
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        self.seen[body["error"]] += 1


def streamed(body: bytes) -> io.BytesIO:
    """A body that aiohttp sends in pieces; given large bytes it would block the loop, and warn."""
    return io.BytesIO(body)
