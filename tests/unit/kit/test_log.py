"""Logs: complete lines, in blocks, never blocking, never showing a secret."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from errno import ENOSPC
from select import PIPE_BUF
from typing import Any

import pytest

from services.kit import log
from services.kit.log import LineBuffer, Log

pytestmark = pytest.mark.unit


class Pipe:
    def __init__(self) -> None:
        self.out, self.into = os.pipe()
        os.set_blocking(self.out, False)

    def read(self) -> bytes:
        data = b""
        try:
            while piece := os.read(self.out, 1 << 20):
                data += piece
        except BlockingIOError:
            pass
        return data

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read().splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.out)
    os.close(made.into)


def make(pipe: Pipe, level: str = "info", mode: str = "json-queued") -> Log:
    return Log("upload", "upload-1", level, mode, fd=pipe.into)


class TestEvents:
    def test_a_line_says_when_what_and_who(self, pipe: Pipe) -> None:
        make(pipe).event.info("started", pid=5)
        (line,) = pipe.lines()
        del line["time"]
        assert line == {
            "level": "info",
            "service": "upload",
            "instance": "upload-1",
            "event": "started",
            "pid": 5,
        }

    def test_every_line_says_its_time_in_utc(self, pipe: Pipe) -> None:
        keeper, before = make(pipe), datetime.now(UTC)
        keeper.event.info("started")
        keeper.access({"status": 200})
        keeper.event.info("stopped")
        times = [line["time"] for line in pipe.lines()]
        assert all(text.endswith("Z") for text in times)
        read = [datetime.fromisoformat(text) for text in times]
        moments = [before, *read, datetime.now(UTC)]
        assert moments == sorted(moments)

    @pytest.mark.parametrize(
        "name", ["password", "token", "jwt_secret", "Authorization", "email", "database_url", "file_name"]
    )
    def test_secrets_are_replaced(self, pipe: Pipe, name: str) -> None:
        make(pipe).event.warning("odd", **{name: "hush"})
        text = pipe.read().decode()
        assert "hush" not in text
        assert "***" in text

    def test_levels(self, pipe: Pipe) -> None:
        quiet = make(pipe, level="warning")
        quiet.event.info("no")
        quiet.access({"status": 200})
        quiet.event.warning("yes")
        assert [line["event"] for line in pipe.lines()] == ["yes"]

    def test_an_exception_is_one_line(self, pipe: Pipe) -> None:
        keeper = make(pipe)
        try:
            raise ValueError("why")
        except ValueError:
            keeper.event.exception("unexpected")
        (line,) = pipe.lines()
        assert line["level"] == "error"
        assert "ValueError: why" in line["exception"]


class TestAccess:
    def test_off_means_none_but_events_stay(self, pipe: Pipe) -> None:
        keeper = make(pipe, mode="off")
        keeper.access({"status": 200})
        keeper.event.info("started")
        assert [line["event"] for line in pipe.lines()] == ["started"]

    async def test_lines_wait_for_company_and_warnings_do_not(self, pipe: Pipe) -> None:
        keeper = make(pipe)
        keeper.buffer.attach(asyncio.get_running_loop())
        keeper.access({"status": 200})
        assert pipe.read() == b""
        keeper.event.warning("odd")
        assert [line["event"] for line in pipe.lines()] == ["request", "odd"]

    async def test_a_block_leaves_by_number_and_by_time(
        self, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log, "FLUSH_LINES", 3)
        monkeypatch.setattr(log, "FLUSH_AFTER_S", 0.001)
        keeper = make(pipe)
        keeper.buffer.attach(asyncio.get_running_loop())
        for number in range(3):
            keeper.access({"status": number})
        assert [line["status"] for line in pipe.lines()] == [0, 1, 2]
        keeper.access({"status": 3})
        async with asyncio.timeout(30):
            while not (line := pipe.read()):
                await asyncio.sleep(0.001)
        assert json.loads(line)["status"] == 3

    def test_sync_mode_writes_each_line_at_once(self, pipe: Pipe) -> None:
        make(pipe, mode="stdlib-sync").access({"status": 200})
        assert len(pipe.lines()) == 1


async def test_a_reader_that_stopped_stops_nobody(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_PENDING_BYTES", 100_000)
    monkeypatch.setattr(log, "FLUSH_AFTER_S", 0.001)
    buffer = LineBuffer(pipe.into)
    buffer.attach(asyncio.get_running_loop())
    line = b"x" * 999 + b"\n"
    for _ in range(1000):
        buffer.write(line, now=True)
    assert buffer.dropped > 0
    text = b""
    async with asyncio.timeout(30):
        while len(text) < (1000 - buffer.dropped) * 1000:
            text += pipe.read()
            await asyncio.sleep(0.001)
    assert text == line * (1000 - buffer.dropped)  # what was not dropped is whole


async def test_a_full_disk_loses_lines_and_nothing_else() -> None:
    lost: list[int] = []
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123, ASYNC230  (each write: no space)
        keeper = Log("upload", "upload-1", "info", "json-queued", fd=full.fileno())
        keeper.buffer.attach(asyncio.get_running_loop(), lost.append)
        for number in range(10):
            keeper.access({"status": number})
        keeper.event.warning("odd")
    assert (keeper.buffer.dropped, lost) == (11, [11])


@pytest.mark.parametrize(
    ("taken", "kept", "dropped"),
    [
        (0, b"third\n", 2),
        (3, b"fir\nthird\n", 2),  # a line that was begun is ended
        (5, b"first\nthird\n", 1),
        (6, b"first\nthird\n", 1),
        (12, b"first\nsecond\nthird\n", 0),
    ],
)
async def test_after_a_full_disk_lines_are_whole_again(
    monkeypatch: pytest.MonkeyPatch, taken: int, kept: bytes, dropped: int
) -> None:
    written, room = bytearray(), [taken]

    def write(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(ENOSPC, "No space left on device")
        some = data[: room[0]]
        room[0] -= len(some)
        written.extend(some)
        return len(some)

    buffer = LineBuffer(1)
    buffer.attach(asyncio.get_running_loop())
    monkeypatch.setattr(os, "write", write)
    buffer.write(b"first\n")
    buffer.write(b"second\n", now=True)
    buffer.flush()  # still full
    room[0] = 1000
    buffer.write(b"third\n", now=True)
    assert (bytes(written), buffer.dropped) == (kept, dropped)


async def test_lines_of_processes_that_have_one_pipe_stay_whole(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel keeps together what one write brings only up to PIPE_BUF."""
    written: list[bytes] = []

    def write(fd: int, data: bytes) -> int:
        written.append(data)
        return len(data)

    monkeypatch.setattr(os, "write", write)
    buffer = LineBuffer(pipe.into)
    buffer.attach(asyncio.get_running_loop())
    lines = [bytes([97 + number % 26]) * (300 + number) + b"\n" for number in range(200)]
    long = b"-" * 3 * PIPE_BUF + b"\n"
    for line in (*lines, long, *lines):
        buffer.write(line)
    buffer.flush()
    assert b"".join(written) == b"".join((*lines, long, *lines))
    assert all(piece.endswith(b"\n") and (len(piece) <= PIPE_BUF or piece == long) for piece in written)
    assert len(written) < 50
