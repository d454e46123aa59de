"""GoVault's own clients, unchanged: its k6 script at its peaks, and what its pages do.

The script's shape keeps its proportions; only its minutes are shortened. The pages (a React client) come
from another origin, send JSON as browsers do, and send no token where they read or download one file.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from loadtests.harness.load import QUIET, SCRIPTS
from loadtests.harness.testbeds.system import find_k6
from tests.contract import flows
from tests.contract.api import Answer, Api
from tests.contract.conftest import PASSWORD, MakeUser
from tests.stack import System

pytestmark = pytest.mark.contract

SHORTENED = 0.02
USERS = 20  # VUs share them, as GoVault's do when there are more VUs than users
CHECKS = {"proxy": 5, "multipart": 7}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("method", ["proxy", "multipart"])
@pytest.mark.parametrize("peak_vus", [20, 100, 200])
async def test_every_check_passes(system: System, tmp_path: Path, method: str, peak_vus: int) -> None:
    summary = tmp_path / "summary.json"
    # Its users' names never change: at the first test they sign up, later they only log in.
    variables = QUIET | {
        "PATH": os.environ["PATH"],
        "GATEWAY_URL": system.gateway,
        "UPLOAD_METHOD": method,
        "SCALE": str(peak_vus / 1000),
        "TIME": str(SHORTENED),
        "USERS": str(USERS),
        "SUMMARY": str(summary),
    }
    script = SCRIPTS / "govault" / "client.js"
    process = await asyncio.create_subprocess_exec(
        find_k6(os.environ), "run", "--quiet", "--no-color", "--address", "", script, env=variables,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-2000:]
    found = json.loads(summary.read_text())
    checks = {one["name"]: one for one in found["root_group"]["checks"]}
    failed = {
        name: one["fails"] for name, one in checks.items() if one["fails"] and name != "signup status is 200"
    }
    iterations = found["metrics"]["iterations"]["values"]["count"]
    assert failed == {}
    assert found["metrics"]["vus_max"]["values"]["max"] == peak_vus
    assert iterations >= peak_vus
    passed = sum(one["passes"] for name, one in checks.items() if name != "signup status is 200")
    assert passed == iterations * CHECKS[method]


ORIGIN = "http://localhost:3000"
SLICE_BYTES = 5 << 20
FILES = "/api/files"


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages in the browser of one user; every answer must be readable from their origin."""

    api: Api

    async def send(
        self, method: str, path: str, status: int, json: object = None, *, token: bool = True
    ) -> Answer:
        api = self.api if token else self.api.with_token(None)
        answer = await api.call(method, path, json=json, headers={"Origin": ORIGIN})
        assert answer.status == status, (answer.status, answer.body)
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        return answer

    async def upload(self, name: str, data: bytes) -> str:
        """In slices of 5 MiB, as many as the session says; then the file is in the list."""
        body = {"file_name": name, "file_size_bytes": len(data)}
        facts = (await self.send("POST", "/api/upload/proxy/session", 200, body)).json
        upload = flows.Upload(self.api, facts["upload_uuid"], data, facts)
        for index in range(facts["total_chunks"]):
            part = data[index * SLICE_BYTES : (index + 1) * SLICE_BYTES]
            answer = await flows.Proxy().chunk(upload, index, part, Origin=ORIGIN)
            assert answer.status == 200, answer.body
        return next(str(file["file_id"]) for file in await self.listed("owned") if file["name"] == name)

    async def listed(self, which: str) -> list[dict[str, Any]]:
        files: list[dict[str, Any]] = (await self.send("GET", f"{FILES}/me/{which}", 200)).json["files"]
        return files


@pytest.fixture
async def alice(make_user: MakeUser) -> Pages:
    return Pages(await make_user())


@pytest.fixture
async def bob(make_user: MakeUser) -> Pages:
    return Pages(await make_user())


async def test_pages_sign_up_and_log_in(anyone: Api) -> None:
    pages = Pages(replace(anyone, token="stale"))  # a token of yesterday does not get in the way
    body = {"username": "react", "email": "react@contract.example", "password": PASSWORD}
    assert (await pages.send("POST", "/auth/signup", 200, body)).json["token"]
    assert (await pages.send("POST", "/auth/login", 200, body)).json["username"] == "react"
    refused = await pages.send("POST", "/auth/login", 400, {**body, "password": "another one"})
    assert "not found" not in refused.json["message"]


async def test_pages_share_a_file(alice: Pages, bob: Pages, make_user: MakeUser) -> None:
    carol = Pages(await make_user())
    file_id = await alice.upload("minutes.txt", flows.payload(SLICE_BYTES + 1))
    path = f"{FILES}/f/{file_id}"
    assert (await alice.send("GET", f"{path}/shares", 200)).json == []
    recipients = [
        {"email": bob.api.email, "permission": "viewer"},
        {"email": carol.api.email, "permission": "editor"},
    ]
    await alice.send("POST", f"{path}/shares", 201, {"recipients": recipients})
    shares = (await alice.send("GET", f"{path}/shares", 200)).json
    assert [(one["email"], one["permission"]) for one in shares] == [
        (one["email"], one["permission"]) for one in recipients
    ]
    assert [file["file_id"] for file in await bob.listed("shared")] == [file_id]
    await carol.send("PATCH", path, 204, {"name": "protocol.txt"})
    assert [file["name"] for file in await bob.listed("shared")] == ["protocol.txt"]
    share = f"{path}/shares/{shares[0]['user_id']}"
    await alice.send("PATCH", share, 204, {"permission": "editor"})
    await alice.send("DELETE", share, 204)
    assert await bob.listed("shared") == []
    unknown = {"recipients": [{"email": "nobody@contract.example", "permission": "viewer"}]}
    refused = await alice.send("POST", f"{path}/shares", 404, unknown)
    assert refused.json["message"]  # shown to people as it is


async def test_pages_publish_a_file(alice: Pages, bob: Pages) -> None:
    data = flows.payload(70_000)
    path = f"{FILES}/f/{await alice.upload('photo.png', data)}"
    await alice.send("GET", path, 404, token=False)  # private: without a token even the owner sees nothing
    url = URL((await alice.send("POST", f"{path}/public", 201)).json["public_url"])
    assert (await bob.send("GET", url.path_qs, 200, token=False)).body == data
    assert (await bob.send("GET", path, 200, token=False)).json["is_public"] is True
    facts = (await bob.send("GET", f"{path}/download", 200, token=False)).json
    async with bob.api.session.get(facts["download_url"], headers={"Origin": ORIGIN}) as answer:
        assert (answer.status, await answer.read()) == (200, data)
    await bob.send("POST", f"{path}/shortcut", 201)
    assert [file["name"] for file in await bob.listed("shortcuts")] == ["photo.png"]
    await bob.send("DELETE", f"{path}/shortcut", 204)
    assert await bob.listed("shortcuts") == []
    await alice.send("DELETE", f"{path}/public", 204)
    await bob.send("GET", path, 404, token=False)


async def test_pages_rename_copy_and_delete_a_file(alice: Pages) -> None:
    data = flows.payload(1_000)
    file_id = await alice.upload("draft.txt", data)
    path = f"{FILES}/f/{file_id}"
    await alice.send("PATCH", path, 204, {"name": "final.txt"})
    copied = (await alice.send("POST", f"{path}/copy", 201)).json
    assert [file["name"] for file in await alice.listed("owned")] == ["final.txt", "final.txt"]
    await alice.send("DELETE", path, 204)
    assert [file["file_id"] for file in await alice.listed("owned")] == [copied["file_id"]]
    assert await flows.content(alice.api, copied["file_id"]) == data
    await alice.send("GET", path, 404)


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "POST"])
async def test_pages_may_ask_first(anyone: Api, method: str) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,upload-uuid,checksum",
    }
    answer = await anyone.call("OPTIONS", f"{FILES}/f/x/shares", headers=asked)
    assert answer.status == 204
    assert method in answer.headers["Access-Control-Allow-Methods"]
    for name in ("Authorization", "Content-Type", "Upload-UUID", "Checksum"):
        assert name in answer.headers["Access-Control-Allow-Headers"]
