"""The supervisor's control socket: one JSON object per line in, one per line out.

Answers are `{"ok": true, …}` or `{"ok": false, "error": "…"}`. The socket has mode 0600. A unix socket
path is limited to 107 bytes whatever the folder is called, so both ends name it through the folder's
file descriptor where /proc is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Handler = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
SOCKET = "ctl.sock"
LINE_BYTES_MAX = 1 << 20


class ControlError(Exception):
    """The supervisor could not be reached or refused."""


@contextlib.contextmanager
def _address(run_dir: Path) -> Iterator[str]:
    """A short path of the socket, valid inside the block."""
    if not Path("/proc/self/fd").is_dir():
        yield str(run_dir / SOCKET)
        return
    folder = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


@contextlib.asynccontextmanager
async def serve(run_dir: Path, handler: Handler) -> AsyncIterator[None]:
    """Answers requests inside the block."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(json.dumps(await _answer(handler, line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    (run_dir / SOCKET).unlink(missing_ok=True)
    mask = os.umask(0o177)
    try:
        with _address(run_dir) as path:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
    finally:
        os.umask(mask)
    server = await asyncio.start_unix_server(connected, sock=listener, limit=LINE_BYTES_MAX)
    try:
        yield
    finally:
        server.close()
        (run_dir / SOCKET).unlink(missing_ok=True)


async def _answer(handler: Handler, line: bytes) -> dict[str, Any]:
    try:
        return {"ok": True, **await handler(json.loads(line))}
    except KeyError as exc:
        return {"ok": False, "error": f"missing or unknown: {exc.args[0]}"}
    except (ValueError, TypeError) as exc:
        return {"ok": False, "error": str(exc)}


def call(run_dir: Path, op: str, part: str = "", *, timeout_s: float = 90.0, **more: Any) -> dict[str, Any]:
    """Asks the supervisor of a run folder; raises `ControlError` when it refuses or is not there."""
    request = {"op": op, **({"part": part} if part else {}), **more}
    try:
        with _address(run_dir) as path, socket.socket(socket.AF_UNIX) as client:
            client.settimeout(timeout_s)
            client.connect(path)
            client.sendall(json.dumps(request).encode() + b"\n")
            line = client.makefile("rb").readline()
    except OSError as exc:
        raise ControlError(f"no answer from the supervisor in {run_dir}: {exc}") from exc
    if not line:
        raise ControlError(f"the supervisor in {run_dir} ended while it was asked to {op}")
    answer: dict[str, Any] = json.loads(line)
    if not answer.pop("ok"):
        raise ControlError(answer["error"])
    return answer


def last_lines(run_dir: Path, part: str, count: int = 8) -> list[str]:
    """The end of a part's log."""
    return end_of(run_dir / "logs" / f"{part}.log", count)


def end_of(log: Path, count: int) -> list[str]:
    """The last lines of a log; none when it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 64 * 1024))
            return list(deque(file.read().decode(errors="replace").splitlines(), maxlen=count))
    except OSError:
        return []
