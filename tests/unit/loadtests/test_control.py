"""What k6 is told by the harness, asked over the wire as k6 asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import aiohttp
import pytest

from loadtests.harness.clients.users import Identity
from loadtests.harness.k6 import control as control_module
from loadtests.harness.k6.control import Control, serving
from loadtests.harness.k6.rows import LARGE_BATCH, SMALL_BATCH, Kind, Rows

pytestmark = pytest.mark.unit

KIND = Kind(1000, 1000)
USERS = [Identity(f"u{at}", f"u{at}@x", "p", f"t{at}") for at in range(2)]


class Asking:
    """A VU, or several."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url, self._http = url, http

    async def get(self, path: str) -> Any:
        async with self._http.get(self._url + path) as answer:
            answer.raise_for_status()
            return await (answer.json() if answer.content_type == "application/json" else answer.read())

    def stretch(self, after: int, vu: int) -> asyncio.Task[Any]:
        return asyncio.create_task(self.get(f"/stretch?after={after}&vu={vu}"))


@pytest.fixture
async def control() -> AsyncIterator[Control]:
    rows = Rows("run")
    rows.payload(KIND)
    async with serving(Control(2, rows)) as served:
        yield served
    rows.close()


@pytest.fixture
async def vus(control: Control) -> AsyncIterator[Asking]:
    async with aiohttp.ClientSession() as http:
        yield Asking(control.url, http)


async def test_all_vus_get_a_stretch_under_their_own_users(control: Control, vus: Asking) -> None:
    waiting = [vus.stretch(0, vu) for vu in (0, 1)]
    await control.idle()
    await control.release({"arms": [{"name": "a"}, {"name": "b"}], "order": [0, 1]}, [USERS, USERS[:1]])
    first, second = await asyncio.gather(*waiting)
    assert first["n"] == second["n"] == control.number == 1
    assert [arm["identity"]["token"] for arm in first["arms"]] == ["t0", "t0"]
    assert [arm["identity"]["token"] for arm in second["arms"]] == ["t1", "t0"]
    assert second["arms"][0]["identity"]["index"] == 1


async def test_idle_means_that_every_vu_asked_for_the_next_one(control: Control, vus: Asking) -> None:
    asked = [vus.stretch(0, vu) for vu in (0, 1)]
    await control.idle()
    await control.release({"arms": []}, [])
    await asyncio.gather(*asked)
    idle = asyncio.create_task(control.idle())
    again = [vus.stretch(1, 0)]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(idle), 0.05)
    again.append(vus.stretch(1, 1))
    await idle
    await control.end()
    assert await asyncio.gather(*again) == [{"end": True}] * 2


async def test_a_question_is_held_back_for_a_while_only(
    control: Control, vus: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "HOLD_S", 0.01)
    assert await vus.stretch(0, 0) == {"wait": True}


async def test_rows_are_handed_out_once_and_remembered(control: Control, vus: Asking) -> None:
    first, second = [await vus.get(f"/rows?kind={KIND}") for _ in range(2)]
    refs = [row["ref"] for answer in (first, second) for row in answer["rows"]]
    assert len(set(refs)) == 2 * SMALL_BATCH
    assert [row.ref for row in control.rows.given()] == refs
    assert control.rows.given() == []
    row = first["rows"][0]
    body = control.rows.payload(KIND).body(row["ref"])
    assert row["sha256"] == sha256(body).hexdigest()
    assert row["stamps"][0].encode() in body
    assert "chunks" not in row


async def test_a_cut_stretch_hands_out_nothing(control: Control, vus: Asking) -> None:
    assert await vus.get("/cut") == {"cut": False}
    control.cut()
    assert await vus.get("/cut") == {"cut": True}
    assert await vus.get(f"/rows?kind={KIND}") == {"cut": True}
    assert control.rows.given() == []
    await control.release({"arms": []}, [])
    assert await vus.get("/cut") == {"cut": False}


async def test_the_bytes_of_all_files_of_a_size_come_from_here(control: Control, vus: Asking) -> None:
    assert await vus.get("/pattern?bytes=1000") == control.rows.payload(KIND).pattern


async def test_long_files_are_hashed_before_they_are_asked_for() -> None:
    kind = Kind(6 * 1024 * 1024, 5 * 1024 * 1024)
    rows = Rows("run")
    await rows.fill(kind, 3)
    assert len(await rows.take(kind)) == LARGE_BATCH
    await rows.fill(kind, 2)
    taken = await rows.take(kind)
    assert len(taken) == LARGE_BATCH
    assert len(await rows.take(kind)) == 1, "made while the load runs, one by one"
    body = rows.payload(kind).body(taken[0].ref)
    assert taken[0].sha256 == sha256(body).hexdigest()
    assert len(taken[0].chunks) == 2
    rows.close()
