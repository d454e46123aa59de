"""`make trace`: which lines belong together, in which order, at what price, in bounded memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compose.trace.follow import TraceError, UnknownId, follow
from compose.trace.sources import FileLogs
from tests.unit.compose.traces import (
    OTHER,
    UPLOAD,
    chunk,
    flat,
    line,
    noise,
    printed,
    request_id,
    session,
    written,
)

pytestmark = pytest.mark.unit


def test_an_upload_is_followed_through_processes_that_do_not_know_its_id(tmp_path: Path) -> None:
    source = written(tmp_path, noise(1), chunk(2, 20.0), noise(2), session(1, 0.0))
    journey = follow(source, UPLOAD)
    assert [(hop.process, hop.depth, hop.route) for hop in journey.hops] == [
        ("gateway", 0, "/api/upload/proxy/session"),
        ("upload", 1, "/proxy/session"),
        ("gateway", 0, "/api/upload/proxy/chunk"),
        ("upload", 1, "/proxy/chunk"),
        ("files", 2, "/internal/file"),
    ]
    assert [round(hop.started_ms - journey.began_ms, 3) for hop in journey.hops] == [0, 1, 20, 21, 26]
    assert round(journey.ended_ms - journey.began_ms, 3) == 30
    assert (journey.uploads, journey.method, journey.whole) == ((UPLOAD,), "proxy", True)
    assert sum(hop.statements for hop in journey.hops) == 5
    assert journey.gaps == ()


def test_one_request_is_followed_alone_and_names_its_upload(tmp_path: Path) -> None:
    source = written(tmp_path, session(1, 0.0), chunk(2, 20.0))
    journey = follow(source, request_id(2))
    assert [hop.process for hop in journey.hops] == ["gateway", "upload", "files"]
    assert f"make trace ID={UPLOAD}" in printed(source, request_id(2))


def test_bytes_that_went_straight_to_the_store_are_a_gap(tmp_path: Path) -> None:
    same = {"request_id": request_id(2)}
    part = {
        "gateway": [line("gateway", 53, 4, route="/api/upload/multipart/part", **same)],
        "upload": [line("upload", 54, 2, route="/multipart/part", upload_uuid=UPLOAD, **same)],
    }
    journey = follow(written(tmp_path, session(1, 0.0, "multipart"), part), UPLOAD)
    (gap,) = journey.gaps
    assert (round(gap.started_ms - journey.began_ms, 3), round(gap.duration_ms, 3)) == (3, 50)
    assert journey.method == "direct, multipart"
    text = printed(FileLogs(tmp_path), UPLOAD)
    assert "client bytes to the store (no log of it)" in flat(text)
    assert "For 50.0 ms of that the client was on its own" in flat(text)


def test_warnings_and_late_work_stand_where_they_happened(tmp_path: Path) -> None:
    warning = {
        "time": "2026-05-04T12:00:00.040Z",
        "level": "warning",
        "service": "upload",
        "instance": "upload-1",
        "event": "finalise attempt failed",
        "upload_uuid": UPLOAD,
        "attempt": 1,
    }
    late = {
        "time": "2026-05-04T12:00:00.090Z",
        "level": "info",
        "service": "upload",
        "instance": "upload-1",
        "event": "finalised",
        "request_id": request_id(2),
        "upload_uuid": UPLOAD,
        "ending": "durable",
        "duration_ms": 20.0,
        "statements": 2,
        "sql_ms": 1.0,
        "store_requests": 1,
        "store_ms": 9.0,
    }
    source = written(tmp_path, session(1, 0.0), chunk(2, 20.0), {"upload": [warning, late]})
    journey = follow(source, UPLOAD)
    assert [note.text for note in journey.notes] == ["finalise attempt failed attempt=1"]
    assert [hop.started_ms - journey.began_ms for hop in journey.hops if not hop.route] == [pytest.approx(70)]
    assert "upload finalise attempt failed attempt=1" in flat(printed(source, UPLOAD))
    assert sum(hop.statements for hop in journey.hops) == 7


def test_the_table_fits_eighty_columns_and_says_what_it_came_to(tmp_path: Path) -> None:
    text = printed(written(tmp_path, session(1, 0.0), chunk(2, 20.0)), UPLOAD)
    assert max(map(len, text.splitlines())) <= 80
    lines = text.splitlines()
    assert lines[0] == f"upload {UPLOAD} (proxy); times in ms"
    (row,) = [one for one in lines if "POST /proxy/chunk" in one]
    assert row.split() == [
        "21.0",
        "8.0",
        "upload",
        "POST",
        "/proxy/chunk",
        "3",
        "in",
        "2.5",
        "1",
        "in",
        "4.0",
    ]
    whole = flat(text)
    assert "2 requests through the gateway with 1.0 MiB, 5 SQL statements, 1 store request" in whole
    assert "30.0 ms in all" in whole
    bars = [one for one in lines if "█" in one]
    assert len(bars) == 5
    assert bars[0].index("█") < bars[2].index("█") < bars[4].index("█")


def test_long_journeys_lose_their_middle_unless_all_is_wanted(tmp_path: Path) -> None:
    source = written(tmp_path, session(1, 0.0), *(chunk(number, number * 10.0) for number in range(2, 40)))
    assert "76 rows in the middle are left out" in printed(source, UPLOAD)
    text = printed(source, UPLOAD, everything=True)
    assert text.count("POST /proxy/chunk") == 38


def test_a_refusal_is_shown_with_its_code(tmp_path: Path) -> None:
    refused = line(
        "gateway",
        0,
        1,
        route="/api/upload/proxy/chunk",
        request_id=request_id(7),
        status=409,
        error="chunk_conflict",
    )
    text = printed(written(tmp_path, {"gateway": [refused]}), request_id(7))
    assert "409 chunk_conflict" in flat(text)


def test_put_away_logs_are_read_first_and_a_missing_beginning_is_said(tmp_path: Path) -> None:
    written(tmp_path, session(1, 0.0))
    for name in ("gateway", "upload"):
        (tmp_path / f"{name}.log").rename(tmp_path / f"{name}.log.1")
    source = written(tmp_path, chunk(2, 20.0))
    assert follow(source, UPLOAD).whole
    (tmp_path / "upload.log.1").unlink()
    assert "The beginning is missing" in printed(source, UPLOAD)


def test_unknown_and_malformed_ids_are_refused_with_a_reason(tmp_path: Path) -> None:
    source = written(tmp_path, chunk(2, 20.0))
    with pytest.raises(UnknownId):
        follow(source, OTHER)
    with pytest.raises(TraceError, match=f"no log has a line about {OTHER}.*LOGGING=off"):
        printed(source, OTHER)
    with pytest.raises(TraceError, match="is no id; expected an upload_uuid"):
        printed(source, "chunk")
    with pytest.raises(TraceError, match="make trace ID="):
        printed(source, "")


def test_json_holds_all_of_it(tmp_path: Path) -> None:
    facts = json.loads(
        printed(written(tmp_path, session(1, 0.0), chunk(2, 20.0)), UPLOAD.upper(), as_json=True)
    )
    assert (facts["statements"], facts["store_requests"], facts["duration_ms"]) == (5, 1, 30.0)
    assert [hop["process"] for hop in facts["hops"]] == ["gateway", "upload", "gateway", "upload", "files"]
