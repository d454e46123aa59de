"""The files service as a process of its own, with a real database and a real store."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from multidict import CIMultiDict

from compose import ports
from services.kit.clock import World
from services.kit.codec import is_uuid
from services.kit.s3 import S3Address, S3Client, open_client
from services.kit.tokens import CredentialChecker, CredentialSigner
from tests.processes import running_process
from tests.stack import Backends

GATEWAY_KEY, UPLOAD_KEY, OPERATOR_KEY, AUTH_KEY = (secrets.token_hex(32) for _ in range(4))
BUCKET = "files-tests"
_WORLD = World()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: CIMultiDict[str]
    body: bytes
    json: Any


def email_of(user: UUID) -> str:
    return f"{user}@example.com"


class Auth:
    """Stands in for the auth service: an e-mail belongs to the user whose id it begins with.

    ``answer`` replaces what it answers, ``held`` makes it answer nothing.
    """

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.answer: tuple[int, Any] | None = None
        self.held: asyncio.Event | None = None
        self._checker = CredentialChecker("auth", {"files": AUTH_KEY}, _WORLD.now)

    async def resolve(self, request: web.Request) -> web.Response:
        self._checker.check(request.headers["X-Service-Token"], None)
        emails = await request.json()
        self.asked.append(emails)
        if self.held is not None:
            await self.held.wait()
        if self.answer is not None:
            return web.json_response(self.answer[1], status=self.answer[0])
        return web.json_response({one: one[:36] for one in emails if is_uuid(one[:36])})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/internal/resolve-users", self.resolve)
        runner = web.AppRunner(app)
        await runner.setup()
        (port,) = ports.free(1)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            await runner.cleanup()


@dataclass(slots=True)
class Api:
    """Calls the service as the gateway does, or, with ``as_upload``, as the upload service does."""

    url: str
    admin_url: str
    session: aiohttp.ClientSession
    database: asyncpg.Pool[Any]
    store: S3Client
    database_url: str
    auth: Auth
    gateway: CredentialSigner = field(
        default_factory=lambda: CredentialSigner("gateway", "files", GATEWAY_KEY, _WORLD.now)
    )
    upload: CredentialSigner = field(
        default_factory=lambda: CredentialSigner("upload", "files", UPLOAD_KEY, _WORLD.now)
    )
    operator: CredentialSigner = field(
        default_factory=lambda: CredentialSigner("operator", "files", OPERATOR_KEY, _WORLD.now)
    )

    async def __call__(
        self,
        method: str,
        path: str,
        user: UUID | None = None,
        *,
        as_upload: bool = False,
        as_operator: bool = False,
        **options: Any,
    ) -> Answer:
        signer = self.upload if as_upload else self.operator if as_operator else self.gateway
        headers = {"X-Service-Token": signer.token(str(user) if user else None)}
        if user is not None:
            headers["X-User-ID"] = str(user)
        headers |= options.pop("headers", {})
        async with self.session.request(method, self.url + path, headers=headers, **options) as reply:
            body = await reply.read()
            is_json = reply.headers.get("Content-Type", "").startswith("application/json")
            return Answer(
                reply.status,
                CIMultiDict(reply.headers),
                body,
                await reply.json() if is_json and body else None,
            )

    async def register(self, user: UUID, name: str = "a.txt", **facts: Any) -> UUID:
        """A file row; no object."""
        file_id = facts.pop("file_uuid", None) or uuid4()
        body = registration(user, file_id, name=name, **facts)
        reply = await self("POST", "/internal/file", as_upload=True, json=body)
        assert reply.status == 201, reply.json
        return file_id

    async def store_file(self, user: UUID, content: bytes, name: str = "a.txt", **facts: Any) -> UUID:
        """An object and its row."""
        file_id = uuid4()
        stored = await self.store.put_bytes(f"users/{user}/{file_id}", content)
        facts = {"etag": stored.etag, "size_bytes": len(content), **facts}
        return await self.register(user, name, file_uuid=file_id, **facts)

    async def share(self, file_id: UUID, user: UUID, permission: str) -> None:
        sql = "INSERT INTO file_shares (file_uuid, shared_with_user_id, shared_with_email, permission) "
        await self.database.execute(sql + "VALUES ($1, $2, 'a@b', $3)", file_id, user, permission)

    async def publish(self, file_id: UUID) -> None:
        await self.database.execute("INSERT INTO public_files (file_uuid) VALUES ($1)", file_id)

    async def pin(self, file_id: UUID, user: UUID) -> None:
        sql = "INSERT INTO file_shortcuts (file_uuid, user_id) VALUES ($1, $2)"
        await self.database.execute(sql, file_id, user)

    async def children(self, file_id: UUID) -> int:
        """Rows that hang on a file."""
        count: int = await self.database.fetchval(
            """SELECT (SELECT count(*) FROM file_shares WHERE file_uuid = $1)
            + (SELECT count(*) FROM file_shortcuts WHERE file_uuid = $1)
            + (SELECT count(*) FROM public_files WHERE file_uuid = $1)""",
            file_id,
        )
        return count

    async def metric(self, name: str, labels: str = "") -> float:
        """The sum of a metric family's samples with this exact name and, among others, these labels."""
        async with self.session.get(self.admin_url + "/metrics") as reply:
            lines = (await reply.text()).splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.split("{")[0].split(" ")[0] == name and labels in line
        )


def registration(user: UUID, file_id: UUID, **facts: Any) -> dict[str, Any]:
    return {
        "file_uuid": str(file_id),
        "upload_uuid": str(file_id),
        "user_id": str(user),
        "name": "a.txt",
        "mime_type": "text/plain",
        "storage_key": f"users/{user}/{file_id}",
        "size_bytes": 5,
        "checksum": None,
        "etag": None,
        **facts,
    }


def address(backends: Backends) -> S3Address:
    settings = backends.store_settings()
    return S3Address(
        settings["S3_ENDPOINT"],
        settings["S3_PUBLIC_ENDPOINT"],
        BUCKET,
        settings["S3_ACCESS_KEY"],
        settings["S3_SECRET_KEY"],
    )


@pytest.fixture(scope="session")
async def api(backends: Backends) -> AsyncIterator[Api]:
    async with backends.database() as database_url:
        environment = {
            **backends.store_settings(),
            "S3_BUCKET": BUCKET,
            "DATABASE_URL": database_url,
            "INTERNAL_KEY_GATEWAY_FILES": GATEWAY_KEY,
            "INTERNAL_KEY_UPLOAD_FILES": UPLOAD_KEY,
            "INTERNAL_KEY_OPERATOR_FILES": OPERATOR_KEY,
            "INTERNAL_KEY_FILES_AUTH": AUTH_KEY,
            "BENCH_ENDPOINTS": "1",
        }
        auth = Auth()
        async with (
            auth.serving() as auth_url,
            running_process("services.files", environment | {"AUTH_URLS": auth_url}) as running,
            aiohttp.ClientSession(auto_decompress=False) as session,
            asyncpg.create_pool(database_url, min_size=1, max_size=4) as pool,
            open_client(address(backends), _WORLD, lambda *_: None) as store,
        ):
            yield Api(running.url, running.admin_url, session, pool, store, database_url, auth)


@pytest.fixture
def user() -> UUID:
    return uuid4()
