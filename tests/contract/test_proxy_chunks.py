"""Chunks through the gateway: the state table, the inputs and their order, resends and gaps."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from uuid import uuid4

import pytest

from tests.contract import flows
from tests.contract.api import Api
from tests.contract.flows import CHUNK_BYTES, MIB, Proxy, Upload

pytestmark = pytest.mark.contract

CHUNK = "/api/upload/proxy/chunk"
BODY = {"upload_uuid", "chunk_index", "size_bytes", "received_bytes", "status", "file_id"}
proxy = Proxy()


async def opened(user: Api, size: int) -> Upload:
    return await flows.start(proxy, user, b"x" * size)


@pytest.mark.parametrize(
    ("size", "count"),
    [(1, 1), (5 * MIB, 1), (5 * MIB + 1, 2), (12 * MIB, 3)],
)
async def test_total_chunks_counts_five_mebibytes(user: Api, size: int, count: int) -> None:
    upload = await opened(user, size)
    assert set(upload.facts) == {"upload_uuid", "total_chunks", "expires_at"}
    assert upload.facts["total_chunks"] == count


async def test_answers_say_what_is_in(user: Api) -> None:
    upload = await opened(user, 6)
    first = await proxy.chunk(upload, 0, b"abcd")
    assert set(first.json) == BODY
    assert first.json == {
        "upload_uuid": upload.uuid,
        "chunk_index": 0,
        "size_bytes": 4,
        "received_bytes": 4,
        "status": "pending",
        "file_id": None,
    }
    last = await proxy.chunk(upload, 1, b"ef")
    assert (last.json["status"], last.json["file_id"]) == ("completed", upload.uuid)
    assert last.json["received_bytes"] == 6
    assert await flows.content(user, upload.uuid) == b"abcdef"


class TestPending:
    async def test_the_same_bytes_again_change_nothing(self, user: Api) -> None:
        upload = await opened(user, 6)
        for _ in range(2):
            answer = await proxy.chunk(upload, 0, b"abcd")
            assert (answer.status, answer.json["received_bytes"]) == (200, 4)

    @pytest.mark.parametrize("size", [10, 6 * MIB])
    async def test_other_bytes_replace_the_chunk(self, user: Api, size: int) -> None:
        upload = await opened(user, size + 2)
        await proxy.chunk(upload, 0, b"a" * size)
        answer = await proxy.chunk(upload, 0, b"b" * (size - 1))
        assert (answer.status, answer.json["received_bytes"]) == (200, size - 1)
        await proxy.chunk(upload, 1, b"ccc")
        assert await flows.content(user, upload.uuid) == b"b" * (size - 1) + b"ccc"

    async def test_an_empty_chunk_stores_nothing(self, user: Api) -> None:
        upload = await opened(user, 6)
        answer = await proxy.chunk(upload, 3, b"")
        assert (answer.status, answer.json["size_bytes"], answer.json["received_bytes"]) == (200, 0, 0)
        assert (await upload.status())["uploaded_chunks"] == []

    async def test_an_empty_chunk_cannot_unstore_one(self, user: Api) -> None:
        upload = await opened(user, 6)
        await proxy.chunk(upload, 0, b"abcd")
        assert (await proxy.chunk(upload, 0, b"")).code == "chunk_conflict"
        assert (await upload.status())["received_bytes"] == 4

    @pytest.mark.parametrize("body", [b"abcdefg", b"x" * 100_000])
    async def test_more_than_declared_is_refused(self, user: Api, body: bytes) -> None:
        upload = await opened(user, 6)
        assert (await proxy.chunk(upload, 0, body)).code == "size_mismatch"
        await proxy.chunk(upload, 0, b"abcd")
        assert (await proxy.chunk(upload, 1, b"efg")).code == "size_mismatch"
        assert (await upload.status())["received_bytes"] == 4
        assert (await proxy.chunk(upload, 1, b"ef")).json["status"] == "completed"

    async def test_all_bytes_with_an_index_missing_is_a_gap(self, user: Api) -> None:
        upload = await opened(user, 6)
        await proxy.chunk(upload, 0, b"abc")
        answer = await proxy.chunk(upload, 3, b"def")
        assert (answer.code, answer.json["details"]) == ("chunk_gap", {"missing": [1, 2]})
        assert (await upload.status())["uploaded_chunks"] == [0]
        assert (await proxy.chunk(upload, 1, b"def")).json["status"] == "completed"

    async def test_a_wrong_checksum_changes_nothing(self, user: Api) -> None:
        upload = await opened(user, 4)
        wrong = hashlib.sha256(b"other").hexdigest()
        answer = await proxy.chunk(upload, 0, b"abcd", Checksum=wrong)
        assert answer.code == "checksum_mismatch"
        assert (await upload.status())["received_bytes"] == 0
        upper = hashlib.sha256(b"abcd").hexdigest().upper()
        assert (await proxy.chunk(upload, 0, b"abcd", Checksum=upper)).status == 200
        assert await flows.content(user, upload.uuid) == b"abcd"

    async def test_two_sends_of_one_index_at_once_leave_one_whole(self, user: Api) -> None:
        upload = await opened(user, 2 * MIB)
        bodies = [bytes([byte]) * 2 * MIB for byte in range(4)]
        answers = await asyncio.gather(*(proxy.chunk(upload, 0, body) for body in bodies))
        # Of more than two the oldest are ended (408); what one of those has stored may be in the others' way.
        assert {answer.status for answer in answers} <= {200, 408, 409, 503}
        if 200 not in {answer.status for answer in answers}:
            assert (await proxy.chunk(upload, 0, bodies[0])).status == 200
        status = await upload.status()
        assert status["status"] == "completed"
        assert await flows.content(user, upload.uuid) in bodies


class TestCompleted:
    async def test_resends_and_trailing_empty_chunks_are_welcome(self, user: Api) -> None:
        upload = await flows.run(proxy, user, b"abcd")
        for index, body in ((0, b"abcd"), (1, b""), (7, b"")):
            answer = await proxy.chunk(upload, index, body)
            assert (answer.status, answer.json["status"]) == (200, "completed")

    @pytest.mark.parametrize(("index", "body"), [(0, b"wxyz"), (1, b"abcd"), (0, b"abc")])
    async def test_other_bytes_are_a_conflict(self, user: Api, index: int, body: bytes) -> None:
        upload = await flows.run(proxy, user, b"abcd")
        assert (await proxy.chunk(upload, index, body)).code == "chunk_conflict"
        assert await flows.content(user, upload.uuid) == b"abcd"


async def test_an_aborted_upload_takes_nothing(user: Api) -> None:
    upload = await opened(user, 4)
    await user.ok("DELETE", f"/api/upload/session/{upload.uuid}", 204)
    for body in (b"abcd", b""):
        assert (await proxy.chunk(upload, 0, body)).code == "upload_aborted"


async def test_a_refusal_before_the_body_is_told_as_it_is(user: Api) -> None:
    """The gateway is still sending when the service refuses: it must not find a reset before the answer."""
    upload = await opened(user, CHUNK_BYTES)
    await user.ok("DELETE", f"/api/upload/session/{upload.uuid}", 204)
    body = b"x" * CHUNK_BYTES
    answers = [await proxy.chunk(upload, 0, body) for _ in range(25)]
    assert {(answer.status, answer.code) for answer in answers} == {(409, "upload_aborted")}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"id": None}, "invalid_chunk_index"),
        ({"id": "-1"}, "invalid_chunk_index"),
        ({"id": "10000"}, "invalid_chunk_index"),
        ({"id": "1.0"}, "invalid_chunk_index"),
        ({"id": "x"}, "invalid_chunk_index"),
        ({"Upload-UUID": None}, "missing_header"),
        ({"Upload-UUID": "nope"}, "invalid_uuid"),
        ({"Upload-UUID": uuid4().hex}, "invalid_uuid"),
        ({"Upload-UUID": str(uuid4())}, "upload_not_found"),
        ({"Checksum": "abc"}, "invalid_checksum"),
        ({"Checksum": "g" * 64}, "invalid_checksum"),
        ({"Content-Encoding": "gzip"}, "unsupported_media_type"),
    ],
)
async def test_inputs(user: Api, change: dict[str, str | None], code: str) -> None:
    upload = await opened(user, 4)
    given: dict[str, Any] = {"id": "0", "Upload-UUID": upload.uuid, **change}
    params = {"id": given.pop("id")}
    answer = await user.post(
        CHUNK,
        params={name: value for name, value in params.items() if value is not None},
        headers={name: value for name, value in given.items() if value is not None},
        data=b"abcd",
    )
    assert answer.code == code
    if code == "missing_header":
        assert answer.json["details"] == {"header": "Upload-UUID"}


async def test_a_length_is_required(user: Api) -> None:
    upload = await opened(user, 4)

    async def body() -> Any:
        yield b"abcd"

    headers = {"Upload-UUID": upload.uuid}
    await user.refused("POST", CHUNK, "length_required", params={"id": 0}, headers=headers, data=body())


async def test_a_chunk_has_a_limit_and_just_under_it_passes(user: Api) -> None:
    upload = await opened(user, 2 * CHUNK_BYTES)
    assert (await proxy.chunk(upload, 0, b"x" * (CHUNK_BYTES + 1))).code == "body_too_large"
    assert (await proxy.chunk(upload, 0, b"x" * CHUNK_BYTES)).status == 200


async def test_heads_and_lengths_are_looked_at_before_owner_and_state(user: Api) -> None:
    headers = {"Upload-UUID": str(uuid4())}
    big = b"x" * (CHUNK_BYTES + 1)
    await user.refused("POST", CHUNK, "body_too_large", params={"id": 0}, headers=headers, data=big)
    await user.refused("POST", CHUNK, "invalid_chunk_index", headers=headers, data=b"x")


async def test_a_chunk_for_another_method(user: Api) -> None:
    for strategy in (flows.Multipart(), flows.Single()):
        upload = await flows.start(strategy, user, b"abcd")
        assert (await proxy.chunk(upload, 0, b"abcd")).code == "wrong_upload_method"


@pytest.mark.parametrize("sizes", [[5, 5, 2], [10, 2], [1, 6, 5], [6, 1, 5], [5, 1, 6], [0.5] * 6 + [9]])
async def test_slices_of_any_size_complete(user: Api, sizes: list[float]) -> None:
    slices = [bytes([number]) * int(size * MIB) for number, size in enumerate(sizes)]
    upload = await flows.start(proxy, user, b"".join(slices))
    for index, body in enumerate(slices):
        answer = await proxy.chunk(upload, index, body)
        assert answer.status == 200, answer.body
    assert (await upload.status())["status"] == "completed"
    assert await flows.content(user, upload.uuid) == upload.data


@pytest.mark.parametrize("mode", ["queued", "detached"])
async def test_an_early_answer_is_asked_for_per_upload(user: Api, mode: str) -> None:
    facts = await user.ok(
        "POST", proxy.session, params={"finalise": mode}, json=proxy.facts("early.bin", 12 * MIB)
    )
    upload = Upload(user, facts["upload_uuid"], b"y" * 12 * MIB, facts)
    assert (await proxy.send(upload, 0)).json["status"] == "pending"
    answer = await proxy.send(upload, 1)
    assert answer.json["status"] in {"assembling", "uploading", "completed"}
    async with asyncio.timeout(30):
        while (await upload.status())["status"] != "completed":
            await asyncio.sleep(0.05)
    assert await flows.content(user, upload.uuid) == upload.data


async def test_an_unknown_finalise_mode(user: Api) -> None:
    body = proxy.facts("a.bin", 1)
    answer = await user.post(proxy.session, params={"finalise": "never"}, json=body)
    assert answer.code in {"invalid_query", "invalid_field"}
