"""Asking a part whether it is well: HTTP, TCP or a program. A probe never raises, it says yes or no."""

from __future__ import annotations

import asyncio
import urllib.parse

from compose.part import Probe


async def answers(probe: Probe) -> bool:
    """True when the part answered as it should within the probe's time limit."""
    try:
        async with asyncio.timeout(probe.timeout_s):
            if probe.http is not None:
                return await _http(probe.http)
            if probe.exec is not None:
                return await _exec(probe.exec, dict(probe.env))
            return await _tcp(probe.tcp or 0)
    except (OSError, TimeoutError, ValueError, IndexError):
        return False


async def _http(url: str) -> bool:
    parts = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        head = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        status = await reader.readline()
        return int(status.split()[1]) == 200
    finally:
        writer.close()


async def _tcp(port: int) -> bool:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return True


async def _exec(command: tuple[str, ...], env: dict[str, str]) -> bool:
    quiet = asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=quiet, env=env)
    try:
        return await child.wait() == 0
    finally:
        if child.returncode is None:
            child.kill()
