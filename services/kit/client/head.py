"""The head of a request as bytes."""

from __future__ import annotations

from services.kit.client.model import Call

_LENGTH_EXPECTED = frozenset({"POST", "PUT", "PATCH"})


def request_head(call: Call, host: str, length: int | None) -> bytes:
    """Head with ``Host`` and, where a body is or might be expected, ``Content-Length``.

    Args:
        length: of the body; None when only its end will tell: then it is sent in chunks.

    Raises:
        ValueError: a part of it would end a line or the target.
    """
    method, target, headers = call
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if length is None:
        lines.append("Transfer-Encoding: chunked")
    elif length or method in _LENGTH_EXPECTED:
        lines.append(f"Content-Length: {length}")
    text = "\r\n".join(lines)
    ends = len(lines) - 1
    if text.count("\n") != ends or text.count("\r") != ends or "\0" in text or lines[0].count(" ") != 2:
        raise ValueError("a request head must not hold line ends, NUL, or blanks in its target")
    return f"{text}\r\n\r\n".encode("utf-8", "surrogateescape")  # as a server of ours decoded it
