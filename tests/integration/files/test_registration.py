"""Registration of files by the upload service: repeatable, exact, and never twice."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.integration.files.conftest import Api, registration

pytestmark = pytest.mark.integration


async def send(api: Api, body: dict[str, Any]) -> tuple[int, Any]:
    reply = await api("POST", "/internal/file", as_upload=True, json=body)
    return reply.status, reply.json


async def test_created_once_then_repeated(api: Api, user: UUID) -> None:
    file_id = uuid4()
    body = registration(user, file_id, checksum="AB" * 32, etag='"e"')
    status, made = await send(api, body)
    shown = (await api("GET", f"/f/{file_id}", user)).json
    assert (status, made) == (201, {"file_id": str(file_id), "created": True, "file": shown})
    await api.publish(file_id)
    shown_again = {**shown, "is_public": True}
    repeated = {"file_id": str(file_id), "created": False, "file": shown_again}
    assert await send(api, body) == (200, repeated)
    assert shown["checksum"] == "ab" * 32
    assert shown["created_at"] == shown["updated_at"]


@pytest.mark.parametrize(
    "other",
    [
        {"name": "b.txt"},
        {"size_bytes": 6},
        {"mime_type": "image/png"},
        {"checksum": "cd" * 32},
        {"etag": None},
        {"user_id": str(uuid4())},
        {"storage_key": "users/other"},
        {"upload_uuid": str(uuid4())},
    ],
)
async def test_other_facts_are_a_conflict(api: Api, user: UUID, other: dict[str, Any]) -> None:
    body = registration(user, uuid4(), checksum="ab" * 32, etag='"e"')
    await send(api, body)
    status, shown = await send(api, {**body, **other})
    assert (status, shown["error"]) == (409, "registration_conflict")


async def test_an_upload_or_key_of_another_file_is_a_conflict(api: Api, user: UUID) -> None:
    first, second = registration(user, uuid4()), registration(user, uuid4())
    await send(api, first)
    for name in ("upload_uuid", "storage_key"):
        assert (await send(api, {**second, name: first[name]}))[0] == 409


async def test_a_repetition_after_rename_or_delete_is_one(api: Api, user: UUID) -> None:
    renamed, deleted = uuid4(), uuid4()
    for file_id in (renamed, deleted):
        await send(api, registration(user, file_id))
    assert (await api("PATCH", f"/f/{renamed}", user, json={"name": "new"})).status == 204
    assert (await api("DELETE", f"/f/{deleted}", user)).status == 204
    status, shown = await send(api, registration(user, renamed))
    assert (status, shown["file"]["name"]) == (200, "new")
    status, shown = await send(api, registration(user, deleted))
    assert (status, shown["file"]) == (200, None)
    assert (await api("GET", f"/f/{renamed}", user)).json["name"] == "new"
    assert (await api("GET", f"/f/{deleted}", user)).status == 404


async def test_an_id_that_was_given_up_is_refused(api: Api, user: UUID) -> None:
    file_id = uuid4()
    await api.database.execute(
        """INSERT INTO files (file_uuid, user_id, file_name, size_bytes, storage_key, deleted_at, voided_at)
        VALUES ($1, $2, '', 0, $3, now(), now())""",
        file_id,
        UUID(int=0),
        f"void/{file_id}",
    )
    assert (await send(api, registration(user, file_id)))[0] == 409


async def test_twenty_at_once_make_one_row(api: Api, user: UUID) -> None:
    for _ in range(10):
        body = registration(user, uuid4())
        outcomes = await asyncio.gather(*(send(api, body) for _ in range(20)))
        assert sorted(status for status, _ in outcomes) == [200] * 19 + [201]


async def test_one_statement(api: Api, user: UUID) -> None:
    before = await api.metric("db_query_seconds_count")
    await api.register(user)
    assert await api.metric("db_query_seconds_count") == before + 1


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"extra": 1}, "unknown_field", "extra"),
        ({"name": None}, "missing_field", "name"),
        ({"size_bytes": -1}, "invalid_field", "size_bytes"),
        ({"size_bytes": True}, "invalid_field", "size_bytes"),
        ({"size_bytes": 5.0}, "invalid_field", "size_bytes"),
        ({"mime_type": "text/plain\r\nA: b"}, "invalid_field", "mime_type"),
        ({"etag": 5}, "invalid_field", "etag"),
        ({"file_uuid": "x"}, "invalid_uuid", None),
        ({"checksum": "x"}, "invalid_checksum", None),
        ({"name": "a\u202eb"}, "invalid_file_name", None),
    ],
)
async def test_strict_json(
    api: Api, user: UUID, change: dict[str, Any], code: str, field: str | None
) -> None:
    status, shown = await send(api, {**registration(user, uuid4()), **change})
    assert (status, shown["error"]) == (400, code)
    if field is not None:
        assert shown["details"] == {"field": field}


async def test_only_upload_may_register_and_only_the_gateway_read(api: Api, user: UUID) -> None:
    body = registration(user, uuid4())
    for reply in (
        await api("POST", "/internal/file", user, json=body),
        await api("POST", "/internal/file", json=body, headers={"X-Service-Token": "no"}),
        await api("GET", "/me/owned", user, as_upload=True),
        await api("GET", "/me/owned", user, headers={"X-User-ID": str(uuid4())}),
        await api("GET", "/me/owned"),
    ):
        assert (reply.status, reply.json["error"]) == (401, "service_credential_invalid")
