"""Uploads past us: presigned parts, one presigned PUT, and what the store's answers are held against."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import suppress
from hashlib import md5
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import aiohttp
import pytest

from tests.contract import flows
from tests.contract.api import TIME, Api
from tests.contract.flows import MIB, Multipart, Proxy, Single
from tests.stack import System

pytestmark = pytest.mark.contract

multipart, single = Multipart(), Single()
API = "/api/upload/multipart"
DATA = bytes(range(256)) * 4096 * 12  # 12 MiB: three parts


def check_url(url: str, system: System, user: Api, uuid: str, signed: str = "host") -> None:
    """Signed for the public endpoint, path style."""
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == system.store
    assert parts.path == f"/{system.stack.env['S3_BUCKET']}/users/{user.user_id}/{uuid}"
    query = parse_qs(parts.query)
    assert query["X-Amz-SignedHeaders"] == [signed]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["900"]


async def refused_by_the_store(user: Api, url: str, body: io.BytesIO | AsyncIterator[bytes]) -> None:
    """A store that refuses and hangs up before it has read the body may take its answer with it."""
    with suppress(aiohttp.ClientConnectionError):
        async with user.session.put(url, data=body) as answer:
            assert answer.status in {403, 411}


class TestMultipartSession:
    async def test_every_part_has_its_url(self, user: Api, system: System) -> None:
        facts = (await flows.start(multipart, user, DATA)).facts
        assert set(facts) == {
            "upload_uuid",
            "total_chunks",
            "storage_upload_id",
            "parts",
            "urls_expire_at",
            "expires_at",
        }
        assert facts["total_chunks"] == 3
        assert facts["storage_upload_id"]
        assert [part["part_number"] for part in facts["parts"]] == [1, 2, 3]
        assert TIME.fullmatch(facts["urls_expire_at"])
        for part in facts["parts"]:
            check_url(part["url"], system, user, facts["upload_uuid"], "content-length;host")

    async def test_the_store_takes_only_the_length_of_the_part(self, user: Api) -> None:
        upload = await flows.start(multipart, user, DATA)
        rest = DATA[2 * 5 * MIB :]
        last = len(rest)
        for index, size in ((0, 0), (0, 1000), (0, last), (2, last - 1), (2, last + 1)):
            await refused_by_the_store(user, upload.facts["parts"][index]["url"], io.BytesIO(bytes(size)))

        async def unsized() -> AsyncIterator[bytes]:
            yield rest

        for index in (0, 1):
            await multipart.send(upload, index)
        await refused_by_the_store(user, upload.facts["parts"][2]["url"], unsized())
        etag = f'"{md5(rest, usedforsecurity=False).hexdigest()}"'
        assert (await multipart.register(upload, 2, etag, last)).status == 200
        assert (await multipart.finish(upload)).code == "invalid_part"  # these bytes are not in the store
        await multipart.send(upload, 2)
        assert (await multipart.finish(upload)).status == 200

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"part_size_bytes": None}, "missing_field"),
            ({"part_size_bytes": 0}, "invalid_field"),
            ({"part_size_bytes": -5}, "invalid_field"),
            ({"part_size_bytes": "5"}, "invalid_field"),
            ({"part_size_bytes": 5 * MIB - 1}, "invalid_part_size"),
            (
                {"part_size_bytes": 5 * 1024 * MIB + 1, "file_size_bytes": 11 * 1024 * MIB},
                "invalid_part_size",
            ),
            ({"file_size_bytes": 10_000 * 5 * MIB + 1}, "too_many_parts"),
            ({"file_size_bytes": 5 * 1024 * 1024 * MIB + 1}, "file_too_large"),
        ],
    )
    async def test_refusals(self, user: Api, change: dict[str, Any], code: str) -> None:
        body = {"file_name": "a", "file_size_bytes": 12 * MIB, "part_size_bytes": 5 * MIB, **change}
        await user.refused("POST", multipart.session, code, json=body)

    @pytest.mark.parametrize(("size", "part_size"), [(5, 5), (5, 1000), (1, 1), (4 * MIB, 100 * MIB)])
    async def test_one_part_may_have_any_size(self, user: Api, size: int, part_size: int) -> None:
        body = {"file_name": "a", "file_size_bytes": size, "part_size_bytes": part_size}
        assert (await user.ok("POST", multipart.session, json=body))["total_chunks"] == 1


class TestRegister:
    async def test_what_was_registered_comes_back(self, user: Api) -> None:
        upload = await flows.start(multipart, user, DATA)
        body = {"upload_uuid": upload.uuid, "part_number": 2, "size_bytes": 5 * MIB, "etag": '"abc"'}
        assert await user.ok("POST", f"{API}/part", json=body) == body
        assert (await upload.status())["status"] == "uploading"
        again = {**body, "etag": "def"}
        assert await user.ok("POST", f"{API}/part", json=again) == again
        status = await upload.status()
        assert (status["uploaded_chunks"], status["received_bytes"]) == ([2], 5 * MIB)

    async def test_a_part_may_have_as_many_bytes_as_the_store_takes(self, user: Api) -> None:
        size = 5 * 1024 * MIB
        facts = {"file_name": "large.bin", "file_size_bytes": 2 * size, "part_size_bytes": size}
        upload_uuid = (await user.ok("POST", multipart.session, json=facts))["upload_uuid"]
        body = {"upload_uuid": upload_uuid, "part_number": 2, "size_bytes": size, "etag": "x"}
        assert await user.ok("POST", f"{API}/part", json=body) == body
        await user.ok("DELETE", f"/api/upload/session/{upload_uuid}", 204)

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"part_number": 0}, "invalid_part_number"),
            ({"part_number": 4}, "invalid_part_number"),
            ({"part_number": "1"}, "invalid_field"),
            ({"size_bytes": 5 * MIB - 1}, "size_mismatch"),
            ({"part_number": 3, "size_bytes": 5 * MIB}, "size_mismatch"),
            ({"size_bytes": 5.0}, "invalid_field"),
            ({"etag": ""}, "missing_field"),
            ({"etag": "x" * 256}, "invalid_field"),
            ({"etag": 7}, "invalid_field"),
            ({"etag": "a\u0001"}, "invalid_field"),
            ({"etag": "\uffff"}, "invalid_field"),
            ({"upload_uuid": "nope"}, "invalid_uuid"),
            ({"upload_uuid": str(uuid4())}, "upload_not_found"),
            ({"more": 1}, "unknown_field"),
        ],
    )
    async def test_refusals(self, user: Api, change: dict[str, Any], code: str) -> None:
        upload = await flows.start(multipart, user, DATA)
        body = {"upload_uuid": upload.uuid, "part_number": 1, "size_bytes": 5 * MIB, "etag": "x", **change}
        await user.refused("POST", f"{API}/part", code, json=body)

    async def test_after_completion_only_what_is_known(self, user: Api) -> None:
        upload = await flows.run(multipart, user, DATA)
        assert (await multipart.register(upload, 0, upload.etags[1], 5 * MIB)).status == 200
        assert (await multipart.register(upload, 0, '"other"', 5 * MIB)).code == "upload_not_open"


class TestPresign:
    async def test_urls_come_in_the_order_asked(self, user: Api, system: System) -> None:
        upload = await flows.start(multipart, user, DATA)
        body = {"upload_uuid": upload.uuid, "part_numbers": [3, 1]}
        fresh = await user.ok("POST", f"{API}/presign", json=body)
        assert set(fresh) == {"upload_uuid", "parts", "urls_expire_at"}
        assert [part["part_number"] for part in fresh["parts"]] == [3, 1]
        for part in fresh["parts"]:
            check_url(part["url"], system, user, upload.uuid, "content-length;host")
        etag = await flows.put(user, fresh["parts"][1]["url"], DATA[: 5 * MIB])
        assert (await multipart.register(upload, 0, etag, 5 * MIB)).status == 200

    @pytest.mark.parametrize(
        ("numbers", "code"),
        [
            (None, "missing_field"),
            ([], "missing_field"),
            ([1, 1], "invalid_field"),
            ([1.0], "invalid_field"),
            (["1"], "invalid_field"),
            (list(range(1, 1002)), "invalid_field"),
            ([0], "invalid_part_number"),
            ([4], "invalid_part_number"),
        ],
    )
    async def test_refusals(self, user: Api, numbers: Any, code: str) -> None:
        upload = await flows.start(multipart, user, DATA)
        body = {"upload_uuid": upload.uuid, "part_numbers": numbers}
        await user.refused("POST", f"{API}/presign", code, json=body)

    async def test_only_while_open(self, user: Api) -> None:
        done, gone = await flows.run(multipart, user, b"x"), await flows.start(multipart, user, b"x")
        await user.ok("DELETE", f"/api/upload/session/{gone.uuid}", 204)
        for upload, code in ((done, "upload_not_open"), (gone, "upload_aborted")):
            body = {"upload_uuid": upload.uuid, "part_numbers": [1]}
            await user.refused("POST", f"{API}/presign", code, json=body)


class TestMultipartComplete:
    async def test_the_answer(self, user: Api) -> None:
        upload = await flows.run(multipart, user, DATA)
        expected = {"upload_uuid": upload.uuid, "status": "completed", "file_id": upload.uuid}
        assert (await multipart.finish(upload)).json == {**expected, "size_bytes": len(DATA)}

    async def test_missing_parts_are_named_and_it_stays_open(self, user: Api) -> None:
        upload = await flows.start(multipart, user, DATA)
        await multipart.send(upload, 1)
        answer = await multipart.finish(upload)
        assert (answer.code, answer.json["details"]) == ("missing_parts", {"missing": [1, 3]})
        await asyncio.gather(multipart.send(upload, 0), multipart.send(upload, 2))
        assert (await multipart.finish(upload)).status == 200

    @pytest.mark.parametrize("lie", ["etag", "never sent"])
    async def test_what_the_store_does_not_have_is_invalid_and_it_stays_open(
        self, user: Api, lie: str
    ) -> None:
        upload = await flows.start(multipart, user, DATA)
        await asyncio.gather(multipart.send(upload, 0), multipart.send(upload, 2))
        if lie == "etag":
            await multipart.put(upload, 1, DATA[: 5 * MIB])
        await multipart.register(upload, 1, '"0123456789abcdef0123456789abcdef"', 5 * MIB)
        answer = await multipart.finish(upload)
        assert (answer.code, answer.json["details"]) == ("invalid_part", {"part_numbers": [2]})
        assert (await upload.status())["status"] == "uploading"
        await multipart.send(upload, 1)
        assert (await multipart.finish(upload)).status == 200
        assert await flows.content(user, upload.uuid) == DATA

    async def test_an_etag_without_its_quotes_is_the_same(self, user: Api) -> None:
        upload = await flows.start(multipart, user, b"abc")
        etag = await multipart.put(upload, 0, b"abc")
        assert etag.startswith('"')
        await multipart.register(upload, 0, etag.strip('"'), 3)
        assert (await multipart.finish(upload)).status == 200

    @pytest.mark.parametrize("path", ["complete", "presign", "part"])
    async def test_another_methods_upload(self, user: Api, path: str) -> None:
        for strategy in (Proxy(), single):
            upload = await flows.start(strategy, user, b"abcd")
            body: dict[str, Any] = {"upload_uuid": upload.uuid}
            body |= {"presign": {"part_numbers": [1]}}.get(path, {})
            body |= {"part": {"part_number": 1, "size_bytes": 4, "etag": "x"}}.get(path, {})
            await user.refused("POST", f"{API}/{path}", "wrong_upload_method", json=body)

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "missing_field"),
            ({"upload_uuid": "x"}, "invalid_uuid"),
            ({"upload_uuid": 5}, "invalid_field"),
            ({"upload_uuid": str(uuid4()), "x": 1}, "unknown_field"),
            ([], "invalid_json"),
        ],
    )
    @pytest.mark.parametrize("path", [f"{API}/complete", "/api/upload/single/complete"])
    async def test_bodies(self, user: Api, path: str, body: Any, code: str) -> None:
        await user.refused("POST", path, code, json=body)


class TestSingle:
    async def test_the_session(self, user: Api, system: System) -> None:
        upload = await flows.start(single, user, DATA)
        assert set(upload.facts) == {"upload_uuid", "url", "method", "urls_expire_at", "expires_at"}
        assert upload.facts["method"] == "PUT"
        check_url(upload.facts["url"], system, user, upload.uuid)

    async def test_too_large_for_one_put(self, user: Api) -> None:
        body = single.facts("a", 5 * 1024 * MIB + 1)
        await user.refused("POST", single.session, "file_too_large", json=body)

    async def test_nothing_was_put_yet(self, user: Api) -> None:
        upload = await flows.start(single, user, DATA)
        assert (await single.finish(upload)).code == "object_missing"
        await single.send(upload, 0)
        assert (await single.finish(upload)).status == 200

    async def test_another_size_stays_open(self, user: Api) -> None:
        upload = await flows.start(single, user, DATA)
        await flows.put(user, upload.facts["url"], DATA[:-1])
        assert (await single.finish(upload)).code == "size_mismatch"
        await single.send(upload, 0)
        assert (await single.finish(upload)).status == 200

    async def test_a_given_etag_must_be_the_stores(self, user: Api) -> None:
        upload = await flows.start(single, user, b"abcd")
        await single.send(upload, 0)
        body = {"upload_uuid": upload.uuid, "etag": '"something else"'}
        await user.refused("POST", "/api/upload/single/complete", "invalid_part", json=body)
        body["etag"] = upload.etags[0]
        done = await user.ok("POST", "/api/upload/single/complete", json=body)
        assert done == {
            "upload_uuid": upload.uuid,
            "status": "completed",
            "file_id": upload.uuid,
            "size_bytes": 4,
        }

    async def test_another_methods_upload(self, user: Api) -> None:
        for strategy in (Proxy(), multipart):
            upload = await flows.start(strategy, user, b"abcd")
            assert (await single.finish(upload)).code == "wrong_upload_method"


class TestStoreFromOutside:
    async def test_a_tampered_url_is_refused(self, user: Api) -> None:
        upload = await flows.start(single, user, b"abcd")
        url = upload.facts["url"].replace(upload.uuid, str(uuid4()))
        async with user.session.put(url, data=b"abcd") as answer:
            assert answer.status == 403

    async def test_the_bucket_is_private(self, user: Api, system: System) -> None:
        upload = await flows.run(single, user, b"abcd")
        bare = upload.facts["url"].partition("?")[0]
        async with user.session.get(bare) as answer:
            assert answer.status == 403
        async with user.session.get(f"{system.store}/{system.stack.env['S3_BUCKET']}") as answer:
            assert answer.status == 403

    @pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:5500"])
    async def test_a_browser_may_put_and_read_the_etag(self, user: Api, origin: str) -> None:
        upload = await flows.start(single, user, b"abcd")
        asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
        async with user.session.options(upload.facts["url"], headers=asked) as answer:
            assert answer.status in {200, 204}
            assert answer.headers["Access-Control-Allow-Origin"] in {origin, "*"}
            assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
        async with user.session.put(upload.facts["url"], data=b"abcd", headers={"Origin": origin}) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] in {origin, "*"}
            exposed = answer.headers["Access-Control-Expose-Headers"].lower()
            assert "etag" in exposed or exposed == "*"
            assert answer.headers["ETag"].startswith('"')
