"""Folders through the gateway: whatever a path says is a name, and nothing of it is resolved away."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract import flows
from tests.contract.api import Api
from tests.contract.flows import Proxy

pytestmark = pytest.mark.contract
FOLDERS = "/api/files/folders"
NAMES = ("a/x", "a/b/y", "a/b/c/z", "a b/ü/1", "100%/x", "?#/x", "top")


async def stored(user: Api, *names: str) -> None:
    await asyncio.gather(*(flows.run(Proxy(), user, b"abc", name) for name in names))


async def left(user: Api) -> set[str]:
    return {file["name"] for file in await flows.owned(user, size=100)}


class TestListing:
    async def test_members(self, user: Api) -> None:
        await stored(user, *NAMES)
        outer = await user.ok("GET", FOLDERS)
        assert set(outer) == {"prefix", "folders", "total", "page", "size", "next_page"}
        assert (outer["prefix"], outer["total"], outer["page"], outer["size"]) == ("", 4, 1, 20)
        assert [one["name"] for one in outer["folders"]] == ["100%", "?#", "a", "a b"]
        assert outer["folders"][2] == {"prefix": "a/", "name": "a", "file_count": 3, "size_bytes": 9}
        inner = await user.ok("GET", FOLDERS, params={"prefix": "a"})
        assert inner["prefix"] == "a/"
        assert inner["folders"] == [{"prefix": "a/b/", "name": "b", "file_count": 2, "size_bytes": 6}]
        assert [one["name"] for one in await flows.owned(user, prefix="a/b", sort="name")] == [
            "a/b/c/z",
            "a/b/y",
        ]

    async def test_pages(self, user: Api) -> None:
        await stored(user, *NAMES)
        first = await user.ok("GET", FOLDERS, params={"size": 3})
        second = await user.ok("GET", FOLDERS, params={"size": 3, "page": first["next_page"]})
        assert (len(first["folders"]), len(second["folders"]), second["next_page"]) == (3, 1, None)

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"page": 0}, "invalid_query"),
            ({"page": 10_001}, "invalid_query"),
            ({"size": 101}, "invalid_query"),
            ({"sort": "name"}, "invalid_query"),
            ({"prefix": "/"}, "invalid_folder"),
            ({"prefix": "a//b"}, "invalid_folder"),
            ({"prefix": "a/../b"}, "invalid_folder"),
            ({"prefix": "a\u2028b"}, "invalid_folder"),
            ({"prefix": "x" * 255}, "invalid_folder"),
            ({"prefix": "nothing"}, "folder_not_found"),
        ],
    )
    async def test_refusals(self, user: Api, params: dict[str, Any], code: str) -> None:
        await user.refused("GET", FOLDERS, code, params=params)

    async def test_it_needs_a_token(self, anyone: Api) -> None:
        await anyone.refused("GET", FOLDERS, "authentication_required")
        await anyone.refused("DELETE", f"{FOLDERS}/a", "authentication_required")


class TestDeleting:
    @pytest.mark.parametrize(
        ("path", "prefix", "gone"),
        [
            ("a", "a/", {"a/x", "a/b/y", "a/b/c/z"}),
            ("a/", "a/", {"a/x", "a/b/y", "a/b/c/z"}),
            ("a/b", "a/b/", {"a/b/y", "a/b/c/z"}),
            ("a/b/c/", "a/b/c/", {"a/b/c/z"}),
            ("a%2Fb%2fc", "a/b/c/", {"a/b/c/z"}),
            ("%61", "a/", {"a/x", "a/b/y", "a/b/c/z"}),
            (quote("a b/ü"), "a b/ü/", {"a b/ü/1"}),
            (quote("a b/u\u0308"), "a b/ü/", {"a b/ü/1"}),
            ("100%25", "100%/", {"100%/x"}),
            ("%3F%23", "?#/", {"?#/x"}),
        ],
    )
    async def test_all_below_goes(self, user: Api, path: str, prefix: str, gone: set[str]) -> None:
        await stored(user, *NAMES)
        answer = await user.ok("DELETE", f"{FOLDERS}/{path}")
        assert answer == {"prefix": prefix, "deleted": len(gone)}
        assert await left(user) == set(NAMES) - gone
        await user.refused("DELETE", f"{FOLDERS}/{path}", "folder_not_found")

    @pytest.mark.parametrize(
        "path",
        [
            "",
            "/",
            "//a",
            ".",
            "..",
            "a/..",
            "a/../a",
            "./a",
            "a/.",
            "a/./b",
            "a//b",
            "a//",
            "%2e%2e/a",
            "a/%2E/b",
            "a%2F..%2Fa",
            "../folders/a",
            "../f/00000000-0000-4000-8000-000000000000",
            "../internal/sweep",
            "%FF",
            "a/%ff/b",
            "a%C3",
            "%ED%A0%80",
            "a%00",
            "a%0Ab",
            "%20",
            "x" * 254,
        ],
    )
    async def test_what_is_no_folder(self, user: Api, path: str) -> None:
        """The file name rule holds, and a path that leads elsewhere leads nowhere."""
        await stored(user, *NAMES)
        answer = await user.refused("DELETE", f"{FOLDERS}/{path}", "invalid_folder")
        assert answer.status == 400
        assert await left(user) == set(NAMES)

    async def test_names_that_look_like_escapes_are_names(self, user: Api) -> None:
        await stored(user, "%FF/x", "%2e%2e/x", "keep")
        await user.ok("DELETE", f"{FOLDERS}/%25FF")
        await user.ok("DELETE", f"{FOLDERS}/%252e%252e")
        assert await left(user) == {"keep"}

    async def test_other_methods(self, user: Api) -> None:
        for method in ("GET", "POST", "PUT"):
            answer = await user.refused(method, f"{FOLDERS}/a/b", "method_not_allowed")
            assert answer.headers["Allow"] == "DELETE"
        answer = await user.refused("DELETE", FOLDERS, "method_not_allowed")
        assert answer.headers["Allow"] == "GET, HEAD"

    async def test_before_the_folders_paths_are_resolved_as_ever(self, user: Api) -> None:
        await stored(user, "a/x")
        assert (await user.ok("DELETE", "/api/files/me/..//./folders/a"))["deleted"] == 1

    async def test_what_others_share_stays(self, user: Api, stranger: Api) -> None:
        upload = await flows.run(Proxy(), stranger, b"abc", "theirs/x")
        path = f"/api/files/f/{upload.uuid}"
        recipients = [{"email": user.email, "permission": "editor"}]
        await stranger.ok("POST", f"{path}/shares", 201, json={"recipients": recipients})
        await user.refused("DELETE", f"{FOLDERS}/theirs", "folder_not_found")
        await stranger.ok("GET", path)
