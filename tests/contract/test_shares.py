"""Shares, public links and shortcuts: what is sent, what comes back, what is refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.contract import flows
from tests.contract.api import TIME, Api
from tests.contract.conftest import MakeUser
from tests.contract.flows import Proxy
from tests.stack import System

pytestmark = pytest.mark.contract
SHARE = {"user_id", "email", "permission", "created_at"}
CONTENT = b"some bytes"


def to(*recipients: tuple[str, str]) -> dict[str, Any]:
    return {"recipients": [{"email": email, "permission": permission} for email, permission in recipients]}


@pytest.fixture
async def path(user: Api) -> str:
    """A file of ``user``."""
    return f"/api/files/f/{(await flows.run(Proxy(), user, CONTENT)).uuid}"


@pytest.fixture(scope="module")
async def friends(make_user: MakeUser) -> list[Api]:
    return [await make_user() for _ in range(5)]


class TestAdding:
    async def test_several_at_once(self, user: Api, path: str, friends: list[Api]) -> None:
        asked = to(*((friend.email, "viewer") for friend in friends))
        answer = await user.ok("POST", f"{path}/shares", 201, json=asked)
        assert set(answer) == {"shares"}
        for share, friend in zip(answer["shares"], friends, strict=True):
            assert set(share) == SHARE
            assert (share["user_id"], share["email"]) == (str(friend.user_id), friend.email)
            assert share["permission"] == "viewer"
            assert TIME.fullmatch(share["created_at"])
            listed = await friend.ok("GET", "/api/files/me/shared")
            assert listed["files"][0]["file_id"] == path[-36:]
            assert listed["files"][0]["permission"] == "viewer"
        assert await user.ok("GET", f"{path}/shares/") == answer["shares"]

    async def test_emails_are_taken_as_accounts_keep_them(
        self, user: Api, path: str, friends: list[Api]
    ) -> None:
        asked = to((f" {friends[0].email.upper()}\n", "editor"))
        (share,) = (await user.ok("POST", f"{path}/shares", 201, json=asked))["shares"]
        assert share["email"] == friends[0].email

    async def test_again_changes_nothing(self, user: Api, path: str, friends: list[Api]) -> None:
        first = await user.ok("POST", f"{path}/shares", 201, json=to((friends[0].email, "viewer")))
        again = to((friends[1].email, "editor"), (friends[0].email, "viewer"))
        second = (await user.ok("POST", f"{path}/shares", 201, json=again))["shares"]
        assert second[1:] == first["shares"]
        assert [share["email"] for share in await user.ok("GET", f"{path}/shares")] == [
            friends[0].email,
            friends[1].email,
        ]

    async def test_another_permission_is_a_conflict(self, user: Api, path: str, friends: list[Api]) -> None:
        await user.ok("POST", f"{path}/shares", 201, json=to((friends[0].email, "viewer")))
        asked = to((friends[1].email, "viewer"), (friends[0].email, "editor"))
        answer = await user.refused("POST", f"{path}/shares", "already_shared", json=asked)
        assert (answer.status, answer.json["details"]) == (409, {"emails": [friends[0].email]})
        assert len(await user.ok("GET", f"{path}/shares")) == 1

    async def test_nobody_of_that_email(self, user: Api, path: str, friends: list[Api]) -> None:
        asked = to((friends[0].email, "viewer"), ("Nobody@contract.example", "viewer"), ("x", "viewer"))
        answer = await user.refused("POST", f"{path}/shares", "recipient_not_found", json=asked)
        assert answer.status == 404
        assert answer.json["details"] == {"emails": ["nobody@contract.example", "x"]}
        assert await user.ok("GET", f"{path}/shares") == []

    async def test_oneself(self, user: Api, path: str, friends: list[Api]) -> None:
        asked = to((friends[0].email, "viewer"), (user.email, "editor"))
        await user.refused("POST", f"{path}/shares", "invalid_recipients", json=asked)
        assert await user.ok("GET", f"{path}/shares") == []

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "missing_field"),
            ({"recipients": []}, "missing_field"),
            ({"recipients": None}, "missing_field"),
            ({"recipients": "a@b"}, "invalid_field"),
            ({"recipients": ["a@b"]}, "invalid_field"),
            ({"recipients": [{"permission": "viewer"}]}, "missing_field"),
            ({"recipients": [{"email": " ", "permission": "viewer"}]}, "missing_field"),
            ({"recipients": [{"email": 5, "permission": "viewer"}]}, "invalid_field"),
            ({"recipients": [{"email": "a" * 255, "permission": "viewer"}]}, "invalid_field"),
            ({"recipients": [{"email": "a@b"}]}, "missing_field"),
            ({"recipients": [{"email": "a@b", "permission": "owner"}]}, "invalid_recipients"),
            ({"recipients": [{"email": "a@b", "permission": "Viewer"}]}, "invalid_recipients"),
            ({"recipients": [{"email": "a@b", "permission": "viewer", "x": 1}]}, "unknown_field"),
            ({"recipients": [{"email": "a@b", "permission": "viewer"}], "x": 1}, "unknown_field"),
            (to(*((f"{n}@b", "viewer") for n in range(6))), "invalid_recipients"),
            (to(("a@b", "viewer"), (" A@B", "editor")), "invalid_recipients"),
            (b"[]", "invalid_json"),
            (b"", "invalid_json"),
            (b'{"recipients":[' + b" " * 70_000 + b"]}", "body_too_large"),
        ],
    )
    async def test_refusals(self, user: Api, path: str, body: Any, code: str) -> None:
        await user.refused("POST", f"{path}/shares", code, json=body)

    async def test_a_hundred_and_no_more(
        self, user: Api, path: str, friends: list[Api], system: System
    ) -> None:
        connection = await asyncpg.connect(system.database_url("files"))
        await connection.execute(
            """INSERT INTO file_shares SELECT $1, gen_random_uuid(), n || '@b', 'viewer'
            FROM generate_series(1, 98) n""",
            UUID(path[-36:]),
        )
        await connection.close()
        three = to(*((friend.email, "viewer") for friend in friends[:3]))
        await user.refused("POST", f"{path}/shares", "share_limit", json=three)
        await user.ok("POST", f"{path}/shares", 201, json={"recipients": three["recipients"][:2]})
        one = to((friends[3].email, "viewer"))
        answer = await user.refused("POST", f"{path}/shares", "share_limit", json=one)
        assert answer.status == 409
        assert len(await user.ok("GET", f"{path}/shares")) == 100


class TestChanging:
    async def test_another_permission(self, user: Api, path: str, friends: list[Api]) -> None:
        friend = friends[0]
        await user.ok("POST", f"{path}/shares", 201, json=to((friend.email, "viewer")))
        await friend.refused("PATCH", path, "forbidden", json={"name": "x"})
        share = f"{path}/shares/{str(friend.user_id).upper()}"
        assert await user.ok("PATCH", share, 204, json={"permission": "editor"}) is None
        await friend.ok("PATCH", path, 204, json={"name": "x"})
        assert (await user.ok("GET", f"{path}/shares"))[0]["permission"] == "editor"

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "missing_field"),
            ({"permission": ""}, "missing_field"),
            ({"permission": "owner"}, "invalid_field"),
            ({"permission": 5}, "invalid_field"),
            ({"permission": "viewer", "x": 1}, "unknown_field"),
            (b"5", "invalid_json"),
        ],
    )
    async def test_refusals(self, user: Api, path: str, body: Any, code: str) -> None:
        await user.refused("PATCH", f"{path}/shares/{uuid4()}", code, json=body)

    async def test_no_such_share(self, user: Api, path: str) -> None:
        body = {"permission": "viewer"}
        await user.refused("PATCH", f"{path}/shares/{uuid4()}", "share_not_found", json=body)
        await user.refused("PATCH", f"{path}/shares/nope", "invalid_uuid", json=body)


class TestRemoving:
    async def test_it_ends_at_once_and_may_be_repeated(
        self, user: Api, path: str, friends: list[Api]
    ) -> None:
        friend = friends[0]
        await user.ok("POST", f"{path}/shares", 201, json=to((friend.email, "viewer")))
        for _ in range(2):
            assert await user.ok("DELETE", f"{path}/shares/{friend.user_id}", 204) is None
        await friend.refused("GET", path, "file_not_found")
        assert await user.ok("GET", f"{path}/shares") == []
        await user.refused("DELETE", f"{path}/shares/nope", "invalid_uuid")

    async def test_whom_it_is_shared_with_may_leave(self, user: Api, path: str, friends: list[Api]) -> None:
        friend = friends[0]
        await user.ok("POST", f"{path}/shares", 201, json=to((friend.email, "editor")))
        await friend.ok("DELETE", f"{path}/shares/{friend.user_id}", 204)
        await friend.refused("DELETE", f"{path}/shares/{friend.user_id}", "file_not_found")


class TestPublic:
    async def test_anybody_reads_it_by_the_url(
        self, user: Api, path: str, anyone: Api, system: System
    ) -> None:
        first = await user.ok("POST", f"{path}/public", 201)
        assert await user.ok("POST", f"{path}/public", 201) == first
        assert set(first) == {"public_url"}
        url = urlsplit(first["public_url"])
        assert url.netloc == urlsplit(system.gateway).netloc
        answer = await anyone.get(f"{url.path}?{url.query}")
        assert (answer.status, answer.body) == (200, CONTENT)
        assert (await user.ok("GET", path))["is_public"] is True
        for _ in range(2):
            assert await user.ok("DELETE", f"{path}/public", 204) is None
        await anyone.refused("GET", path, "file_not_found")
        assert (await user.ok("GET", path))["is_public"] is False

    async def test_a_body_does_not_matter(self, user: Api, path: str) -> None:
        await user.ok("POST", f"{path}/public", 201, json=b"not json")
        await user.ok("POST", f"{path}/shortcut", 201, json={"unknown": 1})


class TestShortcut:
    async def test_it_is_kept_once(self, user: Api, path: str, stranger: Api) -> None:
        await user.ok("POST", f"{path}/public", 201)
        first = await stranger.ok("POST", f"{path}/shortcut", 201)
        assert set(first) == {"shortcut_id", "file_id", "created_at"}
        assert first["file_id"] == path[-36:]
        assert first["shortcut_id"].isdecimal()
        assert TIME.fullmatch(first["created_at"])
        assert await stranger.ok("POST", f"{path}/shortcut", 201) == first
        listed = (await stranger.ok("GET", "/api/files/me/shortcuts"))["files"]
        assert [file["file_id"] for file in listed] == [path[-36:]]
        assert listed[0]["permission"] == "public"
        await user.ok("DELETE", f"{path}/public", 204)  # it is kept, and shows nothing hidden
        assert (await stranger.ok("GET", "/api/files/me/shortcuts"))["files"] == []
        await stranger.ok("DELETE", f"{path}/shortcut", 204)
        await stranger.refused("DELETE", f"{path}/shortcut", "file_not_found")

    async def test_removing_one_that_is_not_there(self, user: Api, path: str) -> None:
        await user.ok("DELETE", f"{path}/shortcut", 204)
