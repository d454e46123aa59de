"""Forms as browsers write them, and as nobody should."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

BOUNDARY = "----vaultbench7MA4YWxkTrZu0gW"
TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@dataclass(frozen=True, slots=True)
class Field:
    """One part; ``file_name`` None: a text field."""

    name: str
    content: bytes
    file_name: str | None = None
    more: str = ""

    def encoded(self) -> bytes:
        disposition = f'form-data; name="{self.name}"'
        if self.file_name is not None:
            disposition += f'; filename="{self.file_name}"'
        head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n{self.more}\r\n"
        return head.encode() + self.content + b"\r\n"


def form(*fields: Field) -> bytes:
    return b"".join(field.encoded() for field in fields) + f"--{BOUNDARY}--\r\n".encode()


def file(content: bytes, file_name: str = "testfile.bin", name: str = "file") -> Field:
    return Field(name, content, file_name)


async def in_pieces(body: bytes, piece_bytes: int = 60_000) -> AsyncIterator[bytes]:
    """A body without a length: it goes out in chunks."""
    for at in range(0, len(body), piece_bytes):
        yield body[at : at + piece_bytes]


def given(body: bytes, headers: Mapping[str, str] | None = None, *, chunked: bool = False) -> dict[str, Any]:
    """Arguments of a call that sends this form."""
    return {"data": in_pieces(body) if chunked else body, "headers": {**TYPE, **(headers or {})}}


def names(results: Iterable[dict[str, Any]]) -> list[str]:
    return [result["file_name"] for result in results]
