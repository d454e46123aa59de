"""What holds for an upload whichever way its bytes take."""

from __future__ import annotations

import asyncio
import hashlib
from uuid import uuid4

import pytest

from tests.contract import flows
from tests.contract.api import TIME, Answer, Api
from tests.contract.flows import MIB, STATUS_MEMBERS, Multipart, Proxy, Single, Strategy, one_of_each, payload

pytestmark = pytest.mark.contract

STRATEGIES: list[Strategy] = [
    Proxy(),
    Proxy(5 * MIB),
    Proxy(checksums=False),
    Proxy(5 * MIB, checksums=False),
    Multipart(),
    Multipart(100 * MIB),
    Single(),
]
strategies = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda one: f"{one.name}")


@strategies
@pytest.mark.parametrize("size", [0, 1, MIB, 12 * MIB + 3], ids=["0", "1", "1MiB", "12MiB+3"])
async def test_acknowledged_means_durable_visible_and_whole(user: Api, strategy: Strategy, size: int) -> None:
    data = payload(size)
    upload = await flows.run(strategy, user, data)
    status = await upload.status()
    assert (status["status"], status["file_id"], status["error"]) == ("completed", upload.uuid, None)
    (file,) = await flows.owned(user)
    assert (file["file_id"], file["size_bytes"], file["name"]) == (upload.uuid, size, "testfile.bin")
    assert (file["owner_id"], file["permission"], file["is_public"]) == (str(user.user_id), "owner", False)
    assert file["mime_type"] == "application/octet-stream"
    assert await flows.content(user, upload.uuid) == data


@strategies
async def test_status_says_what_is_in(user: Api, strategy: Strategy) -> None:
    upload = await flows.start(strategy, user, payload(12 * MIB), "döcs/größe.txt")
    fresh = await upload.status()
    assert set(fresh) == STATUS_MEMBERS
    assert (fresh["status"], fresh["uploaded_chunks"], fresh["received_bytes"]) == ("pending", [], 0)
    assert (fresh["file_id"], fresh["file_name"], fresh["file_size_bytes"]) == (
        None,
        "döcs/größe.txt",
        12 * MIB,
    )
    assert fresh["method"] == strategy.name.partition("-")[0]
    assert all(TIME.fullmatch(fresh[name]) for name in ("created_at", "updated_at", "expires_at"))
    assert upload.facts["expires_at"] == fresh["expires_at"]
    if len(strategy.pieces(upload.data)) > 1:
        await strategy.send(upload, 1)
        later = await upload.status()
        assert later["uploaded_chunks"] == [1 + strategy.first]
        assert later["received_bytes"] == len(strategy.pieces(upload.data)[1])


@strategies
async def test_pieces_may_come_in_any_order_and_twice(user: Api, strategy: Strategy) -> None:
    data = payload(17 * MIB)
    upload = await flows.start(strategy, user, data)
    indexes = list(range(len(strategy.pieces(data))))
    for index in [*indexes[1:], *indexes[1:], 0]:
        answer = await strategy.send(upload, index)
        assert answer is None or answer.status == 200, answer.body
    for _ in range(2):
        answer = await strategy.finish(upload)
        assert (answer.status, answer.json["status"]) == (200, "completed")
        assert answer.json["file_id"] == upload.uuid
    assert await flows.content(user, upload.uuid) == data
    assert len(await flows.owned(user)) == 1


@one_of_each
async def test_many_at_once_make_one_file(user: Api, strategy: Strategy) -> None:
    upload = await flows.start(strategy, user, payload(MIB))
    await strategy.send(upload, 0)

    async def finish() -> Answer:
        """Until it is not 408: of one chunk, a third send at once ends the oldest."""
        while (answer := await strategy.finish(upload)).status == 408:
            assert isinstance(strategy, Proxy)
        return answer

    answers = await asyncio.gather(*(finish() for _ in range(6)))
    assert [answer.status for answer in answers] == [200] * 6
    assert len({answer.json["file_id"] for answer in answers}) == 1
    assert len(await flows.owned(user)) == 1


@one_of_each
async def test_an_aborted_upload_stays_aborted(user: Api, strategy: Strategy) -> None:
    upload = await flows.start(strategy, user, payload(MIB))
    for _ in range(2):
        assert await user.ok("DELETE", f"/api/upload/session/{upload.uuid}", 204) is None
    assert (await upload.status())["status"] == "aborted"
    assert (await strategy.finish(upload)).code == "upload_aborted"
    assert await flows.owned(user) == []


@one_of_each
async def test_a_completed_upload_cannot_be_aborted(user: Api, strategy: Strategy) -> None:
    upload = await flows.run(strategy, user, payload(1000))
    await user.refused("DELETE", f"/api/upload/session/{upload.uuid}", "upload_not_open")
    assert len(await flows.owned(user)) == 1


@one_of_each
async def test_another_users_upload_does_not_exist(user: Api, stranger: Api, strategy: Strategy) -> None:
    upload = await flows.start(strategy, user, payload(MIB))
    mine, upload.api = upload.api, stranger
    assert (await strategy.finish(upload)).code == "upload_not_found"
    await stranger.refused("DELETE", f"/api/upload/session/{upload.uuid}", "upload_not_found")
    params = {"upload_uuid": upload.uuid}
    await stranger.refused("GET", "/api/upload/status", "upload_not_found", params=params)
    await stranger.refused("GET", "/api/upload/status", "upload_not_found", params={"upload_uuid": uuid4()})
    upload.api = mine
    assert (await upload.status())["status"] == "pending"


@one_of_each
async def test_zero_bytes_are_a_file_at_once(user: Api, strategy: Strategy) -> None:
    upload = await flows.start(strategy, user, b"")
    assert upload.facts.get("total_chunks", 0) == 0
    assert upload.facts.get("parts", []) == []
    assert upload.facts.get("storage_upload_id", "") == ""
    assert upload.facts.get("url") is None
    (file,) = await flows.owned(user)
    assert (file["file_id"], file["size_bytes"]) == (upload.uuid, 0)


@one_of_each
class TestIdempotencyKey:
    async def test_the_same_key_and_facts_are_the_same_upload(self, user: Api, strategy: Strategy) -> None:
        data, key = payload(MIB), {"Idempotency-Key": f"ref-{uuid4()}"}
        first = await flows.start(strategy, user, data, headers=key)
        again = await flows.start(strategy, user, data, headers=key)
        assert again.uuid == first.uuid
        assert again.facts["expires_at"] == first.facts["expires_at"]
        await strategy.send(again, 0)
        assert (await strategy.finish(again)).status == 200
        done = await flows.start(strategy, user, data, headers=key)
        assert done.uuid == first.uuid
        assert (done.facts.get("url"), done.facts.get("parts", [])) == (None, [])
        assert len(await flows.owned(user)) == 1

    async def test_at_once_it_makes_one(self, user: Api, strategy: Strategy) -> None:
        key = {"Idempotency-Key": f"ref-{uuid4()}"}
        uploads = await asyncio.gather(
            *(flows.start(strategy, user, payload(MIB), headers=key) for _ in range(6))
        )
        assert len({upload.uuid for upload in uploads}) == 1

    async def test_other_facts_are_a_conflict(self, user: Api, strategy: Strategy) -> None:
        key = {"Idempotency-Key": f"ref-{uuid4()}"}
        await flows.start(strategy, user, payload(MIB), headers=key)
        for body in (strategy.facts("other.bin", MIB), strategy.facts("testfile.bin", MIB + 1)):
            await user.refused("POST", strategy.session, "idempotency_conflict", json=body, headers=key)

    async def test_keys_belong_to_their_user(self, user: Api, stranger: Api, strategy: Strategy) -> None:
        key = {"Idempotency-Key": f"ref-{uuid4()}"}
        mine = await flows.start(strategy, user, payload(MIB), headers=key)
        theirs = await flows.start(strategy, stranger, payload(MIB), headers=key)
        assert mine.uuid != theirs.uuid

    async def test_an_aborted_one_stays_aborted(self, user: Api, strategy: Strategy) -> None:
        key = {"Idempotency-Key": f"ref-{uuid4()}"}
        upload = await flows.start(strategy, user, payload(MIB), headers=key)
        await user.ok("DELETE", f"/api/upload/session/{upload.uuid}", 204)
        body = strategy.facts("testfile.bin", MIB)
        await user.refused("POST", strategy.session, "upload_aborted", json=body, headers=key)

    @pytest.mark.parametrize("key", ["x" * 201, "two words", "ümlaut"])
    async def test_a_malformed_key_is_refused(self, user: Api, strategy: Strategy, key: str) -> None:
        body, headers = strategy.facts("a.bin", 10), {"Idempotency-Key": key}
        answer = await user.refused("POST", strategy.session, "invalid_field", json=body, headers=headers)
        assert answer.json["details"] == {"field": "Idempotency-Key"}


async def test_checksum_is_known_where_the_bytes_passed_in_one_stream(user: Api) -> None:
    data = payload(MIB)
    await flows.run(Proxy(), user, data)
    await flows.run(Multipart(), user, data)
    direct, proxied = await flows.owned(user)
    assert proxied["checksum"] == hashlib.sha256(data).hexdigest()
    assert direct["checksum"] is None
