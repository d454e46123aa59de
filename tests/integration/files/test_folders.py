"""Folders: what is directly inside one, and deleting all below one in batches."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.integration.files.conftest import Api

pytestmark = pytest.mark.integration
NAMES = ("a/x", "a/b/y", "a/b/c/z", "a/ü/1", "ab/z", "a", "A/x", "a%/x", "b ü/q", "top")


async def folders(api: Api, user: UUID, query: str = "") -> Any:
    reply = await api("GET", f"/folders{query}", user)
    assert reply.status == 200, reply.json
    return reply.json


async def named(api: Api, user: UUID) -> None:
    for size, name in enumerate(NAMES, start=1):
        await api.register(user, name, size_bytes=size)


async def test_the_outermost_folders(api: Api, user: UUID) -> None:
    assert (await folders(api, user))["folders"] == []
    await named(api, user)
    await api.register(uuid4(), "theirs/x")
    shown = await folders(api, user)
    assert shown == {
        "prefix": "",
        "folders": [
            {"prefix": "A/", "name": "A", "file_count": 1, "size_bytes": 7},
            {"prefix": "a/", "name": "a", "file_count": 4, "size_bytes": 1 + 2 + 3 + 4},
            {"prefix": "a%/", "name": "a%", "file_count": 1, "size_bytes": 8},
            {"prefix": "ab/", "name": "ab", "file_count": 1, "size_bytes": 5},
            {"prefix": "b ü/", "name": "b ü", "file_count": 1, "size_bytes": 9},
        ],
        "total": 5,
        "page": 1,
        "size": 20,
        "next_page": None,
    }


async def test_folders_inside_a_folder(api: Api, user: UUID) -> None:
    await named(api, user)
    for prefix in ("a", "a/"):
        shown = await folders(api, user, f"?prefix={prefix}")
        assert shown["prefix"] == "a/"
        assert [(one["prefix"], one["name"], one["file_count"]) for one in shown["folders"]] == [
            ("a/b/", "b", 2),
            ("a/ü/", "ü", 1),
        ]
    assert (await folders(api, user, "?prefix=a/b/c"))["folders"] == []  # files only
    assert (await api("GET", "/folders?prefix=nothing", user)).json["error"] == "folder_not_found"


async def test_pages(api: Api, user: UUID) -> None:
    await named(api, user)
    found, page = list[str](), 1
    while page:
        shown = await folders(api, user, f"?size=2&page={page}")
        assert shown["total"] == 5
        found += [one["name"] for one in shown["folders"]]
        page = shown["next_page"]
    assert found == sorted({name.split("/")[0] for name in NAMES if "/" in name})
    assert (await folders(api, user, "?size=2&page=9"))["folders"] == []


async def many(api: Api, user: UUID, count: int) -> None:
    """That many files below ``full/``, every tenth of them shared, pinned and public; and one beside it."""
    await api.database.execute(
        """WITH made AS (
          INSERT INTO files (file_uuid, user_id, file_name, size_bytes, storage_key)
          SELECT gen_random_uuid(), $1, 'full/' || n % 7 || '/' || n, n, $1::uuid::text || '/' || n
          FROM generate_series(1, $2::int) n RETURNING file_uuid, size_bytes),
        shared AS (INSERT INTO file_shares SELECT file_uuid, gen_random_uuid(), 'a@b', 'viewer' FROM made
                   WHERE size_bytes % 10 = 0),
        pinned AS (INSERT INTO file_shortcuts (file_uuid, user_id) SELECT file_uuid, gen_random_uuid()
                   FROM made WHERE size_bytes % 10 = 0)
        INSERT INTO public_files SELECT file_uuid FROM made WHERE size_bytes % 10 = 0""",
        user,
        count,
    )
    await api.register(user, "fuller/x")


LEFT = """SELECT count(*) FROM files f WHERE user_id = $1 AND (deleted_at IS NULL
  OR EXISTS (SELECT FROM file_shares x WHERE x.file_uuid = f.file_uuid)
  OR EXISTS (SELECT FROM file_shortcuts x WHERE x.file_uuid = f.file_uuid)
  OR EXISTS (SELECT FROM public_files x WHERE x.file_uuid = f.file_uuid))"""


async def test_a_full_folder_goes_in_batches(api: Api, user: UUID) -> None:
    await many(api, user, 2_345)
    before = await api.metric("db_query_seconds_count", 'statement="folder_delete"')
    reply = await api("DELETE", "/folders/full", user)
    assert (reply.status, reply.json) == (200, {"prefix": "full/", "deleted": 2_345})
    assert await api.metric("db_query_seconds_count", 'statement="folder_delete"') == before + 4
    assert await api.database.fetchval(LEFT, user) == 1  # the file beside the folder
    again = await api("DELETE", "/folders/full", user)
    assert (again.status, again.json["error"]) == (404, "folder_not_found")


async def test_two_deletions_of_one_folder_share_the_work(api: Api, user: UUID) -> None:
    await many(api, user, 2_500)
    paths = ("/folders/full", "/folders/full/", "/folders/full/3", "/folders/full/4/")
    replies = await asyncio.gather(*(api("DELETE", path, user) for path in paths))
    assert {reply.status for reply in replies} <= {200, 404}
    assert sum(reply.json.get("deleted", 0) for reply in replies) == 2_500
    assert await api.database.fetchval(LEFT, user) == 1


async def test_only_own_files_go(api: Api, user: UUID) -> None:
    other = uuid4()
    theirs = await api.register(other, "a/x")
    await api.share(theirs, user, "editor")
    assert (await api("DELETE", "/folders/a", user)).json["error"] == "folder_not_found"
    mine = await api.register(user, "a/x")
    assert (await api("DELETE", "/folders/a", user)).json["deleted"] == 1
    assert (await api("GET", f"/f/{theirs}", user)).status == 200
    assert (await api("GET", f"/f/{mine}", user)).status == 404


async def test_a_folder_is_found_by_the_index(api: Api) -> None:
    async with api.database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(
                """INSERT INTO files (file_uuid, user_id, file_name, size_bytes, storage_key)
                SELECT gen_random_uuid(), md5((n % 10)::text)::uuid, n % 100 || '/' || n, n, 'folders/' || n
                FROM generate_series(1, 50000) n"""
            )
            await connection.execute("ANALYZE files")
            rows = await connection.fetch(
                """EXPLAIN SELECT file_uuid FROM files
                WHERE user_id = md5('7')::uuid AND deleted_at IS NULL
                  AND file_name ~>=~ '17/' AND file_name ~<~ '170'
                ORDER BY file_name USING ~<~, file_uuid LIMIT 1000 FOR NO KEY UPDATE"""
            )
            assert "files_by_folder" in "\n".join(row[0] for row in rows)
        finally:
            await transaction.rollback()
