"""The list of own files: paging, cursor, sorting and filters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import flows
from tests.contract.api import Api
from tests.contract.conftest import MakeUser
from tests.contract.flows import Proxy

pytestmark = pytest.mark.contract

OWNED = "/api/files/me/owned"
MEMBERS = {"files", "total", "page", "size", "next_page", "next_cursor"}
NAMES = [
    "b/two.txt",
    "a/one.txt",
    "b/Three.TXT",
    "c.bin",
    "a/100%_sure.txt",
    "Zeta",
    "\u00e4pfel",
    "b/two.txt",
]
SORTS = {
    "created_at": lambda index: index,
    "-created_at": lambda index: -index,
    "name": lambda index: (NAMES[index], index),
    "size": lambda index: index,
    "-size": lambda index: -index,
}


@pytest.fixture(scope="module")
async def owner(make_user: MakeUser) -> Api:
    """A user with eight files of growing size."""
    api = await make_user()
    for size, name in enumerate(NAMES):
        await flows.run(Proxy(), api, b"x" * size, name)
    return api


async def listed(api: Api, **params: Any) -> dict[str, Any]:
    page: dict[str, Any] = await api.ok("GET", OWNED, params=params)
    assert set(page) == MEMBERS
    return page


async def test_an_empty_list(user: Api) -> None:
    assert await listed(user) == {
        "files": [],
        "total": 0,
        "page": 1,
        "size": 20,
        "next_page": None,
        "next_cursor": None,
    }


async def test_newest_first_by_default(owner: Api) -> None:
    page = await listed(owner)
    assert [file["size_bytes"] for file in page["files"]] == list(range(7, -1, -1))
    assert (page["total"], page["next_page"], page["next_cursor"]) == (8, None, None)


async def test_pages(owner: Api) -> None:
    sizes: list[int] = []
    number: int | None = 1
    while number is not None:
        page = await listed(owner, page=number, size=3)
        assert (page["page"], page["size"], page["total"]) == (number, 3, 8)
        sizes += [file["size_bytes"] for file in page["files"]]
        number = page["next_page"]
    assert sizes == list(range(7, -1, -1))
    assert (await listed(owner, page=4, size=3))["files"] == []


@pytest.mark.parametrize("sort", [*SORTS, "-name"])
@pytest.mark.parametrize("size", [1, 3, 8])
async def test_following_the_cursor_shows_each_file_once(owner: Api, sort: str, size: int) -> None:
    whole = [file["file_id"] for file in (await listed(owner, sort=sort))["files"]]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while len(seen) <= len(NAMES):
        page = await listed(owner, sort=sort, size=size, **cursor)
        seen += [file["file_id"] for file in page["files"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == whole
    assert len(set(seen)) == len(NAMES)


async def test_a_file_added_or_deleted_meanwhile_disturbs_no_cursor(make_user: MakeUser) -> None:
    api = await make_user()
    uploads = [await flows.run(Proxy(), api, b"x" * size, f"{size}") for size in range(1, 6)]
    first = await listed(api, size=2)
    await flows.run(Proxy(), api, b"new", "new")
    await api.ok("DELETE", f"/api/files/f/{uploads[2].uuid}", 204)
    rest = await listed(api, size=10, cursor=first["next_cursor"])
    assert [file["name"] for file in first["files"] + rest["files"]] == ["5", "4", "2", "1"]


@pytest.mark.parametrize("sort", SORTS)
async def test_sorting(owner: Api, sort: str) -> None:
    names = [file["name"] for file in (await listed(owner, sort=sort))["files"]]
    key: Any = SORTS[sort]
    assert names == [NAMES[index] for index in sorted(range(len(NAMES)), key=key)]


async def test_names_sort_by_code_point_in_both_directions(owner: Api) -> None:
    up = [file["name"] for file in (await listed(owner, sort="name"))["files"]]
    down = [file["name"] for file in (await listed(owner, sort="-name"))["files"]]
    assert up == sorted(NAMES)
    assert down == sorted(NAMES, reverse=True)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"name": "TWO"}, ["b/two.txt", "b/two.txt"]),
        ({"name": ".txt"}, ["a/100%_sure.txt", "a/one.txt", "b/Three.TXT", "b/two.txt", "b/two.txt"]),
        ({"name": "%"}, ["a/100%_sure.txt"]),
        ({"name": "_"}, ["a/100%_sure.txt"]),
        ({"name": "\u00c4PF"}, ["\u00e4pfel"]),
        ({"name": "nothing"}, []),
        ({"prefix": "b/"}, ["b/Three.TXT", "b/two.txt", "b/two.txt"]),
        ({"prefix": "b"}, ["b/Three.TXT", "b/two.txt", "b/two.txt"]),
        ({"prefix": "a/1"}, []),
        ({"prefix": "b /"}, []),
        ({"prefix": "b/", "name": "three"}, ["b/Three.TXT"]),
    ],
)
async def test_filters(owner: Api, filters: dict[str, str], names: list[str]) -> None:
    page = await listed(owner, sort="name", **filters)
    assert [file["name"] for file in page["files"]] == names
    assert page["total"] == len(names)
    if len(names) > 1:
        short = await listed(owner, sort="name", size=1, **filters)
        following = await listed(owner, sort="name", cursor=short["next_cursor"], **filters)
        assert [file["name"] for file in following["files"]] == names[1:]


@pytest.mark.parametrize(
    "params",
    [
        {"page": 0},
        {"page": 10_001},
        {"page": "1.0"},
        {"page": ""},
        {"size": 0},
        {"size": 101},
        {"size": "x"},
        {"sort": "colour"},
        {"sort": "--name"},
        {"sort": "Name"},
        {"name": ""},
        {"name": "x" * 256},
        {"cursor": "nonsense"},
        {"cursor": ""},
        {"source": "tape"},
        {"unknown": "1"},
    ],
)
@pytest.mark.parametrize("path", [OWNED, "/api/files/me/shared", "/api/files/me/shortcuts"])
async def test_refusals(owner: Api, path: str, params: dict[str, Any]) -> None:
    await owner.refused("GET", path, "invalid_query", params=params)


async def test_a_cursor_belongs_to_its_question(owner: Api) -> None:
    cursor = (await listed(owner, size=2, sort="name"))["next_cursor"]
    for other in (
        {"sort": "-name"},
        {"sort": "size"},
        {"sort": "name", "name": "two"},
        {"sort": "name", "page": 1},
    ):
        await owner.refused("GET", OWNED, "invalid_query", params={"cursor": cursor, **other})


@pytest.mark.parametrize("path", ["/api/files/me/shared", "/api/files/me/shortcuts"])
async def test_nothing_is_shared_yet(owner: Api, path: str) -> None:
    page = await owner.ok("GET", path)
    assert (page["files"], page["total"]) == ([], 0)


async def test_the_store_as_source(owner: Api) -> None:
    page = await listed(owner, source="s3", size=3)
    assert (page["total"], page["next_page"]) == (None, None)
    more = await listed(owner, source="s3", cursor=page["next_cursor"])
    files = page["files"] + more["files"]
    assert {file["file_id"] for file in files} == {file["file_id"] for file in (await listed(owner))["files"]}
    for file in files:
        assert (file["name"], file["mime_type"]) == (file["file_id"], "application/octet-stream")
        assert (file["is_public"], file["checksum"]) == (False, None)
    await owner.refused("GET", OWNED, "invalid_query", params={"source": "s3", "sort": "name"})
    await owner.refused("GET", OWNED, "invalid_query", params={"source": "s3", "page": 1})


async def test_lists_need_a_token(anyone: Api) -> None:
    for path in (OWNED, "/api/files/me/shared", "/api/files/me/shortcuts"):
        await anyone.refused("GET", path, "authentication_required")
