"""Files: summary, download both ways, rename, delete, and who may do what."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

import pytest

from tests.contract import flows
from tests.contract.api import TIME, Api
from tests.contract.flows import Multipart, Proxy
from tests.stack import System

pytestmark = pytest.mark.contract

SUMMARY = {
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
}
DATA = bytes(range(256)) * 40  # 10,240 bytes


async def stored(user: Api, name: str = "testfile.bin", data: bytes = DATA) -> str:
    """The path of a new file."""
    return f"/api/files/f/{(await flows.run(Proxy(), user, data, name)).uuid}"


async def test_a_summary_is_what_the_list_shows(user: Api) -> None:
    path = await stored(user, "a/plan.pdf")
    summary = await user.ok("GET", path)
    assert set(summary) == SUMMARY
    assert TIME.fullmatch(summary["created_at"])
    assert (summary["name"], summary["mime_type"]) == ("a/plan.pdf", "application/pdf")
    assert [summary] == await flows.owned(user)
    assert await user.ok("GET", path + "/") == summary  # this path is one with and without the slash
    upper = path[:-36] + path[-36:].upper()
    assert await user.ok("GET", upper) == summary


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [("a.txt", "text/plain"), ("a.PNG", "image/png"), ("testfile.bin", "application/octet-stream")],
)
async def test_type_goes_by_the_name(user: Api, name: str, mime_type: str) -> None:
    for strategy in (Proxy(), Multipart()):
        await flows.run(strategy, user, b"abc", name)
    assert {file["mime_type"] for file in await flows.owned(user)} == {mime_type}


class TestHidden:
    """Unknown, deleted and foreign files are one and the same to whoever may not see them."""

    @pytest.mark.parametrize("suffix", ["", "/download", "/download?delivery=proxied"])
    async def test_reading(self, user: Api, stranger: Api, anyone: Api, suffix: str) -> None:
        path = await stored(user)
        for reader in (stranger, anyone):
            await reader.refused("GET", path + suffix, "file_not_found")
        await user.refused("GET", f"/api/files/f/{uuid4()}{suffix}", "file_not_found")

    async def test_changing(self, user: Api, stranger: Api, anyone: Api) -> None:
        path = await stored(user)
        await stranger.refused("PATCH", path, "file_not_found", json={"name": "mine"})
        await stranger.refused("DELETE", path, "file_not_found")
        await anyone.refused("PATCH", path, "authentication_required", json={"name": "mine"})
        await anyone.refused("DELETE", path, "authentication_required")
        assert (await user.ok("GET", path))["name"] == "testfile.bin"

    @pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
    async def test_a_path_that_is_no_uuid(self, user: Api, method: str) -> None:
        for bad in ("nope", uuid4().hex):
            await user.refused(method, f"/api/files/f/{bad}", "invalid_uuid", json={"name": "x"})


class TestPresignedDownload:
    async def test_the_url_works_without_us(self, user: Api, system: System) -> None:
        path = await stored(user, 'ordner/Größe "1".txt')
        facts = await user.ok("GET", f"{path}/download")
        assert set(facts) == {"download_url", "expires_at", "file_name"}
        assert facts["file_name"] == 'Größe "1".txt'
        assert TIME.fullmatch(facts["expires_at"])
        parts = urlsplit(facts["download_url"])
        assert f"{parts.scheme}://{parts.netloc}" == system.store
        assert 300 <= int(parse_qs(parts.query)["X-Amz-Expires"][0]) <= 600
        async with user.session.get(facts["download_url"]) as answer:
            assert (answer.status, await answer.read()) == (200, DATA)
            assert answer.headers["Content-Type"].startswith("text/plain")
            disposition = answer.headers["Content-Disposition"]
        assert disposition == (
            "attachment; filename=\"Gr__e _1_.txt\"; filename*=UTF-8''" + quote('Größe "1".txt', safe="")
        )

    async def test_a_browser_may_fetch_it(self, user: Api) -> None:
        facts = await user.ok("GET", await stored(user) + "/download")
        origin = "http://localhost:3000"
        async with user.session.get(facts["download_url"], headers={"Origin": origin}) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] in {origin, "*"}

    @pytest.mark.parametrize("delivery", ["", "odd", "Proxied"])
    async def test_an_unknown_delivery(self, user: Api, delivery: str) -> None:
        path = await stored(user)
        await user.refused("GET", f"{path}/download", "invalid_query", params={"delivery": delivery})

    async def test_a_rename_is_seen_at_once(self, user: Api) -> None:
        path = await stored(user)
        await user.ok("GET", f"{path}/download")
        await user.ok("PATCH", path, 204, json={"name": "new.txt"})
        facts = await user.ok("GET", f"{path}/download")
        assert facts["file_name"] == "new.txt"
        assert "new.txt" in facts["download_url"]


class TestProxiedDownload:
    async def test_headers(self, user: Api) -> None:
        answer = await user.get(await stored(user, "a/b.txt") + "/download?delivery=proxied")
        assert (answer.status, answer.body) == (200, DATA)
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.headers["Content-Length"] == str(len(DATA))
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["ETag"].startswith('"')
        assert "GMT" in answer.headers["Last-Modified"]
        assert (
            answer.headers["Content-Disposition"] == "attachment; filename=\"b.txt\"; filename*=UTF-8''b.txt"
        )

    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=0-", 0, 10_239),
            ("bytes=100-199", 100, 199),
            ("bytes=10000-99999", 10_000, 10_239),
            ("bytes=-1", 10_239, 10_239),
            ("bytes=-99999", 0, 10_239),
        ],
    )
    async def test_one_range(self, user: Api, asked: str, first: int, last: int) -> None:
        answer = await user.get(await stored(user) + "/download?delivery=proxied", headers={"Range": asked})
        assert (answer.status, answer.body) == (206, DATA[first : last + 1])
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(DATA)}"
        assert answer.headers["Content-Length"] == str(last + 1 - first)

    @pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=x", "lines=1-2", "bytes=5-1"])
    async def test_what_is_no_single_range_gets_the_whole(self, user: Api, asked: str) -> None:
        answer = await user.get(await stored(user) + "/download?delivery=proxied", headers={"Range": asked})
        assert (answer.status, answer.body) == (200, DATA)

    @pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=99999-100000", "bytes=-0"])
    async def test_an_unsatisfiable_range(self, user: Api, asked: str) -> None:
        path = await stored(user) + "/download?delivery=proxied"
        answer = await user.refused("GET", path, "range_not_satisfiable", headers={"Range": asked})
        assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"

    async def test_conditions(self, user: Api) -> None:
        path = await stored(user) + "/download?delivery=proxied"
        etag = (await user.get(path)).headers["ETag"]
        unchanged = await user.get(path, headers={"If-None-Match": etag})
        assert (unchanged.status, unchanged.body) == (304, b"")
        assert (await user.get(path, headers={"If-None-Match": '"other"'})).status == 200
        asked = {"Range": "bytes=0-9"}
        assert (await user.get(path, headers={**asked, "If-Range": etag})).status == 206
        assert (await user.get(path, headers={**asked, "If-Range": '"other"'})).status == 200

    async def test_head_tells_the_length_and_sends_nothing(self, user: Api) -> None:
        answer = await user.call("HEAD", await stored(user) + "/download?delivery=proxied")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["Content-Length"] == str(len(DATA))

    async def test_zero_bytes(self, user: Api) -> None:
        answer = await user.get(await stored(user, data=b"") + "/download?delivery=proxied")
        assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")

    async def test_an_object_overwritten_behind_our_back_is_not_served(self, user: Api) -> None:
        single = flows.Single()
        upload = await flows.run(single, user, b"the right bytes")
        await flows.put(user, upload.facts["url"], b"the other ones!")
        path = f"/api/files/f/{upload.uuid}/download?delivery=proxied"
        await user.refused("GET", path, "store_inconsistent")


class TestRename:
    async def test_it_is_in_the_next_list(self, user: Api) -> None:
        path = await stored(user)
        before = await user.ok("GET", path)
        assert await user.ok("PATCH", path, 204, json={"name": " neu/u\u0308ber.txt "}) is None
        (after,) = await flows.owned(user)
        assert after["name"] == "neu/\u00fcber.txt"
        assert after["updated_at"] > before["updated_at"]
        assert after["created_at"] == before["created_at"]

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "missing_field"),
            ({"name": ""}, "missing_field"),
            ({"name": 5}, "invalid_field"),
            ({"name": "a/./b"}, "invalid_file_name"),
            ({"name": "a/"}, "invalid_file_name"),
            ({"name": "a\u2028b"}, "invalid_file_name"),
            ({"name": "a\0b"}, "invalid_file_name"),
            ({"name": "x", "size": 1}, "unknown_field"),
            (b"[]", "invalid_json"),
            (b'{"name":"a","name":"b"}', "invalid_json"),
        ],
    )
    async def test_refusals(self, user: Api, body: Any, code: str) -> None:
        await user.refused("PATCH", await stored(user), code, json=body)


class TestDelete:
    async def test_it_is_gone_everywhere_at_once(self, user: Api) -> None:
        path = await stored(user)
        assert await user.ok("DELETE", path, 204) is None
        assert await flows.owned(user) == []
        for method, suffix in (("GET", ""), ("GET", "/download"), ("DELETE", ""), ("PATCH", "")):
            await user.refused(method, path + suffix, "file_not_found", json={"name": "x"})
        proxied = f"{path}/download?delivery=proxied"
        await user.refused("GET", proxied, "file_not_found")

    async def test_the_upload_says_it_was_completed(self, user: Api) -> None:
        upload = await flows.run(Proxy(), user, DATA)
        await user.ok("DELETE", f"/api/files/f/{upload.uuid}", 204)
        assert (await upload.status())["status"] == "completed"

    async def test_only_one_of_many_deletes_it(self, user: Api) -> None:
        path = await stored(user)
        answers = await asyncio.gather(*(user.call("DELETE", path) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [204, 404, 404, 404, 404]
