"""Talking to the gateway, and as a service behind it, byte by byte."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

SAFE_S = 30.0


@dataclass(slots=True)
class Wire:
    """A client connection, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def rest(self) -> bytes:
        received = b""
        try:
            async with asyncio.timeout(SAFE_S):
                while piece := await self.reader.read(65_536):
                    received += piece
        except ConnectionError:
            pass
        self.writer.close()
        return received

    async def head(self) -> bytes:
        async with asyncio.timeout(SAFE_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> tuple[int, bytes]:
        """One whole answer with a declared length."""
        head = await self.head()
        status = int(head.split(b" ", 2)[1])
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        async with asyncio.timeout(SAFE_S):
            return status, await self.reader.readexactly(length)

    def leave(self) -> None:
        self.writer.transport.abort()


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop turns until ``condition`` holds; fails after a safe time."""
    async with asyncio.timeout(SAFE_S):
        while not condition():
            await asyncio.sleep(0.002)


async def ended(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


class Held:
    """A service that reads a head, and then does nothing until it is told, or left."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.left = asyncio.Event()

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        self.arrived.set()
        while await reader.read(65_536):
            pass
        self.left.set()


async def within(awaitable: asyncio.Event) -> None:
    async with asyncio.timeout(SAFE_S):
        await awaitable.wait()


async def pour(wire: Wire, length: int) -> int:
    """Send up to ``length`` bytes as fast as they are taken; how many were, until the gateway ended it."""
    sent = 0
    try:
        async with asyncio.timeout(SAFE_S):
            while sent < length:
                wire.send(b"x" * 65_536)
                sent += 65_536
                await wire.writer.drain()
    except (ConnectionError, TimeoutError):
        pass
    return sent


def statuses(received: bytes) -> list[int]:
    """The status of every answer in a byte stream."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


def request_bytes(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request from its line and header lines; ``Host`` is added."""
    return "\r\n".join([f"{line} HTTP/1.1", "Host: gateway", *headers, "", ""]).encode() + body
