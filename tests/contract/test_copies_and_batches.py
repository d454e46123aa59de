"""Copies, and links to many files at once."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.contract import flows
from tests.contract.api import TIME, Api
from tests.contract.flows import Multipart, Proxy

pytestmark = pytest.mark.contract
BATCH = "/api/files/batch-download"
DATA = flows.payload(6 << 20)


@pytest.mark.parametrize("strategy", [Proxy(), Multipart()], ids=["proxy", "multipart"])
async def test_a_copy_lives_on_its_own(user: Api, stranger: Api, strategy: flows.Strategy) -> None:
    path = f"/api/files/f/{(await flows.run(strategy, user, DATA, 'a/ü.txt')).uuid}"
    await user.ok("POST", f"{path}/public", 201)
    original = await user.ok("GET", path)
    copied = await stranger.ok("POST", f"{path}/copy", 201)
    assert set(copied) == set(original)
    for member in ("name", "mime_type", "size_bytes", "checksum"):
        assert copied[member] == original[member]
    assert copied["file_id"] != original["file_id"]
    assert (copied["owner_id"], copied["permission"]) == (str(stranger.user_id), "owner")
    assert copied["is_public"] is False
    await user.ok("DELETE", path, 204)
    assert await flows.content(stranger, copied["file_id"]) == DATA
    assert await stranger.ok("GET", f"/api/files/f/{copied['file_id']}") == copied
    await user.refused("GET", f"/api/files/f/{copied['file_id']}", "file_not_found")
    await stranger.ok("DELETE", f"/api/files/f/{copied['file_id']}", 204)


async def test_a_copy_is_in_the_next_list(user: Api) -> None:
    path = f"/api/files/f/{(await flows.run(Proxy(), user, b'abc')).uuid}"
    copied = await user.ok("POST", f"{path}/copy", 201)
    assert (await flows.owned(user))[0] == copied
    assert TIME.fullmatch(copied["created_at"])


async def test_a_copy_of_an_object_that_was_overwritten(user: Api) -> None:
    upload = await flows.run(flows.Single(), user, b"the right bytes")
    await flows.put(user, upload.facts["url"], b"the other ones!")
    await user.refused("POST", f"/api/files/f/{upload.uuid}/copy", "store_inconsistent")
    assert len(await flows.owned(user)) == 1


class TestBatch:
    async def test_each_entry_answers_for_itself(self, user: Api, stranger: Api) -> None:
        mine = (await flows.run(Proxy(), user, b"abc", "a/mine.txt")).uuid
        theirs = (await flows.run(Proxy(), stranger, b"abc")).uuid
        shared = (await flows.run(Proxy(), stranger, b"shared")).uuid
        recipients = [{"email": user.email, "permission": "viewer"}]
        path = f"/api/files/f/{shared}/shares"
        await stranger.ok("POST", path, 201, json={"recipients": recipients})
        asked = [mine, theirs, "nope", shared, str(uuid4()), mine.upper(), mine]
        answer = await user.ok("POST", BATCH, json={"file_ids": asked})
        assert set(answer) == {"results", "succeeded", "failed"}
        assert (answer["succeeded"], answer["failed"]) == (4, 3)
        results = answer["results"]
        assert [one["index"] for one in results] == list(range(7))
        assert [one["success"] for one in results] == [True, False, False, True, False, True, True]
        good = {"index", "file_id", "success", "download_url", "expires_at", "file_name"}
        bad = {"index", "file_id", "success", "error", "message"}
        assert all(set(one) == (good if one["success"] else bad) for one in results)
        assert [one.get("error") for one in results if not one["success"]] == [
            "file_not_found",
            "invalid_uuid",
            "file_not_found",
        ]
        assert [one["file_id"] for one in results] == [*asked[:5], mine, mine]
        assert results[0]["file_name"] == "mine.txt"
        assert results[6]["download_url"] == results[0]["download_url"]
        async with user.session.get(results[3]["download_url"]) as reply:
            assert await reply.read() == b"shared"

    async def test_as_many_as_a_page(self, user: Api) -> None:
        answer = await user.ok("POST", BATCH, json={"file_ids": [str(uuid4()) for _ in range(100)]})
        assert (answer["succeeded"], answer["failed"]) == (0, 100)

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "missing_field"),
            ({"file_ids": []}, "missing_field"),
            ({"file_ids": "x"}, "invalid_field"),
            ({"file_ids": [5]}, "invalid_field"),
            ({"file_ids": [None]}, "invalid_field"),
            ({"file_ids": ["x"] * 101}, "invalid_field"),
            ({"file_ids": ["x"], "y": 1}, "unknown_field"),
            (b"[]", "invalid_json"),
            (b"", "invalid_json"),
        ],
    )
    async def test_refusals(self, user: Api, body: Any, code: str) -> None:
        await user.refused("POST", BATCH, code, json=body)

    async def test_it_needs_a_token(self, anyone: Api) -> None:
        await anyone.refused("POST", BATCH, "authentication_required", json={"file_ids": ["x"]})
