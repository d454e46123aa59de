"""The bytes of an answer's head."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import Any

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus if status >= 200
}
BODILESS = frozenset({204, 304})


class Dates:
    """The header ``Date``, made once a second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second, self._line = -1, ""

    def line(self, now_s: float) -> str:
        second = int(now_s)
        if second != self._second:
            self._second, self._line = second, f"Date: {formatdate(second, usegmt=True)}\r\n"
        return self._line


def head(status: int, headers: Any, more: str) -> bytes:
    """Status line, ``headers`` (a mapping) and ``more``, which is whole lines.

    Raises:
        ValueError: a header would end its line early.
    """
    lines = [_LINES.get(status) or f"HTTP/1.1 {status} \r\n"]
    for name, value in headers.items():
        lines.append(f"{name}: {value}\r\n")
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        raise ValueError("a header holds a line break")
    return (text + more + "\r\n").encode("utf-8", "surrogateescape")


def bare(status: int) -> bytes:
    """The answer to what is not HTTP as we speak it: no body, and the connection ends."""
    return head(status, {}, "Server: vaultbench\r\nContent-Length: 0\r\nConnection: close\r\n")
