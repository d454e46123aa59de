"""`make trace`: which lines belong together, in which order, at what price, in bounded memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from compose.trace import scan
from compose.trace.command import trace
from compose.trace.follow import Journey, TraceError, UnknownId, follow
from compose.trace.model import Note, read
from compose.trace.sources import SERVICES, CommandLogs, FileLogs

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
COMPOSE_FILES = ("compose.yaml", "compose.scaled.yaml")

BEGAN = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
UPLOAD = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


def request_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def line(service: str, started_ms: float, duration_ms: float, **given: Any) -> dict[str, Any]:
    ended = BEGAN + timedelta(milliseconds=started_ms + duration_ms)
    head = {"time": ended.isoformat().replace("+00:00", "Z"), "level": "info", "service": service}
    facts = {"method": "POST", "status": 200, "error": None, "bytes_in": 0, "bytes_out": 10}
    return {
        **head,
        "instance": f"{service}-1",
        "event": "request",
        **facts,
        "duration_ms": duration_ms,
        **given,
    }


def chunk(number: int, start_ms: float) -> dict[str, list[dict[str, Any]]]:
    """One chunk as the three processes log it; the gateway does not know the upload."""
    same = {"request_id": request_id(number)}
    return {
        "gateway": [line("gateway", start_ms, 10, route="/api/upload/proxy/chunk", bytes_in=1 << 20, **same)],
        "upload": [
            line(
                "upload",
                start_ms + 1,
                8,
                route="/proxy/chunk",
                upload_uuid=UPLOAD,
                statements=3,
                sql_ms=2.5,
                store_requests=1,
                store_ms=4.0,
                upstream_ms=1.0,
                **same,
            )
        ],
        "files": [
            line(
                "files",
                start_ms + 6,
                1,
                route="/internal/file",
                upload_uuid=UPLOAD,
                statements=1,
                sql_ms=0.5,
                **same,
            )
        ],
    }


def session(number: int, start_ms: float, kind: str = "proxy") -> dict[str, list[dict[str, Any]]]:
    same = {"request_id": request_id(number)}
    return {
        "gateway": [line("gateway", start_ms, 3, route=f"/api/upload/{kind}/session", **same)],
        "upload": [
            line(
                "upload",
                start_ms + 1,
                1,
                route=f"/{kind}/session",
                upload_uuid=UPLOAD,
                statements=1,
                sql_ms=0.7,
                **same,
            )
        ],
    }


def written(folder: Path, *stories: Mapping[str, list[dict[str, Any]]]) -> FileLogs:
    for story in stories:
        for service, lines in story.items():
            with (folder / f"{service}.log").open("a") as log:
                log.writelines(json.dumps(one, separators=(",", ":")) + "\n" for one in lines)
    return FileLogs(folder)


def noise(number: int) -> dict[str, list[dict[str, Any]]]:
    rest = {"request_id": request_id(900 + number), "route": "/proxy/chunk"}
    return {
        "gateway": [line("gateway", 0, 5, **rest)],
        "upload": [line("upload", 0, 4, upload_uuid=OTHER, statements=9, **rest)],
    }


def printed(source: FileLogs, wanted: str, **options: bool) -> str:
    out = StringIO()
    console = Console(file=out, width=80, color_system=None)
    trace(source, wanted, console, **{"as_json": False, "everything": False, **options})
    return out.getvalue()


def flat(text: str) -> str:
    """Without the line breaks that the width of the terminal made."""
    return " ".join(text.split())


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


def test_what_is_no_line_of_ours_is_passed_over() -> None:
    assert [read(bad) for bad in (b"", b"Traceback", b'{"event":"request"}', b"[1]", b"\xff")] == [None] * 5
    note = read(b'{"time":"2026-05-04T12:00:00Z","level":"error","service":"auth","event":"unexpected"}')
    assert isinstance(note, Note)


@pytest.mark.parametrize("before", [b"\x1b[2K", b"gateway-1  | "])
def test_what_docker_compose_puts_before_a_line_is_cut_off(before: bytes) -> None:
    text = json.dumps(session(1, 0.0)["gateway"][0]).encode()
    assert read(before + text) == read(text)
    assert read(text) is not None


class Endless:
    """A log of blocks made as they are read; remembers how much was asked for."""

    def __init__(self, blocks: int, tail: bytes) -> None:
        self._blocks, self._tail = blocks, tail

    def __iter__(self) -> Iterator[bytes]:
        yield from (b"x" * 65_536 for _ in range(self._blocks))
        yield self._tail


def test_a_line_without_end_is_dropped_and_the_next_one_found() -> None:
    search = scan.mentions("needle")
    blocks = Endless(20, b"needle in the long line\nneedle\nanother\nneedle without an end")
    assert list(scan.lines(blocks, search)) == [b"needle"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_lines_are_found_wherever_blocks_are_cut(size: int) -> None:
    text = b'a\n{"request_id":"r1"}\nb\n{"request_id":"r2"}\n{"request_id":"r1","x":2}\n'
    blocks = [text[at : at + size] for at in range(0, len(text), size)]
    assert list(scan.lines(blocks, scan.of_requests({"r1"}))) == [
        b'{"request_id":"r1"}',
        b'{"request_id":"r1","x":2}',
    ]


def test_a_program_that_prints_logs_is_a_source_too(tmp_path: Path) -> None:
    story = written(tmp_path, session(1, 0.0), chunk(2, 20.0))
    code = "import sys, pathlib; [print(p.read_text()) for p in pathlib.Path().glob(sys.argv[1] + '.log')]"
    program = CommandLogs([sys.executable, "-c", code], cwd=tmp_path)
    expected: Journey = follow(story, UPLOAD)
    assert follow(program, UPLOAD) == expected


def test_a_program_that_fails_says_so(tmp_path: Path) -> None:
    program = CommandLogs([sys.executable, "-c", "import sys; sys.exit('no such project')"], cwd=tmp_path)
    with pytest.raises(OSError, match="no such project"):
        follow(program, UPLOAD)


def test_every_replica_in_containers_is_read(tmp_path: Path) -> None:
    """Which services the shell takes logs of, and that the reader takes up the file of each."""
    (pattern,) = re.findall(r"^TRACED='(.+)'$", (ROOT / "compose/docker/eyes.sh").read_text(), re.MULTILINE)
    files = [yaml.safe_load((ROOT / "compose" / name).read_text()) for name in COMPOSE_FILES]
    known = {name: service for file in files for name, service in file["services"].items()}
    taken = {name for name in known if re.search(pattern, name)}
    assert taken == {"gateway", "gateway-2", "auth", "upload", "upload-2", "files", "files-2"}
    for name in taken:
        (tmp_path / f"{name}.log").write_text(f"{name}\n")
    read_up = [block for service in SERVICES for block in FileLogs(tmp_path).blocks(service)]
    assert sorted(b"".join(read_up).decode().split()) == sorted(taken)


def test_log_files_in_any_folder_can_be_read_by_a_program_of_its_own(tmp_path: Path) -> None:
    """As with containers: nothing of the supervisor, the installer or the settings is needed."""
    written(tmp_path, session(1, 0.0), chunk(2, 20.0))

    def run(wanted: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-X", "importtime", "-m", "compose.trace", "--logs", str(tmp_path)]
        env = {**os.environ, "ID": wanted}
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    done = run(UPLOAD)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"upload {UPLOAD} (proxy); times in ms")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert {name for name in imported if name.startswith("compose.")} == {
        "compose.trace",
        *(f"compose.trace.{name}" for name in ("command", "follow", "model", "scan", "show", "sources")),
    }
    refused = run(OTHER)
    assert refused.returncode == 1
    assert f"no log has a line about {OTHER}" in refused.stderr
