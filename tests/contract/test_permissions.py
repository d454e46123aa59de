"""Who may do what with a file that is public or shared; the rows are made here, their routes come later."""

from __future__ import annotations

from uuid import UUID

import asyncpg
import pytest

from tests.contract import flows
from tests.contract.api import Api
from tests.contract.flows import Proxy
from tests.stack import System

pytestmark = pytest.mark.contract

PUBLIC = "INSERT INTO public_files (file_uuid) VALUES ($1)"
SHARE = (
    "INSERT INTO file_shares (file_uuid, shared_with_user_id, shared_with_email, permission)"
    " VALUES ($1, $2, $3, $4)"
)


class Shared:
    """A file of ``user`` and ways to open it to others."""

    def __init__(self, system: System, uuid: str) -> None:
        self._url, self.uuid = system.database_url("files"), UUID(uuid)
        self.path = f"/api/files/f/{uuid}"

    async def insert(self, statement: str, *values: object) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(statement, self.uuid, *values)
        finally:
            await connection.close()


@pytest.fixture
async def file(system: System, user: Api) -> Shared:
    return Shared(system, (await flows.run(Proxy(), user, b"shared bytes")).uuid)


async def may_read(reader: Api, path: str, permission: str) -> None:
    assert (await reader.ok("GET", path))["permission"] == permission
    assert (await reader.ok("GET", f"{path}/download"))["download_url"]
    answer = await reader.get(f"{path}/download", params={"delivery": "proxied"})
    assert answer.body == b"shared bytes"


async def test_public(user: Api, stranger: Api, anyone: Api, file: Shared) -> None:
    await file.insert(PUBLIC)
    for reader in (stranger, anyone):
        await may_read(reader, file.path, "public")
        assert (await reader.ok("GET", file.path))["is_public"] is True
    await may_read(user, file.path, "owner")
    await stranger.refused("PATCH", file.path, "forbidden", json={"name": "x"})
    await stranger.refused("DELETE", file.path, "forbidden")
    await anyone.refused("PATCH", file.path, "authentication_required", json={"name": "x"})
    await anyone.refused("DELETE", file.path, "authentication_required")


async def test_viewer(stranger: Api, anyone: Api, file: Shared) -> None:
    await file.insert(SHARE, stranger.user_id, stranger.email, "viewer")
    await may_read(stranger, file.path, "viewer")
    await stranger.refused("PATCH", file.path, "forbidden", json={"name": "x"})
    await stranger.refused("DELETE", file.path, "forbidden")
    await anyone.refused("GET", file.path, "file_not_found")
    shared = await stranger.ok("GET", "/api/files/me/shared")
    assert str(file.uuid) in {entry["file_id"] for entry in shared["files"]}


async def test_editor(user: Api, stranger: Api, file: Shared) -> None:
    await file.insert(SHARE, stranger.user_id, stranger.email, "editor")
    await may_read(stranger, file.path, "editor")
    await stranger.ok("PATCH", file.path, 204, json={"name": "by the editor.bin"})
    assert (await user.ok("GET", file.path))["name"] == "by the editor.bin"
    await stranger.refused("DELETE", file.path, "forbidden")


async def test_deleting_ends_every_share(user: Api, stranger: Api, anyone: Api, file: Shared) -> None:
    await file.insert(PUBLIC)
    await file.insert(SHARE, stranger.user_id, stranger.email, "editor")
    await user.ok("DELETE", file.path, 204)
    for reader in (stranger, anyone):
        await reader.refused("GET", file.path, "file_not_found")
    shared = await stranger.ok("GET", "/api/files/me/shared")
    assert str(file.uuid) not in {entry["file_id"] for entry in shared["files"]}
