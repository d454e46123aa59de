"""Values that go in and out of the store client. ETags keep the quotes the store sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """An object or part is in the store; ``etag`` is ``""`` when the store sent none."""

    etag: str


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What HEAD says; ``meta`` holds the ``x-amz-meta-`` headers, names lower-cased and without it."""

    size_bytes: int
    etag: str
    content_type: str
    last_modified: datetime | None
    meta: dict[str, str]


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One object of a listing."""

    key: str
    size_bytes: int
    etag: str
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    initiated: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart upload, as the store lists it or as ``complete_multipart`` takes it."""

    number: int
    etag: str
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``first`` to ``last``, both included, counted from 0."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"bytes={self.first}-{self.last}"


def same_etag(one: str | None, other: str | None) -> bool:
    """Whether two ETags are equal, quotes apart."""
    return (one or "").strip('"') == (other or "").strip('"')
