"""Shares, public flag and shortcuts against a real database, also when several happen at once."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.integration.files.conftest import Answer, Api, email_of

pytestmark = pytest.mark.integration
LIMIT = 100
LOCKED = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def share(api: Api, file_id: UUID, owner: UUID, *users: UUID, permission: str = "viewer") -> Answer:
    recipients = [{"email": email_of(user), "permission": permission} for user in users]
    return await api("POST", f"/f/{file_id}/shares", owner, json={"recipients": recipients})


async def shares(api: Api, file_id: UUID, owner: UUID) -> list[dict[str, Any]]:
    reply = await api("GET", f"/f/{file_id}/shares", owner)
    assert reply.status == 200, reply.json
    listed: list[dict[str, Any]] = reply.json
    return listed


async def test_all_or_nothing(api: Api, user: UUID) -> None:
    file_id = await api.register(user)
    first, second, third = uuid4(), uuid4(), uuid4()
    reply = await share(api, file_id, user, first, second)
    assert reply.status == 201
    assert [one["user_id"] for one in reply.json["shares"]] == [str(first), str(second)]
    refused = await share(api, file_id, user, third, first, permission="editor")
    assert (refused.status, refused.json["error"]) == (409, "already_shared")
    assert refused.json["details"] == {"emails": [email_of(first)]}
    unknown = await api(
        "POST",
        f"/f/{file_id}/shares",
        user,
        json={
            "recipients": [
                {"email": email_of(third), "permission": "viewer"},
                {"email": "No@Body.example ", "permission": "viewer"},
            ]
        },
    )
    assert (unknown.status, unknown.json["error"]) == (404, "recipient_not_found")
    assert unknown.json["details"] == {"emails": ["no@body.example"]}
    assert {one["user_id"] for one in await shares(api, file_id, user)} == {str(first), str(second)}
    again = await share(api, file_id, user, second, third)
    assert [one["user_id"] for one in again.json["shares"]] == [str(second), str(third)]
    assert [one["user_id"] for one in await shares(api, file_id, user)][-1] == str(third)  # the newest


async def test_nobody_is_looked_up_for_who_may_not_share(api: Api, user: UUID) -> None:
    viewer = uuid4()
    file_id = await api.register(user)
    await api.share(file_id, viewer, "viewer")
    api.auth.asked.clear()
    assert (await share(api, file_id, viewer, uuid4())).status == 403
    assert (await share(api, file_id, uuid4(), uuid4())).status == 404
    assert api.auth.asked == []
    assert (await share(api, file_id, user, user)).json["error"] == "invalid_recipients"
    assert api.auth.asked == [[email_of(user)]]


@pytest.mark.parametrize(
    "answer",
    [(500, {"error": "internal_error"}), (401, {}), (200, []), (200, {"a@b": 5}), (200, {"a@b": "x"})],
)
async def test_without_a_good_answer_nothing_is_shared(api: Api, user: UUID, answer: tuple[int, Any]) -> None:
    file_id = await api.register(user)
    api.auth.answer = answer
    try:
        reply = await share(api, file_id, user, uuid4())
    finally:
        api.auth.answer = None
    assert (reply.status, reply.json["error"]) == (503, "dependency_unavailable")
    assert await shares(api, file_id, user) == []


async def test_an_answer_that_does_not_come_is_given_up(api: Api, user: UUID) -> None:
    file_id = await api.register(user)
    api.auth.held = asyncio.Event()
    asked = len(api.auth.asked)
    try:
        reply = await share(api, file_id, user, uuid4())
    finally:
        api.auth.held.set()
        api.auth.held = None
    assert (reply.status, reply.json["error"]) == (503, "dependency_unavailable")
    assert len(api.auth.asked) == asked + 1  # asked once
    assert await shares(api, file_id, user) == []


async def test_the_limit_holds_however_many_share_at_once(api: Api, user: UUID) -> None:
    file_id = await api.register(user)
    requests = (share(api, file_id, user, *(uuid4() for _ in range(5))) for _ in range(30))
    replies = await asyncio.gather(*requests)
    assert sum(reply.status == 201 for reply in replies) == LIMIT / 5
    assert {reply.json["error"] for reply in replies if reply.status != 201} == {"share_limit"}
    listed = await shares(api, file_id, user)
    assert len(listed) == LIMIT
    kept = UUID(listed[0]["user_id"])
    assert (await share(api, file_id, user, kept)).status == 201  # nothing is added
    assert (await share(api, file_id, user, kept, uuid4())).json["error"] == "share_limit"


async def test_the_same_recipient_twice_at_once_is_one_share(api: Api, user: UUID) -> None:
    file_id, friend = await api.register(user), uuid4()
    replies = await asyncio.gather(*(share(api, file_id, user, friend) for _ in range(8)))
    assert {reply.status for reply in replies} == {201}
    assert len({str(reply.json) for reply in replies}) == 1
    assert len(await shares(api, file_id, user)) == 1


async def wait_until_blocked(database: asyncpg.Pool[Any], waiting: int) -> None:
    while await database.fetchval(LOCKED) < waiting:  # bounded by the test's time limit
        pass


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO file_shares (file_uuid, shared_with_user_id, shared_with_email, permission)"
        " VALUES ($1, $2, 'a@b', 'viewer')",
        "INSERT INTO file_shortcuts (file_uuid, user_id) VALUES ($1, $2)",
        "INSERT INTO public_files (file_uuid) SELECT $1 WHERE $2::uuid IS NOT NULL",
    ],
)
@pytest.mark.parametrize("folder", [False, True])
async def test_a_deletion_takes_along_what_was_added_while_it_waited(
    api: Api, user: UUID, sql: str, folder: bool
) -> None:
    file_id = await api.register(user, "a/b")
    async with api.database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT 1 FROM files WHERE file_uuid = $1 FOR SHARE", file_id)
        await connection.execute(sql, file_id, uuid4())
        path = "/folders/a" if folder else f"/f/{file_id}"
        deleting = asyncio.create_task(api("DELETE", path, user))
        await wait_until_blocked(api.database, 1)
        await transaction.commit()
    assert (await deleting).status in {200, 204}
    assert await api.children(file_id) == 0


@pytest.mark.parametrize("what", ["shares", "public", "shortcut"])
async def test_nothing_is_added_to_what_is_being_deleted(api: Api, user: UUID, what: str) -> None:
    file_id = await api.register(user)
    async with api.database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE files SET deleted_at = now() WHERE file_uuid = $1", file_id)
        body = {"recipients": [{"email": email_of(uuid4()), "permission": "viewer"}]}
        options: dict[str, Any] = {"json": body} if what == "shares" else {}
        adding = asyncio.create_task(api("POST", f"/f/{file_id}/{what}", user, **options))
        await wait_until_blocked(api.database, 1)
        await transaction.commit()
    assert (await adding).json["error"] == "file_not_found"
    assert await api.children(file_id) == 0


async def test_deleting_while_everybody_adds(api: Api, user: UUID) -> None:
    for _ in range(10):
        file_id = await api.register(user)
        replies = await asyncio.gather(
            share(api, file_id, user, uuid4()),
            api("POST", f"/f/{file_id}/public", user),
            api("POST", f"/f/{file_id}/shortcut", user),
            api("DELETE", f"/f/{file_id}", user),
            share(api, file_id, user, uuid4(), uuid4()),
            api("POST", f"/f/{file_id}/shortcut", uuid4()),
        )
        assert replies[3].status == 204
        assert {reply.status for reply in replies} <= {201, 204, 404}
        assert await api.children(file_id) == 0


async def test_access_and_act_are_one_statement(api: Api, user: UUID) -> None:
    file_id, friend = await api.store_file(user, b"x"), uuid4()
    await api.share(file_id, friend, "viewer")
    for method, path, options in (
        ("GET", f"/f/{file_id}/shares", {}),
        ("PATCH", f"/f/{file_id}/shares/{friend}", {"json": {"permission": "editor"}}),
        ("POST", f"/f/{file_id}/public", {}),
        ("POST", f"/f/{file_id}/shortcut", {}),
        ("DELETE", f"/f/{file_id}/shortcut", {}),
        ("DELETE", f"/f/{file_id}/public", {}),
        ("DELETE", f"/f/{file_id}/shares/{friend}", {}),
        ("POST", "/batch-download", {"json": {"file_ids": [str(file_id), str(uuid4())]}}),
        ("GET", "/folders", {}),
    ):
        before = await api.metric("db_query_seconds_count")
        assert (await api(method, path, user, **options)).status < 300, (method, path)
        assert await api.metric("db_query_seconds_count") == before + 1, (method, path)


async def test_a_shortcut_outlives_the_right_to_read_and_can_still_be_removed(api: Api, user: UUID) -> None:
    file_id, friend = await api.register(user), uuid4()
    await api.share(file_id, friend, "viewer")
    first = (await api("POST", f"/f/{file_id}/shortcut", friend)).json
    assert (await api("POST", f"/f/{file_id}/shortcut", friend)).json == first
    assert (await api("DELETE", f"/f/{file_id}/shares/{friend}", user)).status == 204
    assert (await api("GET", "/me/shortcuts", friend)).json["total"] == 0
    assert (await api("DELETE", f"/f/{file_id}/shortcut", friend)).status == 204
    assert (await api("DELETE", f"/f/{file_id}/shortcut", friend)).status == 404
