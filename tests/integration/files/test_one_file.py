"""One file: who may do what, rename, delete, and both kinds of download."""

from __future__ import annotations

import os
from datetime import datetime
from uuid import UUID, uuid4

import aiohttp
import pytest
from yarl import URL

from tests.integration.files.conftest import Answer, Api

pytestmark = pytest.mark.integration
CONTENT = b"0123456789"


def code(reply: Answer) -> tuple[int, str | None]:
    return reply.status, reply.json["error"] if reply.json else None


class People:
    """A file and everybody who can stand in some relation to it."""

    def __init__(self) -> None:
        self.owner, self.editor, self.viewer, self.stranger = (uuid4() for _ in range(4))
        self.by_name: dict[str, UUID | None] = {
            "owner": self.owner,
            "editor": self.editor,
            "viewer": self.viewer,
            "stranger": self.stranger,
            "nobody": None,
        }


async def shared_file(api: Api, people: People, *, public: bool) -> UUID:
    file_id = await api.store_file(people.owner, CONTENT)
    await api.share(file_id, people.editor, "editor")
    await api.share(file_id, people.viewer, "viewer")
    if public:
        await api.publish(file_id)
    return file_id


@pytest.mark.parametrize("public", [False, True])
async def test_reading(api: Api, public: bool) -> None:
    people = People()
    file_id = await shared_file(api, people, public=public)
    others = "public" if public else None
    wanted = {
        "owner": "owner",
        "editor": "editor",
        "viewer": "viewer",
        "stranger": others,
        "nobody": others,
    }
    for name, user in people.by_name.items():
        summary = await api("GET", f"/f/{file_id}", user)
        link = await api("GET", f"/f/{file_id}/download", user)
        proxied = await api("GET", f"/f/{file_id}/download?delivery=proxied", user)
        if wanted[name] is None:
            assert {code(reply) for reply in (summary, link, proxied)} == {(404, "file_not_found")}
        else:
            assert (summary.json["permission"], summary.json["is_public"]) == (wanted[name], public)
            assert (link.status, proxied.body) == (200, CONTENT)


async def test_changing(api: Api) -> None:
    people = People()
    for public in (False, True):
        file_id = await shared_file(api, people, public=public)
        stranger = 403 if public else 404
        for name, rename, delete in (
            ("stranger", stranger, stranger),
            ("viewer", 403, 403),
            ("editor", 204, 403),
            ("owner", 204, 204),
        ):
            user = people.by_name[name]
            assert (await api("PATCH", f"/f/{file_id}", user, json={"name": name})).status == rename
            assert (await api("DELETE", f"/f/{file_id}", user)).status == delete


async def test_rename(api: Api, user: UUID) -> None:
    file_id = await api.register(user, "old")
    reply = await api("PATCH", f"/f/{file_id}", user, json={"name": "  a/U\u0308.txt "})
    assert (reply.status, reply.body) == (204, b"")
    assert "Content-Type" not in reply.headers
    shown = (await api("GET", f"/f/{file_id}", user)).json
    assert shown["name"] == "a/\u00dc.txt"
    assert shown["updated_at"] > shown["created_at"]
    found = await api("GET", "/me/owned?name=.TXT", user)
    assert found.json["total"] == 1


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"{}", "missing_field"),
        (b'{"name":""}', "missing_field"),
        (b'{"name":null}', "missing_field"),
        (b'{"name":5}', "invalid_field"),
        (b'{"name":"a","x":1}', "unknown_field"),
        (b'{"name":"a","name":"b"}', "invalid_json"),
        (b"[]", "invalid_json"),
        (b"", "invalid_json"),
        (b'{"name":"  "}', "invalid_file_name"),
        (b'{"name":"/a"}', "invalid_file_name"),
        (b'{"name":"a/../b"}', "invalid_file_name"),
    ],
)
async def test_rename_refused(api: Api, user: UUID, body: bytes, wanted: str) -> None:
    file_id = await api.register(user)
    assert code(await api("PATCH", f"/f/{file_id}", user, data=body)) == (400, wanted)


async def test_delete_hides_at_once_and_takes_everything_along(api: Api, user: UUID) -> None:
    other = uuid4()
    file_id = await api.store_file(user, CONTENT)
    await api.share(file_id, other, "viewer")
    await api.publish(file_id)
    await api.pin(file_id, other)
    before = await api.metric("db_query_seconds_count")
    reply = await api("DELETE", f"/f/{file_id}", user)
    assert (reply.status, reply.body) == (204, b"")
    assert await api.metric("db_query_seconds_count") == before + 2
    for path in (f"/f/{file_id}", f"/f/{file_id}/download"):
        assert code(await api("GET", path, user)) == (404, "file_not_found")
        assert code(await api("GET", path, None)) == (404, "file_not_found")
    assert code(await api("DELETE", f"/f/{file_id}", user)) == (404, "file_not_found")
    assert code(await api("PATCH", f"/f/{file_id}", user, json={"name": "x"})) == (404, "file_not_found")
    for scope in ("shared", "shortcuts"):
        assert (await api("GET", f"/me/{scope}", other)).json["total"] == 0
    assert await api.children(file_id) == 0


async def test_ids(api: Api, user: UUID) -> None:
    file_id = await api.register(user)
    assert (await api("GET", f"/f/{str(file_id).upper()}", user)).status == 200
    for bad in ("x", file_id.hex, f"{{{file_id}}}"):
        assert code(await api("GET", f"/f/{bad}", user)) == (400, "invalid_uuid")
    assert code(await api("GET", f"/f/{uuid4()}", user)) == (404, "file_not_found")


async def test_presigned_download(api: Api, user: UUID) -> None:
    file_id = await api.store_file(user, CONTENT, "folder/ü.txt")
    reply = (await api("GET", f"/f/{file_id}/download", user)).json
    assert (reply["file_name"], list(reply)) == ("ü.txt", ["download_url", "expires_at", "file_name"])
    ends = datetime.strptime(reply["expires_at"], "%Y-%m-%dT%H:%M:%S.%fZ")
    query = URL(reply["download_url"], encoded=True).query
    signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    assert (ends - signed).total_seconds() == int(query["X-Amz-Expires"]) == 600
    async with (
        aiohttp.ClientSession() as browser,
        browser.get(URL(reply["download_url"], encoded=True)) as answer,
    ):
        assert (answer.status, await answer.read()) == (200, CONTENT)
        assert answer.headers["Content-Type"] == "text/plain"
        wanted = "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%BC.txt"
        assert answer.headers["Content-Disposition"] == wanted
    again = (await api("GET", f"/f/{file_id}/download", user)).json
    assert again == reply
    await api("PATCH", f"/f/{file_id}", user, json={"name": "new.txt"})
    renamed = (await api("GET", f"/f/{file_id}/download", user)).json
    assert (renamed["file_name"], renamed["download_url"] == reply["download_url"]) == ("new.txt", False)


async def test_proxied_download_heads(api: Api, user: UUID) -> None:
    file_id = await api.store_file(user, CONTENT, "a.txt")
    path = f"/f/{file_id}/download?delivery=proxied"
    whole, head = await api("GET", path, user), await api("HEAD", path, user)
    assert (whole.status, whole.body, head.status, head.body) == (200, CONTENT, 200, b"")
    for reply in (whole, head):
        assert reply.headers["Content-Length"] == "10"
        assert reply.headers["Content-Type"] == "text/plain"
        assert reply.headers["Accept-Ranges"] == "bytes"
        assert reply.headers["Content-Disposition"].startswith('attachment; filename="a.txt"')
        assert reply.headers["ETag"].startswith('"')
        assert reply.headers["Last-Modified"].endswith("GMT")
        assert UUID(reply.headers["X-Request-Id"])


async def test_proxied_download_conditions(api: Api, user: UUID) -> None:
    file_id = await api.store_file(user, CONTENT)
    path = f"/f/{file_id}/download?delivery=proxied"
    etag = (await api("HEAD", path, user)).headers["ETag"]

    async def ask(**headers: str) -> Answer:
        return await api("GET", path, user, headers={k.replace("_", "-"): v for k, v in headers.items()})

    fresh = await ask(If_None_Match=etag)
    assert (fresh.status, fresh.body, fresh.headers["ETag"]) == (304, b"", etag)
    part = await ask(Range="bytes=2-4")
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert part.headers["Content-Length"] == "3"
    assert (await ask(Range="bytes=-3")).body == b"789"
    assert (await ask(Range="bytes=0-1,3-4")).status == 200
    assert (await ask(Range="bytes=2-4", If_Range=etag)).status == 206
    assert (await ask(Range="bytes=2-4", If_Range='"x"')).body == CONTENT
    beyond = await ask(Range="bytes=10-")
    assert code(beyond) == (416, "range_not_satisfiable")
    assert beyond.headers["Content-Range"] == "bytes */10"
    assert code(await api("GET", f"/f/{file_id}/download?delivery=post", user)) == (400, "invalid_query")


async def test_empty_file(api: Api, user: UUID) -> None:
    file_id = await api.store_file(user, b"")
    reply = await api("GET", f"/f/{file_id}/download?delivery=proxied", user)
    assert (reply.status, reply.body, reply.headers["Content-Length"]) == (200, b"", "0")


async def test_large_file_is_counted_and_exact(api: Api, user: UUID) -> None:
    content = os.urandom(9_000_001)
    file_id = await api.store_file(user, content)
    before = await api.metric("files_download_bytes_total")
    reply = await api("GET", f"/f/{file_id}/download?delivery=proxied", user)
    assert reply.body == content
    assert await api.metric("files_download_bytes_total") == before + len(content)


async def test_an_object_that_is_gone_or_changed_is_told(api: Api, user: UUID) -> None:
    gone, changed = await api.store_file(user, CONTENT), await api.store_file(user, CONTENT)
    await api.store.delete(f"users/{user}/{gone}")
    await api.store.put_bytes(f"users/{user}/{changed}", b"other data")
    for file_id in (gone, changed):
        for headers in ({}, {"Range": "bytes=0-1"}):
            reply = await api("GET", f"/f/{file_id}/download?delivery=proxied", user, headers=headers)
            assert code(reply) == (500, "store_inconsistent")


async def test_a_reader_that_leaves_is_counted_as_gone(api: Api, user: UUID) -> None:
    file_id = await api.store_file(user, os.urandom(20_000_000))
    headers = {"X-Service-Token": api.gateway.token(str(user)), "X-User-ID": str(user)}
    url = f"{api.url}/f/{file_id}/download?delivery=proxied"
    async with aiohttp.ClientSession() as leaving:
        reply = await leaving.get(url, headers=headers)
        await reply.content.readexactly(100_000)
        reply.close()
    text, wanted = "", 'path="/f/{file_id}/download",status="499"'
    while wanted not in text:  # bounded by the test's time limit
        async with api.session.get(api.admin_url + "/metrics") as metrics:
            text = await metrics.text()
    assert (await api("GET", f"/f/{file_id}", user)).status == 200


async def test_a_head_costs_the_store_no_read(api: Api, user: UUID) -> None:
    """It finds out whether the object is there, and does not begin to fetch it."""
    good, changed = await api.store_file(user, CONTENT), await api.store_file(user, CONTENT)
    await api.store.put_bytes(f"users/{user}/{changed}", b"other data")
    reads = await api.metric("store_request_seconds_count", 'op="get_object"')
    path = f"/f/{good}/download?delivery=proxied"
    head = await api("HEAD", path, user, headers={"Range": "bytes=2-4"})
    assert (head.status, head.headers["Content-Length"]) == (200, "10")
    assert "Content-Range" not in head.headers
    fresh = await api("HEAD", path, user, headers={"If-None-Match": head.headers["ETag"]})
    assert fresh.status == 304
    assert (await api("HEAD", f"/f/{changed}/download?delivery=proxied", user)).status == 500
    assert await api.metric("store_request_seconds_count", 'op="get_object"') == reads


async def test_an_object_of_another_length_is_not_sent(api: Api, user: UUID) -> None:
    file_id = await api.store_file(user, CONTENT, size_bytes=11, etag=None)
    for headers in ({}, {"Range": "bytes=5-"}):
        reply = await api("GET", f"/f/{file_id}/download?delivery=proxied", user, headers=headers)
        assert code(reply) == (500, "store_inconsistent")
