"""What the processes write while they work: one line per request, and nothing that must stay secret."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

import pytest

from tests.contract import flows
from tests.contract.api import Api
from tests.contract.conftest import PASSWORD
from tests.contract.flows import Multipart, Proxy, Single
from tests.stack import PYTHON_PARTS, System

pytestmark = pytest.mark.contract

MEMBERS = {
    "time",
    "level",
    "service",
    "instance",
    "event",
    "request_id",
    "method",
    "route",
    "status",
    "error",
    "duration_ms",
    "bytes_in",
    "bytes_out",
    "user_id",
    "upload_uuid",
    "statements",
    "sql_ms",
    "store_requests",
    "store_ms",
    "upstream_ms",
}


def logs(system: System) -> dict[str, str]:
    folder = system.stack.run_dir / "logs"
    return {part: (folder / f"{part}.log").read_text(encoding="utf-8") for part in PYTHON_PARTS}


async def test_one_line_in_each_process_that_took_part(user: Api, system: System) -> None:
    request_id = str(uuid4())
    await user.refused(
        "GET", f"/api/files/f/{uuid4()}", "file_not_found", headers={"X-Request-Id": request_id}
    )
    async with asyncio.timeout(30):
        while any(logs(system)[part].count(request_id) == 0 for part in ("gateway", "files")):
            await asyncio.sleep(0.05)
    for part, template in (("gateway", "/api/files/f/{file_id}"), ("files", "/f/{file_id}")):
        (line,) = [json.loads(line) for line in logs(system)[part].splitlines() if request_id in line]
        assert set(line) == MEMBERS
        assert (line["service"], line["event"], line["route"]) == (part, "request", template)
        assert (line["method"], line["status"], line["error"]) == ("GET", 404, "file_not_found")
        assert line["user_id"] == str(user.user_id)
    assert request_id not in logs(system)["upload"]


async def test_nothing_secret_is_written(user: Api, system: System) -> None:
    name = f"confidential-{uuid4()}.pdf"
    for strategy in (Proxy(), Multipart(), Single()):
        upload = await flows.run(strategy, user, b"private words in a body", name)
        facts = await user.ok("GET", f"/api/files/f/{upload.uuid}/download")
        async with user.session.get(facts["download_url"]) as answer:
            assert answer.status == 200
    await user.post("/auth/login", json={"email": user.email, "password": PASSWORD})
    await user.post("/auth/login", json={"email": user.email, "password": "a wrong secret"})
    await user.refused("GET", "/api/files/me/owned", "invalid_query", params={"page": 0, "name": name})
    marker = str(uuid4())
    await user.get("/api/files/me/owned", headers={"X-Request-Id": marker})
    async with asyncio.timeout(30):
        while marker not in logs(system)["gateway"]:
            await asyncio.sleep(0.05)
    env = system.stack.env
    secrets = [
        value for key, value in env.items() if key.endswith(("_SECRET", "_PASSWORD", "_SECRET_KEY")) and value
    ]
    secrets += [value for key, value in env.items() if key.startswith("INTERNAL_KEY_")]
    hidden = [name, user.email, user.token or "", PASSWORD, "a wrong secret", "private words", "X-Amz-"]
    for part, text in logs(system).items():
        assert [word for word in [*hidden, *secrets] if word in text] == [], part


async def test_ping_writes_no_line(anyone: Api, system: System) -> None:
    for prefix in ("", "/auth", "/api/upload", "/api/files"):
        assert (await anyone.get(f"{prefix}/ping")).status == 200
    marker = str(uuid4())
    for prefix in ("", "/auth", "/api/upload", "/api/files"):
        await anyone.get(f"{prefix}/live", headers={"X-Request-Id": marker})
    async with asyncio.timeout(30):
        while not all(marker in text for text in logs(system).values()):
            await asyncio.sleep(0.05)
    for text in logs(system).values():
        assert "/ping" not in text
