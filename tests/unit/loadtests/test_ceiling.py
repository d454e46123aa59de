"""The sink that agrees to all, and what its answers are worth."""

from __future__ import annotations

import io

import aiohttp
import pytest

from loadtests.harness.records.samples import Ceiling, Outcome
from loadtests.harness.running.ceiling import ceiling_of, sink
from loadtests.harness.running.null_sink import content_length
from tests.unit.loadtests.switchback import manifest

pytestmark = pytest.mark.unit


async def test_the_sink_takes_bodies_of_any_size_and_names_places_for_parts() -> None:
    async with sink(3) as url, aiohttp.ClientSession() as http:
        for size in (0, 10, 3 * 1024 * 1024):
            async with http.put(f"{url}/object", data=io.BytesIO(bytes(size))) as answer:
                assert answer.status == 200 and answer.headers["ETag"] == '"0"'
                await answer.read()
        async with http.post(f"{url}/api/upload/multipart/session", json={"file_name": "a"}) as answer:
            session = await answer.json()
    assert [part["url"] for part in session["parts"]] == [f"{url}/part/{number}" for number in (1, 2, 3)]
    assert session["upload_uuid"] and session["url"].startswith(url)


def test_a_head_without_a_length_has_no_body() -> None:
    assert content_length(b"GET / HTTP/1.1\r\nHost: x") == 0
    assert content_length(b"PUT / HTTP/1.1\r\ncontent-LENGTH: 12") == 12


def outcome(ended_at: float, *, acked: bool = True) -> Outcome:
    return Outcome(upload_ref=f"r{ended_at}", acked=acked, started_at=ended_at - 0.004, ended_at=ended_at)


def test_the_ceiling_is_the_rate_of_the_window_and_the_floor_its_median() -> None:
    inside = [outcome(10.0 + index * 0.01) for index in range(200)]
    found = ceiling_of([outcome(9.9), *inside, outcome(12.0)], (10.0, 12.0), 1000)
    assert found is not None
    assert (found.file_size_bytes, found.uploads_per_s) == (1000, 100.0)
    assert found.floor_ms == pytest.approx(4.0)


def test_a_script_that_the_sink_cannot_please_has_no_ceiling() -> None:
    assert ceiling_of([outcome(10.5), outcome(10.6, acked=False)], (10.0, 12.0), 1) is None
    assert ceiling_of([], (10.0, 12.0), 1) is None


def test_ceilings_come_back_from_a_manifest() -> None:
    one = Ceiling(file_size_bytes=5, uploads_per_s=2.0, floor_ms=1.0)
    bare = manifest(notes={"other": 1})
    noted = bare.with_ceilings({"a": one})
    assert (bare.ceilings, noted.ceilings) == ({}, {"a": one})
    assert noted.notes["other"] == 1
