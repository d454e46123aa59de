"""JSON logs, one line per event, written in blocks.

Lines collect for at most 100 ms and leave together; a warning leaves at once. A SIGKILL loses at
most those 100 ms. A pipe that nobody reads never stops the loop: 4 MiB are kept, then lines are
dropped and counted. What is logged holds no secret, e-mail, signed URL, body or file name.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from select import PIPE_BUF
from typing import Any

import orjson
import structlog

MAX_PENDING_BYTES = 4 * 1024 * 1024
FLUSH_AFTER_S = 0.1
FLUSH_LINES = 256
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SECRET_NAMES = ("password", "token", "secret", "authorization", "email", "url", "file_name")


class LineBuffer:
    """Collects lines for one file descriptor. ``dropped`` counts lines lost to a blocked reader."""

    def __init__(self, fd: int, *, immediate: bool = False) -> None:
        self._fd = fd
        self._immediate = immediate
        self._lines: list[bytes] = []
        self._rest = b""
        self._pipe = False
        self._armed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.dropped = 0

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Flush by timer on ``loop`` from now on; without it every line is written at once."""
        self._loop = loop
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

    def _end(self, block: bytes, at: int) -> int:
        """Where a write that begins at ``at`` ends. Processes of one container have one pipe, and only up to
        PIPE_BUF bytes are kept together there."""
        if not self._pipe:
            return len(block)
        return block.rfind(b"\n", at, at + PIPE_BUF) + 1 or block.find(b"\n", at) + 1 or len(block)

    def _keep(self, block: bytes) -> None:
        if len(block) > MAX_PENDING_BYTES:
            end = block.rfind(b"\n", 0, MAX_PENDING_BYTES) + 1  # a line that was begun is ended
            self.dropped += block.count(b"\n", end)
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
        self._buffer.write(line + b"\n")

    def _write_now(self, line: bytes) -> None:
        self._buffer.write(line + b"\n", now=True)

    debug = info = msg = _write
    warning = warn = error = exception = critical = fatal = failure = _write_now


def _drop_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in event:
        if any(part in name.lower() for part in _SECRET_NAMES):
            event[name] = "***"
    return event


class Stamps:
    """The time of a line, in microseconds; the text of a second is made once."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second, self._text = -1, ""

    def __call__(self) -> str:
        second, rest_ns = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{rest_ns // 1000:06d}Z"


class Log:
    """A process's log: ``event`` lines through structlog, ``access`` lines straight to the buffer."""

    def __init__(self, service: str, instance: str, level: str, mode: str, fd: int = 1) -> None:
        self.buffer = LineBuffer(fd, immediate=mode == "stdlib-sync")
        self._access_on = mode != "off" and _LEVELS[level] <= _LEVELS["info"]
        base = {"service": service, "instance": instance}
        timestamp = self._timestamp = Stamps()
        self._base = base

        def stamp(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
            return {"time": timestamp(), "level": method, **base, **event}

        self.event: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
            _LineLogger(self.buffer),
            processors=[
                stamp,
                structlog.processors.format_exc_info,
                _drop_secrets,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
            cache_logger_on_first_use=True,
        )

    def access(self, fields: dict[str, Any]) -> None:
        """One request's line; ``fields`` hold only names and numbers that may be shown."""
        if self._access_on:
            line = {"time": self._timestamp(), "level": "info", **self._base, "event": "request", **fields}
            self.buffer.write(orjson.dumps(line, default=str) + b"\n")  # the driver's UUID is a subclass


def _dumps(value: Any, default: Callable[[Any], Any] = str, **_: Any) -> bytes:
    return orjson.dumps(value, default=default)
