"""Where `make trace` reads lines from: files, programs, containers; and how lines are found in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from compose.trace import scan
from compose.trace.model import Note, read
from compose.trace.sources import SERVICES, FileLogs
from tests.unit.compose.traces import (
    COMPOSE_FILES,
    OTHER,
    ROOT,
    UPLOAD,
    chunk,
    session,
    written,
)

pytestmark = pytest.mark.unit


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
