"""The words of the files service as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Permission(StrEnum):
    """What the caller is to a file; exactly one applies, the first of these."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"
    PUBLIC = "public"


RENAMERS = (Permission.OWNER, Permission.EDITOR)
OWNER_ONLY = (Permission.OWNER,)
GRANTABLE = (Permission.VIEWER, Permission.EDITOR)


@dataclass(frozen=True, slots=True)
class Summary:
    """A file as its reader sees it."""

    file_id: UUID
    owner_id: UUID
    name: str
    mime_type: str
    size_bytes: int
    created_at: datetime
    is_public: bool
    updated_at: datetime
    permission: Permission
    checksum: str | None


@dataclass(frozen=True, slots=True)
class Readable:
    """A file together with where its bytes are."""

    summary: Summary
    storage_key: str
    etag: str | None


@dataclass(frozen=True, slots=True)
class Registration:
    """The facts that upload hands over; repeated with the same facts it changes nothing."""

    file_id: UUID
    upload_id: UUID
    owner_id: UUID
    name: str
    mime_type: str
    storage_key: str
    size_bytes: int
    checksum: str | None
    etag: str | None


@dataclass(frozen=True, slots=True)
class Living:
    """A file that lives, as it was registered, or the copy of one that is being made."""

    mime_type: str
    size_bytes: int
    checksum: str | None
    etag: str | None
    copying: bool


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration that holds, now ``created`` or repeated; ``file`` is None when it was deleted since."""

    created: bool
    file: Summary | None


class Change(StrEnum):
    """How a change to a file ended."""

    DONE = "done"
    HIDDEN = "hidden"
    FORBIDDEN = "forbidden"


class Scope(StrEnum):
    """Which files a list shows."""

    OWNED = "owned"
    SHARED = "shared"
    SHORTCUTS = "shortcuts"
    STORE = "store"  # the owner's objects as the store lists them


class Sort(StrEnum):
    CREATED = "created_at"
    NAME = "name"
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class Position:
    """The last file of a page: the value sorted by, and the id that breaks ties.

    ``value`` is microseconds since the epoch, a name, or bytes.
    """

    value: int | str
    file_id: UUID


@dataclass(frozen=True, slots=True)
class ListQuery:
    """One page of a list; ``after`` replaces ``page`` as the place to go on from."""

    scope: Scope
    size: int = 20
    page: int = 1
    sort: Sort = Sort.CREATED
    descending: bool = True
    name: str | None = None
    prefix: str | None = None
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """``total`` is None where the source cannot count. ``more`` tells whether a next page exists."""

    files: list[Summary]
    total: int | None
    more: bool


@dataclass(frozen=True, slots=True)
class Link:
    """A URL and the moment it stops working."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom to share with; ``email`` as accounts keep it."""

    email: str
    permission: Permission


@dataclass(frozen=True, slots=True)
class Share:
    user_id: UUID
    email: str
    permission: Permission
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FolderQuery:
    """One page of the folders inside one; ``prefix`` ends in ``/``, or is empty for the outermost."""

    prefix: str
    page: int = 1
    size: int = 20


@dataclass(frozen=True, slots=True)
class Folder:
    """``name`` is the last part of ``prefix``; the figures count every file below it."""

    prefix: str
    name: str
    file_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FolderPage:
    folders: list[Folder]
    total: int
