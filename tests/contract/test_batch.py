"""``POST /batch``: many files in one form, each with a result of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.contract import flows, forms
from tests.contract.api import Api
from tests.contract.flows import MIB
from tests.contract.forms import BOUNDARY, TYPE, Field, form, names
from tests.stack import System

pytestmark = pytest.mark.contract

PATH = "/api/upload/batch"
FORMS = pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])


def file(content: bytes, name: str = "testfile.bin") -> Field:
    return forms.file(content, name, "files")


async def sent(
    user: Api, *fields: Field, chunked: bool = False, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    answer: dict[str, Any] = await user.ok(
        "POST", PATH, **forms.given(form(*fields), headers, chunked=chunked)
    )
    assert set(answer) == {"results", "uploaded", "failed"}
    assert [one["index"] for one in answer["results"]] == list(range(len(answer["results"])))
    assert answer["uploaded"] + answer["failed"] == len(answer["results"])
    return answer


@FORMS
async def test_every_file_is_durable(user: Api, chunked: bool) -> None:
    contents = [flows.payload(size, seed) for seed, size in enumerate((0, 1, 70_000, 9 * MIB, 5 * MIB, 3))]
    fields = [file(content, f"{index}.bin") for index, content in enumerate(contents)]
    answer = await sent(user, Field("folder", "Fotos/ä".encode()), *fields, chunked=chunked)
    assert (answer["uploaded"], answer["failed"]) == (6, 0)
    for result, content in zip(answer["results"], contents, strict=True):
        assert set(result) == {"index", "file_name", "success", "file_id", "size_bytes"}
        assert result["success"] is True
        assert result["file_name"] == f"Fotos/ä/{result['index']}.bin"
        assert result["size_bytes"] == len(content)
        assert await flows.content(user, result["file_id"]) == content
    listed = await flows.owned(user)
    assert {one["file_id"] for one in listed} == {one["file_id"] for one in answer["results"]}
    assert all(one["checksum"] for one in listed)
    uuid = answer["results"][0]["file_id"]
    status = await user.ok("GET", "/api/upload/status", params={"upload_uuid": uuid})
    assert (status["method"], status["status"]) == ("batch", "completed")


async def test_a_hundred_files(user: Api) -> None:
    answer = await sent(user, *(file(b"%d" % index, f"{index}.bin") for index in range(100)))
    assert answer["uploaded"] == 100
    assert names(answer["results"]) == [f"{index}.bin" for index in range(100)]


async def test_one_file_that_fails_fails_alone(user: Api) -> None:
    answer = await sent(user, file(b"a", "a.bin"), file(b"b", "../b.bin"), file(b"c", " c.bin "))
    first, second, third = answer["results"]
    assert (answer["uploaded"], answer["failed"]) == (2, 1)
    assert (first["success"], third["success"]) == (True, True)
    assert third["file_name"] == "c.bin"
    assert set(second) == {"index", "file_name", "success", "error", "message"}
    assert (second["success"], second["error"]) == (False, "invalid_file_name")
    assert second["file_name"] == "../b.bin"


async def test_all_may_fail(user: Api) -> None:
    answer = await sent(user, Field("folder", b"a"), file(b"a", "/"), file(b"b", "b//c"))
    assert (answer["uploaded"], answer["failed"]) == (0, 2)
    assert names(answer["results"]) == ["/", "b//c"]
    assert await flows.owned(user) == []


async def test_the_same_key_makes_each_file_once(user: Api) -> None:
    key = {"Idempotency-Key": "k"}
    fields = [file(b"a", "a.bin"), file(b"b", "b.bin")]
    first, again = await sent(user, *fields, headers=key), await sent(user, *fields, headers=key)
    assert first == again
    longer = await sent(user, *fields, file(b"c", "c.bin"), headers=key)
    assert longer["results"][:2] == first["results"]
    other = await sent(user, file(b"x", "a.bin"), headers=key)
    assert other["results"][0]["error"] == "idempotency_conflict"
    assert len(await flows.owned(user)) == 3


BAD = {
    "nothing": b"",
    "no file": form(),
    "only a folder": form(Field("folder", b"a")),
    "a text field": form(Field("files", b"abcd")),
    "another field": form(Field("file", b"abcd", "a.bin")),
    "an empty folder": form(Field("folder", b""), file(b"a")),
    "a folder that breaks the rule": form(Field("folder", b"a/"), file(b"a")),
    "a folder that is not UTF-8": form(Field("folder", b"\xff"), file(b"a")),
    "a long folder": form(Field("folder", b"a" * 5_000), file(b"a")),
    "two folders": form(Field("folder", b"a"), Field("folder", b"b"), file(b"a")),
}


@FORMS
@pytest.mark.parametrize("case", BAD)
async def test_what_a_batch_cannot_be(user: Api, case: str, chunked: bool) -> None:
    await user.refused("POST", PATH, "invalid_form", **forms.given(BAD[case], chunked=chunked))
    assert await flows.owned(user) == []
    assert (await user.ok("GET", "/api/upload/sessions"))["sessions"] == []


@pytest.mark.parametrize(
    "broken",
    [
        form(file(b"a"), Field("folder", b"a")),
        form(file(b"a"), Field("other", b"a")),
        form(*(file(b"%d" % index) for index in range(101))),
        form(file(b"a"), file(b"b"))[:-8],
    ],
    ids=["a folder behind a file", "another field behind a file", "101 files", "no last boundary"],
)
async def test_files_before_the_fault_stay(user: Api, broken: bytes) -> None:
    await user.refused("POST", PATH, "invalid_form", **forms.given(broken))
    assert len(await flows.owned(user, size=100)) in {1, 100}
    assert (await user.ok("GET", "/api/upload/sessions"))["sessions"] == []


async def test_only_forms(user: Api) -> None:
    for headers in ({}, {"Content-Type": "multipart/mixed; boundary=a"}, {"Content-Type": "text/plain"}):
        await user.refused("POST", PATH, "unsupported_media_type", data=b"abcd", headers=headers)
    given = forms.given(form(file(b"a")), {"Content-Encoding": "gzip"})
    await user.refused("POST", PATH, "unsupported_media_type", **given)
    given = forms.given(form(file(b"a")), {"Idempotency-Key": "a b"})
    await user.refused("POST", PATH, "invalid_field", **given)


async def counted(system: System, http: aiohttp.ClientSession) -> dict[str, float]:
    async with http.get(f"{system.admin('upload')}/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
    return {
        sample.labels["result"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "batch_files_total" and sample.labels["op"] == "upload"
    }


async def test_files_are_counted(user: Api, system: System, http: aiohttp.ClientSession) -> None:
    before = await counted(system, http)
    await sent(user, file(b"a", "a.bin"), file(b"b", ".."), file(b"c", "c.bin"))
    after = await counted(system, http)
    assert {name: after[name] - before[name] for name in after} == {"ok": 2, "failed": 1}


async def test_a_client_that_leaves(user: Api) -> None:
    """What was whole is stored, the file that breaks off leaves nothing, and no further one is begun."""
    whole = form(file(b"a", "a.bin"), file(b"b", "b.bin"))[: -len(BOUNDARY) - 6]
    broken = file(flows.payload(100_000), "c.bin").encoded()[:-10_000]
    go = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield whole + broken
        go.set()
        await asyncio.Event().wait()

    headers = {**TYPE, "Authorization": f"Bearer {user.token}"}
    sending = asyncio.ensure_future(user.session.post(user.base + PATH, data=body(), headers=headers))
    await go.wait()
    async with asyncio.timeout(30):
        while len(await flows.owned(user)) < 2:
            await asyncio.sleep(0.02)
    sending.cancel()
    await asyncio.wait((sending,))
    async with asyncio.timeout(30):
        while (await user.ok("GET", "/api/upload/sessions"))["sessions"]:
            await asyncio.sleep(0.02)
    assert sorted(one["name"] for one in await flows.owned(user)) == ["a.bin", "b.bin"]
    ended = (await user.ok("GET", "/api/upload/sessions", params={"state": "all"}))["sessions"]
    (lost,) = [one for one in ended if one["status"] == "aborted"]
    assert lost["file_name"] == "c.bin"
