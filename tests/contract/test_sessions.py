"""Opening an upload, asking for it and listing one's own."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.contract import flows
from tests.contract.api import Api
from tests.contract.conftest import MakeUser
from tests.contract.flows import MIB, STATUS_MEMBERS, Multipart, Proxy, Single, Strategy, one_of_each, payload

pytestmark = pytest.mark.contract

BAD_SESSIONS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"file_name": None}, "missing_field", "file_name"),
    ({"file_name": ""}, "missing_field", "file_name"),
    ({"file_name": 5}, "invalid_field", "file_name"),
    ({"file_name": "a/../b"}, "invalid_file_name", None),
    ({"file_name": "/a"}, "invalid_file_name", None),
    ({"file_name": "a//b"}, "invalid_file_name", None),
    ({"file_name": "a\x07"}, "invalid_file_name", None),
    ({"file_name": "a\u202eb"}, "invalid_file_name", None),
    ({"file_name": "x" * 256}, "invalid_file_name", None),
    ({"file_size_bytes": None}, "missing_field", "file_size_bytes"),
    ({"file_size_bytes": "5"}, "invalid_field", "file_size_bytes"),
    ({"file_size_bytes": 5.0}, "invalid_field", "file_size_bytes"),
    ({"file_size_bytes": True}, "invalid_field", "file_size_bytes"),
    ({"file_size_bytes": -1}, "invalid_file_size", None),
    ({"file_size_bytes": 2**63}, "invalid_file_size", None),
    ({"file_size_bytes": 2**62}, "file_too_large", None),
    ({"colour": "red"}, "unknown_field", "colour"),
    ({"File_Name": "a"}, "unknown_field", "File_Name"),
]


@one_of_each
@pytest.mark.parametrize(("change", "code", "field"), BAD_SESSIONS)
async def test_session_refusals(
    user: Api, strategy: Strategy, change: dict[str, Any], code: str, field: str | None
) -> None:
    body = {**strategy.facts("a.bin", 10), **change}
    answer = await user.refused("POST", strategy.session, code, json=body)
    assert answer.json.get("details") == ({"field": field} if field else None)


@one_of_each
@pytest.mark.parametrize("body", [b"{", b"[]", b'{"file_name":"a","file_name":"b","file_size_bytes":1}'])
async def test_session_bodies_that_are_no_object(user: Api, strategy: Strategy, body: bytes) -> None:
    await user.refused("POST", strategy.session, "invalid_json", json=body)


@one_of_each
@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        (" a.txt\u3000", "a.txt"),
        ("u\u0308.txt", "\u00fc.txt"),
        ("x" * 255, "x" * 255),
        ("a/b.c/d", "a/b.c/d"),
    ],
)
async def test_names_are_kept_normalised(user: Api, strategy: Strategy, raw: str, stored: str) -> None:
    upload = await flows.start(strategy, user, b"", raw)
    assert (await upload.status())["file_name"] == stored


GIB = 1024 * MIB
LARGEST = [
    (Proxy.session, {"file_size_bytes": 10 * GIB}, 2_048),
    (Single.session, {"file_size_bytes": 5 * GIB}, 1),
    (Multipart.session, {"file_size_bytes": 5 * GIB, "part_size_bytes": 6 * GIB}, 1),
    (Multipart.session, {"file_size_bytes": 5 * 1024 * GIB, "part_size_bytes": 5 * GIB}, 1_024),
    (Multipart.session, {"file_size_bytes": 50_000 * MIB, "part_size_bytes": 5 * MIB}, 10_000),
]


@pytest.mark.parametrize(("session", "sizes", "count"), LARGEST)
async def test_the_largest_file_of_every_method_is_taken(
    user: Api, session: str, sizes: dict[str, int], count: int
) -> None:
    facts = await user.ok("POST", session, json={"file_name": "large.bin", **sizes})
    status = await user.ok("GET", "/api/upload/status", params={"upload_uuid": facts["upload_uuid"]})
    assert (status["file_size_bytes"], status["total_chunks"]) == (sizes["file_size_bytes"], count)
    assert len(facts.get("parts", ())) in {0, count}
    await user.ok("DELETE", f"/api/upload/session/{facts['upload_uuid']}", 204)


async def test_own_uploads_are_listed_newest_first(make_user: MakeUser) -> None:
    api = await make_user()
    opened = [await flows.start(one, api, payload(MIB)) for one in (Proxy(), Multipart(), Single())]
    done = await flows.run(Proxy(), api, b"x")
    page = await api.ok("GET", "/api/upload/sessions", params={"size": 2})
    assert [entry["upload_uuid"] for entry in page["sessions"]] == [opened[2].uuid, opened[1].uuid]
    assert (page["total"], page["page"], page["size"], page["next_page"]) == (3, 1, 2, 2)
    assert set(page["sessions"][0]) == STATUS_MEMBERS - {"uploaded_chunks"}
    last = await api.ok("GET", "/api/upload/sessions", params={"size": 2, "page": 2})
    assert ([entry["upload_uuid"] for entry in last["sessions"]], last["next_page"]) == (
        [opened[0].uuid],
        None,
    )
    everything = await api.ok("GET", "/api/upload/sessions", params={"state": "all"})
    assert everything["sessions"][0]["upload_uuid"] == done.uuid
    assert everything["total"] == 4


@pytest.mark.parametrize(
    "params", [{"page": 0}, {"page": "x"}, {"page": 10_001}, {"size": 0}, {"size": 101}, {"state": "odd"}]
)
async def test_session_list_refusals(user: Api, params: dict[str, Any]) -> None:
    await user.refused("GET", "/api/upload/sessions", "invalid_query", params=params)


async def test_status_needs_a_canonical_uuid(user: Api) -> None:
    answer = await user.refused("GET", "/api/upload/status", "missing_field")
    assert answer.json["details"] == {"field": "upload_uuid"}
    for bad in ("x", uuid4().hex, "{" + str(uuid4()) + "}", f"urn:uuid:{uuid4()}"):
        await user.refused("GET", "/api/upload/status", "invalid_uuid", params={"upload_uuid": bad})
    await user.refused("DELETE", "/api/upload/session/nope", "invalid_uuid")
    upload = await flows.start(Proxy(), user, b"x")
    assert (await user.ok("GET", "/api/upload/status", params={"upload_uuid": upload.uuid.upper()}))[
        "upload_uuid"
    ] == upload.uuid
