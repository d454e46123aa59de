"""JSON logs, one line per event, written in blocks.

Lines collect for at most 100 ms and leave together; a warning leaves at once. A SIGKILL loses at
most those 100 ms. Lines never stand in the way of requests: of what a pipe that nobody reads does not take,
4 MiB are kept, and what a full disk does not take is lost; lost lines are counted. What is logged holds no
secret, e-mail, signed URL, body or file name.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from select import PIPE_BUF
from typing import Any

import orjson
import structlog

MAX_PENDING_BYTES = 4 * 1024 * 1024
FLUSH_AFTER_S = 0.1
FLUSH_LINES = 256
_SECRET_NAMES = ("password", "token", "secret", "authorization", "email", "url", "file_name")


class LineBuffer:
    """Collects lines for one file descriptor. ``dropped`` counts those that nobody took."""

    def __init__(self, fd: int, *, immediate: bool = False) -> None:
        self._fd = fd
        self._immediate = immediate
        self._lines: list[bytes] = []
        self._rest = b""
        self._pipe = False
        self._armed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lost: Callable[[int], None] | None = None
        self.dropped = 0

    def attach(self, loop: asyncio.AbstractEventLoop, lost: Callable[[int], None] | None = None) -> None:
        """Flush by timer on ``loop`` from now on; without it every line is written at once.

        ``lost`` is told how many lines were dropped.
        """
        self._loop, self._lost = loop, lost
        self._pipe = stat.S_ISFIFO(os.fstat(self._fd).st_mode)
        if self._pipe:
            os.set_blocking(self._fd, False)

    def write(self, line: bytes, *, now: bool = False) -> None:
        self._lines.append(line)
        if now or self._immediate or self._loop is None or len(self._lines) >= FLUSH_LINES:
            self.flush()
        elif not self._armed:
            self._armed = True
            self._loop.call_later(FLUSH_AFTER_S, self._timer)

    def _timer(self) -> None:
        self._armed = False
        self.flush()

    def flush(self) -> None:
        block, self._lines = self._rest + b"".join(self._lines), []
        self._rest, at = b"", 0
        while at < len(block):
            try:
                at += os.write(self._fd, block[at : self._end(block, at)])
            except BlockingIOError:
                self._keep(block[at:])
                return
            except OSError:  # a full disk, a reader that is gone: no request may fail for that
                self._lose(block, at)
                return

    def _end(self, block: bytes, at: int) -> int:
        """Where a write that begins at ``at`` ends. Processes of one container have one pipe, and only up to
        PIPE_BUF bytes are kept together there."""
        if not self._pipe:
            return len(block)
        return block.rfind(b"\n", at, at + PIPE_BUF) + 1 or block.find(b"\n", at) + 1 or len(block)

    def _lose(self, block: bytes, at: int) -> None:
        """Give up what was not written. A line that was written in part is ended by the next write."""
        ends = block.startswith(b"\n", at)
        self._drop(block.count(b"\n", at) - ends)
        torn = at > 0 and block[at - 1 : at] != b"\n"
        self._rest = b"\n" if ends or torn else b""

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        if self._lost is not None:
            self._lost(lines)

    def _keep(self, block: bytes) -> None:
        if len(block) > MAX_PENDING_BYTES:
            end = block.rfind(b"\n", 0, MAX_PENDING_BYTES) + 1  # a line that was begun is ended
            self._drop(block.count(b"\n", end))
            block = block[:end]
        self._rest = block
        if self._loop is not None and not self._armed:
            self._armed = True
            self._loop.call_later(FLUSH_AFTER_S, self._timer)


class _LineLogger:
    """structlog's last step: a rendered line goes to the buffer, warnings at once."""

    def __init__(self, buffer: LineBuffer) -> None:
        self._buffer = buffer

    def _write(self, line: bytes) -> None:
        self._buffer.write(line)

    def _write_now(self, line: bytes) -> None:
        self._buffer.write(line, now=True)

    debug = info = _write
    warning = error = critical = _write_now


def _drop_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in event:
        if any(part in name.lower() for part in _SECRET_NAMES):
            event[name] = "***"
    return event


class Log:
    """A process's log: ``event`` lines through structlog, ``access`` lines straight to the buffer.

    structlog takes eight times as long as orjson alone, and a request has a line in every process.
    """

    def __init__(self, service: str, instance: str, level: str, mode: str, fd: int = 1) -> None:
        self.buffer = LineBuffer(fd, immediate=mode == "stdlib-sync")
        self._base = {"service": service, "instance": instance}
        self.event: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
            _LineLogger(self.buffer),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper("iso", key="time"),
                structlog.processors.format_exc_info,
                _drop_secrets,
                structlog.processors.JSONRenderer(serializer=_line),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            cache_logger_on_first_use=True,
        ).bind(**self._base)
        self._access_on = mode != "off" and self.event.is_enabled_for(logging.INFO)

    def access(self, fields: dict[str, Any]) -> None:
        """One request's line; ``fields`` hold only names and numbers that may be shown."""
        if self._access_on:
            head = {"time": datetime.now(UTC), "level": "info", **self._base, "event": "request"}
            self.buffer.write(_line(head | fields))


def _line(fields: dict[str, Any], **_: Any) -> bytes:
    # The driver's UUID is a subclass, which orjson leaves to ``default``. Added here, the line break makes a
    # copy of the right size; orjson's own buffer, kept until the flush, costs four times as much.
    return orjson.dumps(fields, default=str, option=orjson.OPT_UTC_Z) + b"\n"
