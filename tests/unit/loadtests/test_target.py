"""Another implementation of the contract over HTTP: paged lists, missing uploads, answers that are none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtests.harness.clean import ContractCleaner
from loadtests.harness.clients.users import Identity
from loadtests.harness.k6.console import Lines
from loadtests.harness.ledger.audit import Piece
from loadtests.harness.ledger.by_contract import ContractAuditor
from loadtests.harness.ledger.evidence import Baseline
from loadtests.harness.records.vocabulary import EMAIL_DOMAIN
from loadtests.harness.testbeds.target import Downloaded, Status, Target, TargetFailed
from tests.unit.loadtests import ledger_world as world

pytestmark = pytest.mark.unit

USER = Identity(str(world.USER), f"one@{EMAIL_DOMAIN}", "", "secret")


@dataclass(slots=True)
class Peer:
    """A small implementation: files of one user by id, and what was asked of it."""

    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    cursors: bool = True
    broken: int = 0  # status of every answer, if it is one

    def add(self, ref: str, content: bytes) -> str:
        file_id = str(world.upload_id(ref))
        self.files[file_id] = (f"{ref}.bin", content)
        self.states[file_id] = "completed"
        return file_id

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._admit])
        app.router.add_get("/api/files/me/owned", self._owned)
        app.router.add_get("/api/files/f/{id}/download", self._download)
        app.router.add_delete("/api/files/f/{id}", self._delete)
        app.router.add_get("/api/upload/status", self._status)
        app.router.add_get("/api/upload/sessions", self._sessions)
        app.router.add_delete("/api/upload/session/{id}", self._abort)
        return app

    @web.middleware
    async def _admit(self, request: web.Request, handler: Any) -> web.StreamResponse:
        assert request.headers["Authorization"] == f"Bearer {USER.token}"
        if self.broken:
            return web.Response(status=self.broken, text="no")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _owned(self, request: web.Request) -> web.Response:
        first = int(request.query.get("cursor") or 100 * (int(request.query.get("page", 1)) - 1))
        page = list(self.files.items())[first : first + 100]
        more = first + 100 < len(self.files)
        following = {"next_cursor": str(first + 100)} if self.cursors else {"next_page": first // 100 + 2}
        files = [
            {"file_id": key, "owner_id": USER.user_id, "name": name, "size_bytes": len(content)}
            for key, (name, content) in page
        ]
        return web.json_response({"files": files, **(following if more else {})})

    async def _download(self, request: web.Request) -> web.Response:
        found = self.files.get(request.match_info["id"])
        return web.Response(body=found[1]) if found else web.Response(status=404)

    async def _delete(self, request: web.Request) -> web.Response:
        self.files.pop(request.match_info["id"])
        return web.Response(status=204)

    async def _status(self, request: web.Request) -> web.Response:
        state = self.states.get(request.query["upload_uuid"])
        if state is None:
            return web.Response(status=404)
        file_id = request.query["upload_uuid"] if state == "completed" else None
        return web.json_response({"status": state, "file_id": file_id})

    async def _sessions(self, _: web.Request) -> web.Response:
        known = [key for key, state in self.states.items() if state == "uploading"]
        return web.json_response({"sessions": [{"upload_uuid": key} for key in known], "next_page": None})

    async def _abort(self, request: web.Request) -> web.Response:
        self.states[request.match_info["id"]] = "aborted"
        return web.Response(status=204)


@dataclass(slots=True)
class Played:
    peer: Peer
    target: Target


@pytest.fixture
async def played() -> AsyncIterator[Played]:
    peer = Peer()
    async with TestServer(peer.app()) as server, aiohttp.ClientSession() as http:
        yield Played(peer, Target(http, str(server.make_url("")).rstrip("/")))


@pytest.mark.parametrize("cursors", [True, False])
async def test_a_list_is_read_to_its_end(played: Played, cursors: bool) -> None:
    played.peer.cursors = cursors
    for number in range(230):
        played.peer.add(f"r{number}", b"x")
    listed = await played.target.files(USER)
    assert [file.name for file in listed] == [f"r{number}.bin" for number in range(230)]
    assert (listed[0].size_bytes, listed[0].checksum) == (1, None)


async def test_an_upload_that_is_not_known_has_no_status(played: Played) -> None:
    file_id = played.peer.add("a", b"content")
    assert await played.target.status(USER, file_id) == Status(
        "completed", file_id, ("completed", None, None)
    )
    assert await played.target.status(USER, str(UUID(int=9))) is None
    found = await played.target.download(USER, file_id)
    assert found == Downloaded(200, 7, sha256(b"content").hexdigest())


async def test_an_answer_that_is_none_is_told_with_its_request(played: Played) -> None:
    played.peer.broken = 503
    with pytest.raises(TargetFailed, match=r"GET .*/api/files/me/owned: answered 503: no"):
        await played.target.files(USER)
    with pytest.raises(TargetFailed, match=r"DELETE .*: answered 503"):
        await played.target.delete_file(USER, "x")


async def test_an_entry_that_is_not_as_in_the_contract_is_told(played: Played) -> None:
    played.peer.files["not-a-uuid"] = ("a.bin", b"")
    with pytest.raises(TargetFailed, match="not as in the contract"):
        await played.target.files(USER)


async def test_audit_and_cleaning(played: Played) -> None:
    """One verified, one of which the bytes are others, one lost, one stuck, and a file that nobody meant."""
    peer, lines = played.peer, Lines()
    right = [ref.encode() for ref in ("a", "b", "lost", "stuck")]
    for content in right:
        ref = content.decode()
        meant = world.intent(ref).model_copy(update={"size_bytes": len(content)})
        lines.intents.append(meant.model_copy(update={"sha256": sha256(content).hexdigest()}))
        lines.outcomes.append(world.outcome(ref, acked=ref != "stuck"))
    peer.add("a", b"a")
    peer.add("b", b"c")
    peer.states[str(world.upload_id("stuck"))] = "uploading"
    peer.add("nobody's", b"x")
    auditor = ContractAuditor(played.target, lambda: [USER], abandoned_quiet_s=0.0)
    piece = Piece(audit=3, stack="", stretches=("s001",), seed=1)
    table = (await auditor.audit(piece, lines, baseline=Baseline())).table
    found = {name: count for name, count in table.classes.items() if count}
    assert found == {"verified": 1, "G-03": 1, "G-02": 1, "G-06": 1}
    assert (table.flags["G-11"], table.hashed, table.audit) == (1, 2, 3)
    removed = (await ContractCleaner(played.target, lambda: [USER]).clean()).removed
    assert (removed["files"], removed["sessions"], peer.files) == (3, 1, {})
