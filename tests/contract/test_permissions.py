"""Who may do what: every operation on a file by everybody who can stand in some relation to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.contract import flows
from tests.contract.api import Api
from tests.contract.conftest import MakeUser
from tests.contract.flows import Proxy

pytestmark = pytest.mark.contract
CONTENT = b"shared bytes"
ROLES = ("owner", "editor", "viewer", "public", "anonymous", "hidden", "hidden anonymous")
FORBIDDEN, HIDDEN, LOGIN = "forbidden", "file_not_found", "authentication_required"


@dataclass(frozen=True, slots=True)
class Operation:
    """One request, and what it answers in each of the roles: a status or an error code.

    ``path`` may hold ``{other}``, a user whom the file is shared with, and ``{self}``.
    """

    method: str
    path: str
    answers: tuple[int | str, ...]
    json: Any = None


def allowed(status: int, *roles: str, others: str = FORBIDDEN, login: bool = True) -> tuple[int | str, ...]:
    """``status`` for these roles; the rest may not."""
    anonymous: str = LOGIN if login else HIDDEN
    refusals = {"anonymous": LOGIN, "hidden": HIDDEN, "hidden anonymous": anonymous}
    return tuple(status if role in roles else refusals.get(role, others) for role in ROLES)


READERS = ("owner", "editor", "viewer", "public")
RECIPIENT = {"recipients": [{"email": "{friend}", "permission": "viewer"}]}
OPERATIONS: Mapping[str, Operation] = {
    "summary": Operation("GET", "", allowed(200, *READERS, "anonymous", login=False)),
    "link": Operation("GET", "/download", allowed(200, *READERS, "anonymous", login=False)),
    "download": Operation(
        "GET", "/download?delivery=proxied", allowed(200, *READERS, "anonymous", login=False)
    ),
    "copy": Operation("POST", "/copy", allowed(201, *READERS)),
    "add shortcut": Operation("POST", "/shortcut", allowed(201, *READERS)),
    "remove shortcut": Operation("DELETE", "/shortcut", allowed(204, *READERS)),
    "rename": Operation("PATCH", "", allowed(204, "owner", "editor"), {"name": "other.bin"}),
    "list shares": Operation("GET", "/shares", allowed(200, "owner")),
    "add share": Operation("POST", "/shares", allowed(201, "owner"), RECIPIENT),
    "change share": Operation("PATCH", "/shares/{other}", allowed(204, "owner"), {"permission": "viewer"}),
    "remove another's share": Operation("DELETE", "/shares/{other}", allowed(204, "owner")),
    "remove one's own share": Operation(
        "DELETE", "/shares/{self}", allowed(204, "owner", "editor", "viewer")
    ),
    "publish": Operation("POST", "/public", allowed(201, "owner")),
    "unpublish": Operation("DELETE", "/public", allowed(204, "owner")),
    "delete": Operation("DELETE", "", allowed(204, "owner")),
}


@dataclass(frozen=True, slots=True)
class People:
    """Who has some relation to the files of these tests; ``friend`` has none, and an account."""

    owner: Api
    editor: Api
    viewer: Api
    other: Api
    stranger: Api
    friend: Api
    anyone: Api

    def by_role(self, role: str) -> Api:
        known = {"owner": self.owner, "editor": self.editor, "viewer": self.viewer}
        return self.anyone if "anonymous" in role else known.get(role, self.stranger)


@pytest.fixture(scope="module")
async def people(make_user: MakeUser, anyone: Api) -> People:
    owner, editor, viewer, other, stranger, friend = [await make_user() for _ in range(6)]
    return People(owner, editor, viewer, other, stranger, friend, anyone)


async def shared_file(people: People, *, public: bool) -> str:
    """The path of a file that is shared with editor, viewer and somebody else."""
    path = f"/api/files/f/{(await flows.run(Proxy(), people.owner, CONTENT)).uuid}"
    recipients = [
        {"email": people.editor.email, "permission": "editor"},
        {"email": people.viewer.email, "permission": "viewer"},
        {"email": people.other.email, "permission": "editor"},
    ]
    await people.owner.ok("POST", f"{path}/shares", 201, json={"recipients": recipients})
    if public:
        await people.owner.ok("POST", f"{path}/public", 201)
    return path


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_cell(people: People, name: str, role: str) -> None:
    operation, caller = OPERATIONS[name], people.by_role(role)
    path = await shared_file(people, public=role in {"public", "anonymous"})
    asked = path + operation.path.format(self=caller.user_id or uuid4(), other=people.other.user_id)
    body = filled(operation.json, people.friend.email)
    before = await state(people, path)
    answer = await caller.call(operation.method, asked, json=body)
    wanted = operation.answers[ROLES.index(role)]
    assert (answer.status if isinstance(wanted, int) else answer.code) == wanted, answer.body
    if isinstance(wanted, str):  # what was refused did not happen either
        assert await state(people, path) == before


def filled(body: Any, email: str) -> Any:
    if body is not RECIPIENT:
        return body
    return {"recipients": [{"email": email, "permission": "viewer"}]}


async def state(people: People, path: str) -> tuple[str, bool, list[tuple[str, str]]]:
    """What an operation may change: name, public flag, shares."""
    summary = await people.owner.ok("GET", path)
    shares = await people.owner.ok("GET", f"{path}/shares")
    return (
        summary["name"],
        summary["is_public"],
        sorted((one["email"], one["permission"]) for one in shares),
    )


@pytest.mark.parametrize("name", OPERATIONS)
async def test_unknown_and_deleted_files_are_one(people: People, name: str) -> None:
    operation, owner = OPERATIONS[name], people.owner
    deleted = await shared_file(people, public=True)
    await owner.ok("DELETE", deleted, 204)
    for path in (deleted, f"/api/files/f/{uuid4()}"):
        asked = path + operation.path.format(self=owner.user_id, other=people.other.user_id)
        body = filled(operation.json, people.friend.email)
        await owner.refused(operation.method, asked, "file_not_found", json=body)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_ids_are_checked_first(people: People, name: str) -> None:
    operation = OPERATIONS[name]
    asked = "/api/files/f/nope" + operation.path.format(self=uuid4(), other=uuid4())
    body = filled(operation.json, people.friend.email)
    await people.owner.refused(operation.method, asked, "invalid_uuid", json=body)


@pytest.mark.parametrize(
    ("role", "permission"),
    [
        ("owner", "owner"),
        ("editor", "editor"),
        ("viewer", "viewer"),
        ("public", "public"),
        ("anonymous", "public"),
    ],
)
async def test_a_summary_says_what_one_is(people: People, role: str, permission: str) -> None:
    path, reader = await shared_file(people, public=True), people.by_role(role)
    summary = await reader.ok("GET", path)
    assert (summary["permission"], summary["is_public"]) == (permission, True)
    answer = await reader.get(f"{path}/download", params={"delivery": "proxied"})
    assert answer.body == CONTENT


async def test_deleting_ends_every_share(people: People) -> None:
    path = await shared_file(people, public=True)
    await people.viewer.ok("POST", f"{path}/shortcut", 201)
    await people.owner.ok("DELETE", path, 204)
    for reader in (people.editor, people.viewer, people.stranger, people.anyone):
        await reader.refused("GET", path, "file_not_found")
    for listed in ("shared", "shortcuts"):
        files = (await people.viewer.ok("GET", f"/api/files/me/{listed}"))["files"]
        assert path.rpartition("/")[2] not in {file["file_id"] for file in files}
