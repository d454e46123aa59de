"""Puts uploads, and what can go wrong with them, into real databases and a real store."""

from __future__ import annotations

import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from minio import Minio

from loadtests.harness.clients.payload import Payload, UploadRow
from loadtests.harness.k6.console import Lines, Played, by_stack
from loadtests.harness.ledger.store import AuditStore
from loadtests.harness.testbeds.connections import Databases, Endpoints, open_databases, open_store
from services.kit.migrate import migrate
from tests.stack import Backends

ROOT = Path(__file__).resolve().parents[3]
SIZE = 2000
STRETCH = "s001"
ARM = "proxy-chunked"


@dataclass(slots=True)
class Rig:
    """Databases made by the services' own migrations, one bucket, one user of ours and one stranger."""

    databases: Databases
    client: Minio
    bucket: str
    store: AuditStore
    user: UUID
    stranger: UUID
    upload_url: str
    payload: Payload = field(default_factory=lambda: Payload("run", 1, SIZE))

    async def connect_upload(self) -> asyncpg.Connection:
        """Another connection to upload_db, for whoever works beside the audit."""
        return await asyncpg.connect(self.upload_url)


@asynccontextmanager
async def open_rig(backends: Backends) -> AsyncIterator[Rig]:
    """Three new databases on the suite's Postgres and a bucket of our own."""
    settings = backends.store_settings()
    async with AsyncExitStack() as stack:
        urls = {
            name: await stack.enter_async_context(backends.database()) for name in ("auth", "upload", "files")
        }
        for name, url in urls.items():
            await migrate(url, ROOT / "services" / name / "migrations", "test")
        bucket = f"ledger-{uuid4()}"
        endpoints = Endpoints(
            urls,
            settings["S3_ENDPOINT"].split("//")[-1],
            settings["S3_ACCESS_KEY"],
            settings["S3_SECRET_KEY"],
            bucket,
        )
        databases = await stack.enter_async_context(open_databases(endpoints))
        client = open_store(endpoints)
        client.make_bucket(bucket)
        store = AuditStore(client, bucket)
        stack.callback(store.close)
        user = await add_user(databases.auth, "harness.vaultbench.invalid")
        stranger = await add_user(databases.auth, "example.org")
        yield Rig(databases, client, bucket, store, user, stranger, urls["upload"])


async def add_user(auth_db: asyncpg.Connection, domain: str) -> UUID:
    user_id: UUID = await auth_db.fetchval(
        "INSERT INTO users (username, email, password_hash) VALUES ($1, $2, 'x') RETURNING id",
        f"user-{uuid4()}",
        f"{uuid4()}@{domain}",
    )
    return user_id


@dataclass(slots=True)
class Upload:
    """One upload and how much of it to plant: by default everything, as after a success."""

    row: UploadRow
    upload_uuid: UUID = field(default_factory=uuid4)


class Planter:
    """Plants uploads of one stretch and writes the console lines that k6 would have written."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.rows: list[UploadRow] = []
        self._lines: list[dict[str, Any]] = []
        self._started_ms = int(time.time() * 1000)

    def upload(self) -> Upload:
        """A new upload that nobody knows of yet."""
        upload = Upload(self.rig.payload.row(f"run.{len(self.rows):06d}"))
        self.rows.append(upload.row)
        return upload

    async def verified(self, count: int) -> list[Upload]:
        return [await self.whole(self.upload()) for _ in range(count)]

    async def whole(self, upload: Upload, *, told: bool | None = True) -> Upload:
        """Session, file row and object; ``told``: what the client heard, None for nothing."""
        self.intent(upload)
        etag = self.put(upload)
        await self.session(upload, etag=etag)
        await self.file(upload, etag=etag)
        if told is not None:
            self.outcome(upload, acked=told)
        return upload

    def key(self, upload: Upload) -> str:
        return f"users/{self.rig.user}/{upload.upload_uuid}"

    def put(self, upload: Upload, *, key: str | None = None, body: bytes | None = None) -> str:
        content = self.rig.payload.body(upload.row.ref) if body is None else body
        written = self.rig.client.put_object(
            self.rig.bucket, key or self.key(upload), io.BytesIO(content), len(content)
        )
        return written.etag or ""

    def multipart(self, upload: Upload) -> str:
        """Open a multipart upload with one part of 100 bytes and leave it."""
        client, bucket, key = self.rig.client, self.rig.bucket, self.key(upload)
        upload_id: str = client._create_multipart_upload(bucket, key, {})
        client._upload_part(bucket, key, b"x" * 100, {}, upload_id, 1)
        return upload_id

    async def session(self, upload: Upload, status: str = "completed", **changes: Any) -> int:
        """A session row, with its chunk row when it is completed; returns its id."""
        facts: dict[str, Any] = {
            "upload_uuid": upload.upload_uuid,
            "user_id": self.rig.user,
            "upload_method": "proxy",
            "status": status,
            "file_name": "file.bin",
            "file_size_bytes": SIZE,
            "total_chunks": 1,
            "storage_key": self.key(upload),
            "checksum": upload.row.sha256 if status == "completed" else None,
            "idempotency_key": upload.row.ref,
            **changes,
        }
        ended = "clock_timestamp()" if status in ("completed", "failed", "aborted") else "NULL"
        session_id: int = await self.rig.databases.upload.fetchval(
            _insert("upload_sessions", facts, {"ended_at": ended, "expires_at": "now() + '1 day'"}, "id"),
            *facts.values(),
        )
        if status == "completed":
            chunk = {"session_id": session_id, "chunk_index": 0, "size_bytes": SIZE, "checksum": "c",
                     "location": "final"}  # fmt: skip
            await self.rig.databases.upload.execute(_insert("upload_chunks", chunk), *chunk.values())
        return session_id

    async def file(self, upload: Upload, **changes: Any) -> None:
        facts: dict[str, Any] = {
            "file_uuid": upload.upload_uuid,
            "upload_uuid": upload.upload_uuid,
            "user_id": self.rig.user,
            "file_name": "file.bin",
            "size_bytes": SIZE,
            "storage_key": self.key(upload),
            "checksum": upload.row.sha256,
            **changes,
        }
        await self.rig.databases.files.execute(_insert("files", facts), *facts.values())

    def intent(self, upload: Upload) -> None:
        self._lines.append(
            {"e": "i", "s": 1, "a": 0, "ref": upload.row.ref, "t": self._started_ms, "u": 0, "n": SIZE,
             "h": upload.row.sha256}
        )  # fmt: skip

    def outcome(self, upload: Upload, *, acked: bool, at_ms: int | None = None) -> None:
        """What the client heard, and when; by default now, after everything planted so far."""
        heard_ms = int(time.time() * 1000) + 1 if at_ms is None else at_ms
        self._lines.append(
            {"e": "o", "s": 1, "a": 0, "ref": upload.row.ref, "ok": acked,
             "id": str(upload.upload_uuid) if acked else None, "t0": self._started_ms, "t1": None,
             "t2": None, "t3": heard_ms, "step": None if acked else "chunk",
             "st": None if acked else 503, "code": None}
        )  # fmt: skip

    def lines(self) -> Lines:
        """What k6 would have written."""
        written = [json.dumps(line).encode() for line in self._lines]
        played = Played(STRETCH, (ARM,), ("",), ([str(self.rig.user)],))
        return by_stack(written, {1: played})[""]


def _insert(
    table: str, facts: dict[str, Any], literal: dict[str, str] | None = None, returns: str = ""
) -> str:
    written = literal or {}
    names = ", ".join((*facts, *written))
    values = ", ".join((*(f"${number}" for number in range(1, len(facts) + 1)), *written.values()))
    returning = f" RETURNING {returns}" if returns else ""
    return f"INSERT INTO {table} ({names}) VALUES ({values}){returning}"  # noqa: S608 - names of our own
