"""An id that was given up never becomes a file; a file that lives is not given up."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from tests.integration.files.conftest import Api, registration

pytestmark = pytest.mark.integration


async def void(api: Api, file_id: UUID) -> int:
    return (await api("POST", f"/internal/file/{file_id}/void", as_upload=True)).status


async def test_a_registration_after_the_tombstone_is_refused(api: Api, user: UUID) -> None:
    file_id = uuid4()
    assert [await void(api, file_id) for _ in range(2)] == [204, 204]
    late = await api("POST", "/internal/file", as_upload=True, json=registration(user, file_id))
    assert (late.status, late.json["error"]) == (409, "registration_conflict")
    row = await api.database.fetchrow("SELECT * FROM files WHERE file_uuid = $1", file_id)
    assert row is not None
    assert (row["user_id"], row["file_name"], row["storage_key"]) == (UUID(int=0), "", f"void/{file_id}")
    assert None not in (row["deleted_at"], row["object_deleted_at"], row["voided_at"])
    assert (await api("GET", f"/f/{file_id}", user)).status == 404


async def test_a_file_that_lives_stays_and_is_described(api: Api, user: UUID) -> None:
    file_id = await api.store_file(user, b"bytes")
    refused = await api("POST", f"/internal/file/{file_id}/void", as_upload=True)
    assert (refused.status, refused.json["error"]) == (409, "registration_conflict")
    etag = await api.database.fetchval("SELECT etag FROM files WHERE file_uuid = $1", file_id)
    facts = {"mime_type": "text/plain", "size_bytes": 5, "checksum": None, "etag": etag}
    assert refused.json["details"] == {**facts, "copying": False}
    assert (await api("GET", f"/f/{file_id}", user)).status == 200


async def test_a_deleted_file_needs_no_tombstone(api: Api, user: UUID) -> None:
    file_id = await api.store_file(user, b"bytes")
    await api("DELETE", f"/f/{file_id}", user)
    assert await void(api, file_id) == 204


async def test_registration_and_tombstone_at_once_never_both_succeed(api: Api, user: UUID) -> None:
    for file_id in [uuid4() for _ in range(20)]:
        body = registration(user, file_id)
        registered, voided = await asyncio.gather(
            api("POST", "/internal/file", as_upload=True, json=body), void(api, file_id)
        )
        assert (registered.status, voided) in {(201, 409), (409, 204)}


@pytest.mark.parametrize("as_operator", [False, True])
async def test_only_upload_may_leave_one(api: Api, as_operator: bool) -> None:
    answer = await api("POST", f"/internal/file/{uuid4()}/void", as_operator=as_operator)
    assert (answer.status, answer.json["error"]) == (401, "service_credential_invalid")
