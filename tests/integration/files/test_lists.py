"""Lists: order, paging, filters, totals, one statement each, served by an index."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from services.files.listing import statement
from services.files.model import ListQuery, Position, Scope
from tests.integration.files.conftest import Api

pytestmark = pytest.mark.integration


async def listed(api: Api, user: UUID, query: str = "", scope: str = "owned") -> dict[str, Any]:
    reply = await api("GET", f"/me/{scope}{query}", user)
    assert reply.status == 200, reply.json
    shown: dict[str, Any] = reply.json
    return shown


def names(shown: dict[str, Any]) -> list[str]:
    return [file["name"] for file in shown["files"]]


async def every_page(api: Api, user: UUID, query: str, scope: str = "owned") -> list[str]:
    found, cursor = list[str](), ""
    while True:
        shown = await listed(api, user, f"?{query}{cursor}", scope)
        found += names(shown)
        if shown["next_cursor"] is None:
            return found
        cursor = f"&cursor={shown['next_cursor']}"


async def test_an_empty_list(api: Api, user: UUID) -> None:
    assert await listed(api, user) == {
        "files": [],
        "total": 0,
        "page": 1,
        "size": 20,
        "next_page": None,
        "next_cursor": None,
    }


async def test_a_registered_file_is_in_the_next_list_with_every_member(api: Api, user: UUID) -> None:
    file_id = await api.register(user, "a/ü.txt", size_bytes=7)
    shown = (await listed(api, user))["files"][0]
    assert list(shown) == [
        "file_id",
        "owner_id",
        "name",
        "mime_type",
        "size_bytes",
        "created_at",
        "is_public",
        "updated_at",
        "permission",
        "checksum",
    ]
    assert (shown["file_id"], shown["owner_id"]) == (str(file_id), str(user))
    assert (shown["name"], shown["size_bytes"], shown["is_public"]) == ("a/ü.txt", 7, False)
    assert (shown["permission"], shown["checksum"]) == ("owner", None)
    assert shown["created_at"].endswith("Z")


async def test_pages_by_number_and_by_cursor_agree(api: Api, user: UUID) -> None:
    wanted = [f"{number}.txt" for number in reversed(range(7))]
    for name in reversed(wanted):
        await api.register(user, name)
    first = await listed(api, user, "?size=3")
    assert (first["total"], first["page"], first["size"], first["next_page"]) == (7, 1, 3, 2)
    second = await listed(api, user, "?size=3&page=2")
    third = await listed(api, user, "?size=3&page=3")
    assert names(first) + names(second) + names(third) == wanted
    assert (third["next_page"], third["next_cursor"], third["total"]) == (None, None, 7)
    assert await every_page(api, user, "size=3") == wanted
    beyond = await listed(api, user, "?size=3&page=4")
    assert (names(beyond), beyond["total"], beyond["next_page"]) == ([], 7, None)


@pytest.mark.parametrize("sort", ["created_at", "name", "size"])
@pytest.mark.parametrize("size", [1, 2, 100])
async def test_every_order_shows_every_file_once(api: Api, sort: str, size: int) -> None:
    user = uuid4()
    facts = [("b", 2), ("a", 2), ("Z", 1), ("ü", 3), ("a", 1), ("😀", 3)]
    for name, size_bytes in facts:
        await api.register(user, name, size_bytes=size_bytes)
    up = await every_page(api, user, f"size={size}&sort={sort}")
    down = await every_page(api, user, f"size={size}&sort=-{sort}")
    assert sorted(up) == sorted(name for name, _ in facts)
    assert down == up[::-1]
    if sort == "name":
        assert up == sorted(up)
    if sort == "created_at":
        assert up == [name for name, _ in facts]


async def test_a_cursor_skips_nothing_when_files_come_and_go(api: Api, user: UUID) -> None:
    ids = [await api.register(user, f"{number}") for number in range(6)]
    first = await listed(api, user, "?size=2")
    await api.register(user, "new")
    await api("DELETE", f"/f/{ids[5]}", user)
    rest = await listed(api, user, f"?size=9&cursor={first['next_cursor']}")
    assert names(first) + names(rest) == ["5", "4", "3", "2", "1", "0"]


async def test_names_are_found_without_regard_to_case(api: Api, user: UUID) -> None:
    for name in ("Übung.txt", "STRASSE", "100%_a", "other"):
        await api.register(user, name)
    for part, found in (
        ("übu", ["Übung.txt"]),
        ("straße", ["STRASSE"]),
        ("%_", ["100%_a"]),
        ("_", ["100%_a"]),
        ("\\", []),
    ):
        shown = await listed(api, user, f"?name={quote(part)}")
        assert (names(shown), shown["total"]) == (found, len(found))


async def test_a_folder_holds_what_is_below_it(api: Api, user: UUID) -> None:
    for name in ("a/x", "a/b/y", "ab/z", "a", "A/x", "a%/x", "a0"):
        await api.register(user, name)
    for prefix in ("a", "a/"):
        shown = await listed(api, user, f"?prefix={prefix}&sort=name")
        assert (names(shown), shown["total"]) == (["a/b/y", "a/x"], 2)
    assert names(await listed(api, user, "?prefix=a/b&name=Y")) == ["a/b/y"]


async def test_shared_and_pinned_files(api: Api, user: UUID) -> None:
    other = uuid4()
    mine = await api.register(user, "mine")
    viewed, edited, hidden, public = [
        await api.register(other, name) for name in ("viewed", "edited", "hidden", "public")
    ]
    await api.share(viewed, user, "viewer")
    await api.share(edited, user, "editor")
    await api.publish(public)
    for file_id in (mine, viewed, hidden, public):
        await api.pin(file_id, user)
    shared = await listed(api, user, "?sort=name", "shared")
    assert [(file["name"], file["permission"]) for file in shared["files"]] == [
        ("edited", "editor"),
        ("viewed", "viewer"),
    ]
    pinned = await listed(api, user, "?sort=name", "shortcuts")
    assert [(file["name"], file["permission"], file["is_public"]) for file in pinned["files"]] == [
        ("mine", "owner", False),
        ("public", "public", True),
        ("viewed", "viewer", False),
    ]
    assert (shared["total"], pinned["total"]) == (2, 3)
    assert await every_page(api, user, "sort=name&size=1", "shortcuts") == ["mine", "public", "viewed"]
    await api("DELETE", f"/f/{viewed}", other)
    assert names(await listed(api, user, "", "shared")) == ["edited"]


async def test_every_list_is_one_statement(api: Api, user: UUID) -> None:
    for name in ("1", "2"):
        await api.register(user, name)
    for path in ("owned?size=1", "owned?page=2&size=1&name=1&prefix=a", "shared", "shortcuts?sort=-size"):
        before = await api.metric("db_query_seconds_count")
        assert (await api("GET", f"/me/{path}", user)).status == 200
        assert await api.metric("db_query_seconds_count") == before + 1


async def test_bad_queries(api: Api, user: UUID) -> None:
    for query in ("?page=0", "?size=101", "?sort=x", "?foo=1", "?source=disk", "?cursor=a&page=1", "?name="):
        reply = await api("GET", f"/me/owned{query}", user)
        assert (reply.status, reply.json["error"]) == (400, "invalid_query"), query


async def test_the_store_as_source(api: Api, user: UUID) -> None:
    ids = sorted([str(await api.store_file(user, b"12345", f"{number}.txt")) for number in range(3)])
    await api("DELETE", f"/f/{ids[0]}", user)
    shown = await listed(api, user, "?source=s3&size=2")
    assert [file["file_id"] for file in shown["files"]] == ids[:2]
    entry = shown["files"][0]
    assert (entry["name"], entry["size_bytes"], entry["mime_type"]) == (
        ids[0],
        5,
        "application/octet-stream",
    )
    assert (entry["checksum"], entry["is_public"], entry["owner_id"]) == (None, False, str(user))
    assert (shown["total"], shown["next_page"]) == (None, None)
    rest = await listed(api, user, f"?source=s3&size=2&cursor={shown['next_cursor']}")
    assert [file["file_id"] for file in rest["files"]] == ids[2:]
    assert rest["next_cursor"] is None
    for query in ("?source=s3&sort=name", "?source=s3&page=1", f"?cursor={shown['next_cursor']}"):
        assert (await api("GET", f"/me/owned{query}", user)).status == 400


async def test_the_newest_page_comes_from_the_index_without_a_sort(api: Api) -> None:
    """At 100,000 rows; the other orders have no index and sort one owner's rows."""
    async with api.database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(
                """INSERT INTO files (file_uuid, user_id, file_name, size_bytes, storage_key, created_at)
                SELECT gen_random_uuid(), md5((n % 100)::text)::uuid, 'f' || n, n, 'plan/' || n,
                       now() - n * interval '1 second' FROM generate_series(1, 100000) n"""
            )
            await connection.execute("ANALYZE files")
            owner = await connection.fetchval("SELECT md5('7')::uuid")
            for query in (
                ListQuery(Scope.OWNED),
                ListQuery(Scope.OWNED, after=Position(1_772_619_330_123_456, uuid4())),
            ):
                sql, arguments = statement(query, owner)
                rows = await connection.fetch("EXPLAIN " + sql.sql, *arguments)
                plan = "\n".join(row[0] for row in rows)
                assert "files_by_owner" in plan
                assert "Sort" not in plan
                assert "Seq Scan on files" not in plan
        finally:
            await transaction.rollback()
