"""A server that takes every request, keeps nothing and agrees at once.

Against it the load generator shows what it can do by itself: how many uploads a second at most, and how
long one takes when nobody works on it. It stands in for the gateway and for the store, so its one answer
holds what a strategy may ask of either. Started by ``ceiling`` as a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import cast

import uvloop

HEAD_END = b"\r\n\r\n"
MAX_HEAD_BYTES = 64 * 1024
MOST_FILES = 5  # in one request of any strategy


class Sink(asyncio.Protocol):
    """One connection: reads a head, skips the body, answers, again."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._head = b""
        self._body_left = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        while data:
            if self._body_left:
                skipped = min(self._body_left, len(data))
                self._body_left -= skipped
                data = data[skipped:]
                if not self._body_left:
                    self._reply()
                continue
            self._head += data
            end = self._head.find(HEAD_END)
            if end < 0:
                if len(self._head) > MAX_HEAD_BYTES and self._transport is not None:
                    self._transport.close()
                return
            head, data, self._head = self._head[:end], self._head[end + len(HEAD_END) :], b""
            self._body_left = content_length(head)
            if not self._body_left:
                self._reply()

    def _reply(self) -> None:
        if self._transport is not None:
            self._transport.write(self._answer)


def content_length(head: bytes) -> int:
    """Bytes of the body that follows a head; 0 where it names none."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def make_answer(url: str, parts: int) -> bytes:
    """One answer for all: a session, a login, a stored part, a finished upload, a batch of them."""
    upload_uuid = "00000000-0000-4000-8000-000000000000"
    facts = {
        "upload_uuid": upload_uuid,
        "results": [{"index": at, "success": True, "file_id": upload_uuid} for at in range(MOST_FILES)],
        "token": "none",
        "url": f"{url}/object",
        "parts": [{"part_number": index + 1, "url": f"{url}/part/{index + 1}"} for index in range(parts)],
    }
    body = json.dumps(facts).encode()
    lines = ("HTTP/1.1 200 OK", "Content-Type: application/json", 'ETag: "0"', f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + HEAD_END + body


async def serve(parts: int) -> None:
    """Serve on a free port, say which, and end when whoever started this closes our input."""
    loop = asyncio.get_running_loop()
    answer = b""
    server = await loop.create_server(lambda: Sink(answer), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    answer = make_answer(url, parts)
    print(url, flush=True)
    await loop.run_in_executor(None, os.read, sys.stdin.fileno(), 1)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=1, help="addresses of parts in the answer")
    uvloop.run(serve(parser.parse_args().parts))


if __name__ == "__main__":
    main()
