"""Copies: the object inside the store, the row, and what is left when one of them fails."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry

from services.files.copier import Copier, CopyLimits
from services.files.model import Permission, Readable, Summary
from services.files.repository.files import Files
from services.files.service.copying import Copying
from services.kit.db import Database
from services.kit.metrics import DatabaseMetrics
from services.kit.s3 import NotFoundError, PreconditionFailedError, S3Client, Stored, StoreError
from tests.integration.files.conftest import Answer, Api

pytestmark = pytest.mark.integration
MIB = 1 << 20
CONTENT = b"0123456789"
COPIES = "SELECT file_uuid, deleted_at > clock_timestamp() AS reserved, etag FROM files WHERE user_id = $1"


async def copy(api: Api, file_id: UUID, user: UUID | None) -> Answer:
    return await api("POST", f"/f/{file_id}/copy", user)


async def test_a_copy_is_a_file_of_its_own(api: Api, user: UUID) -> None:
    reader = uuid4()
    file_id = await api.store_file(user, CONTENT, "a/ü.txt", checksum="ab" * 32)
    await api.share(file_id, reader, "viewer")
    await api.publish(file_id)
    statements = await api.metric("db_query_seconds_count")
    requests = await api.metric("store_request_seconds_count")
    reply = await copy(api, file_id, reader)
    assert reply.status == 201
    assert await api.metric("db_query_seconds_count") == statements + 2
    assert await api.metric("store_request_seconds_count") == requests + 1
    copied = reply.json
    assert copied["file_id"] != str(file_id)
    assert (copied["owner_id"], copied["permission"], copied["is_public"]) == (str(reader), "owner", False)
    assert (copied["name"], copied["mime_type"]) == ("a/ü.txt", "text/plain")
    assert (copied["size_bytes"], copied["checksum"]) == (10, "ab" * 32)
    assert copied["created_at"] == copied["updated_at"]
    assert (await api("GET", "/me/owned", reader)).json["files"] == [copied]
    assert (await api("GET", "/me/owned?name=Ü.TXT", reader)).json["total"] == 1
    path = f"/f/{copied['file_id']}/download?delivery=proxied"
    await api("DELETE", f"/f/{file_id}", user)
    await api.store.delete(f"users/{user}/{file_id}")
    assert (await api("GET", path, reader)).body == CONTENT
    assert (await api.store.head(f"users/{reader}/{copied['file_id']}")).size_bytes == 10
    again = await copy(api, UUID(copied["file_id"]), reader)
    assert again.status == 201


async def test_empty_files_can_be_copied(api: Api, user: UUID) -> None:
    reply = await copy(api, await api.store_file(user, b""), user)
    path = f"/f/{reply.json['file_id']}/download?delivery=proxied"
    assert (await api("GET", path, user)).body == b""


@pytest.mark.parametrize("damage", ["gone", "changed"])
async def test_a_copy_that_fails_is_never_seen(api: Api, user: UUID, damage: str) -> None:
    file_id = await api.store_file(user, CONTENT)
    key = f"users/{user}/{file_id}"
    await (api.store.delete(key) if damage == "gone" else api.store.put_bytes(key, b"other"))
    reader = uuid4()
    await api.share(file_id, reader, "viewer")
    reply = await copy(api, file_id, reader)
    assert (reply.status, reply.json["error"]) == (500, "store_inconsistent")
    assert (await api("GET", "/me/owned", reader)).json["total"] == 0
    assert await api.store.list_objects(f"users/{reader}/") == []
    (row,) = await api.database.fetch(COPIES, reader)
    assert row["reserved"]
    assert (await api("GET", f"/f/{row['file_uuid']}", reader)).status == 404


async def test_a_deleted_source_is_not_there(api: Api, user: UUID) -> None:
    file_id = await api.store_file(user, CONTENT)
    await api("DELETE", f"/f/{file_id}", user)
    assert (await copy(api, file_id, user)).json["error"] == "file_not_found"
    assert (await copy(api, uuid4(), user)).json["error"] == "file_not_found"
    assert await api.database.fetchval("SELECT count(*) FROM files WHERE user_id = $1", user) == 1


async def test_copying_while_the_source_is_deleted(api: Api) -> None:
    """Each copy is whole or not there, and no object is without a row."""
    for _ in range(8):
        user = uuid4()
        file_id = await api.store_file(user, CONTENT)
        *copies, deleted = await asyncio.gather(
            *(copy(api, file_id, user) for _ in range(4)), api("DELETE", f"/f/{file_id}", user)
        )
        assert deleted.status == 204
        made = {reply.json["file_id"] for reply in copies if reply.status == 201}
        assert {reply.status for reply in copies} <= {201, 404}
        listed = (await api("GET", "/me/owned", user)).json["files"]
        assert {file["file_id"] for file in listed} == made
        for one in made:
            assert (await api("GET", f"/f/{one}/download?delivery=proxied", user)).body == CONTENT
        keys = {entry.key for entry in await api.store.list_objects(f"users/{user}/")}
        rows = await api.database.fetch("SELECT storage_key FROM files WHERE user_id = $1", user)
        assert keys <= {row["storage_key"] for row in rows}


async def test_a_row_that_cannot_be_written_any_more_stays_unseen(api: Api, user: UUID) -> None:
    """Its time ran out, or it was swept: then it is a deleted file, and so is its object."""
    files = Files(Database(api.database, DatabaseMetrics(CollectorRegistry())))
    file_id, late, swept, good = await api.store_file(user, CONTENT), uuid4(), uuid4(), uuid4()
    for copy_id, seconds in ((late, 0.0), (swept, 60.0), (good, 60.0)):
        assert await files.reserve_copy(file_id, user, copy_id, f"users/{user}/{copy_id}", seconds)
        assert (await api("GET", f"/f/{copy_id}", user)).status == 404
    await api.database.execute("UPDATE files SET object_deleted_at = now() WHERE file_uuid = $1", swept)
    assert await files.publish_copy(late, '"e"') is None
    assert await files.publish_copy(swept, '"e"') is None
    shown = await files.publish_copy(good, '"e"')
    assert shown is not None
    assert shown.file_id == good
    assert await files.publish_copy(good, '"e"') is None  # once
    listed = (await api("GET", "/me/owned", user)).json["files"]
    assert [file["file_id"] for file in listed] == [str(good), str(file_id)]


def source(file_id: UUID, user: UUID, size_bytes: int, etag: str) -> Readable:
    now = datetime.now(UTC)
    facts = (file_id, user, "a", "text/plain", size_bytes, now, False, now, Permission.OWNER, None)
    return Readable(Summary(*facts), f"users/{user}/{file_id}", etag)


@pytest.mark.parametrize("size_bytes", [6 * MIB, 6 * MIB + 1, 10 * MIB, 11 * MIB + 7])
async def test_a_large_object_is_copied_in_parts(api: Api, user: UUID, size_bytes: int) -> None:
    content, copier = os.urandom(size_bytes), Copier(api.store, CopyLimits(6 * MIB, 5 * MIB))
    file_id, key = uuid4(), f"users/{user}/{uuid4()}"
    stored = await api.store.put_bytes(f"users/{user}/{file_id}", content)
    etag = await copier.copy(source(file_id, user, size_bytes, stored.etag), key)
    async with api.store.get(key, if_match=etag) as download:
        assert b"".join([piece async for piece in download.pieces()]) == content
    parts = -(-size_bytes // (5 * MIB))
    assert etag.strip('"').endswith(f"-{parts}") is (size_bytes > 6 * MIB)


class Dying:
    """The store of a process that is killed while it copies the first part: it asks nothing more."""

    def __init__(self, store: S3Client) -> None:
        self._store, self.upload_id = store, ""

    async def create_multipart(self, key: str, *, content_type: str | None = None) -> str:
        self.upload_id = await self._store.create_multipart(key, content_type=content_type)
        return self.upload_id

    async def copy_part(self, *given: Any, **named: Any) -> Stored:
        await self._store.copy_part(*given, **named)
        raise Killed

    async def abort_multipart(self, *_: str) -> None:
        raise Killed


class Killed(BaseException):
    """Nothing that the process does about it reaches anybody."""


async def test_what_a_killed_copy_in_parts_left_goes_when_its_time_is_over(api: Api, user: UUID) -> None:
    files = Files(Database(api.database, DatabaseMetrics(CollectorRegistry())))
    file_id, store = await api.store_file(user, os.urandom(7 * MIB), size_bytes=7 * MIB), Dying(api.store)
    copier = Copier(cast(S3Client, store), CopyLimits(6 * MIB, 5 * MIB))
    copy_id = uuid4()
    key = f"users/{user}/{copy_id}"
    with pytest.raises(Killed):
        await Copying(files, copier, lambda: copy_id).copy(file_id, user)
    now = {"users": str(user), "older_than_s": "0", "unknown_older_than_s": "0"}

    async def swept(**more: str) -> Any:
        return (await api("POST", "/internal/sweep", as_operator=True, params=now | more)).json["counts"]

    assert await swept() == {}  # for all that anybody knows, it still copies
    told = await api("POST", f"/internal/file/{copy_id}/void", as_upload=True)
    assert (told.status, told.json["details"]["copying"]) == (409, True)
    assert [one.upload_id for one in await api.store.list_uploads(key)] == [store.upload_id]

    await api.database.execute("UPDATE files SET deleted_at = now() WHERE file_uuid = $1", copy_id)
    assert (await api("POST", f"/internal/file/{copy_id}/void", as_upload=True)).status == 204
    assert await swept(dry_run="1") == {"multipart": 1, "object": 1}
    assert len(await api.store.list_uploads(key)) == 1
    assert await swept() == {"multipart": 1, "object": 1}
    assert await api.store.list_uploads(key) == []
    assert await swept() == {}


async def test_a_copy_in_parts_that_fails_leaves_nothing_open(api: Api, user: UUID) -> None:
    file_id, key = uuid4(), f"users/{user}/{uuid4()}"
    await api.store.put_bytes(f"users/{user}/{file_id}", os.urandom(7 * MIB))
    opened = list[str]()
    create = api.store.create_multipart

    async def remembering(*given: str, **named: Any) -> str:
        opened.append(await create(*given, **named))
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.store, "create_multipart", remembering)
        copier = Copier(api.store, CopyLimits(6 * MIB, 5 * MIB))
        with pytest.raises(PreconditionFailedError):
            await copier.copy(source(file_id, user, 7 * MIB, '"another"'), key)
    (upload_id,) = opened
    with pytest.raises(StoreError):
        await api.store.list_parts(key, upload_id)
    with pytest.raises(NotFoundError):
        await api.store.head(key)
