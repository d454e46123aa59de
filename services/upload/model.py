"""The words of the upload service as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

MIN_PART_BYTES = 5 * 1024 * 1024  # the store's smallest part, but for the last one
MAX_PART_BYTES = 5 * 1024 * 1024 * 1024
MAX_PUT_BYTES = 5 * 1024 * 1024 * 1024  # the store's largest object in one PUT
MAX_PARTS = 10_000
ADVISED_CHUNK_BYTES = 5 * 1024 * 1024
MAX_CHUNK_BYTES = 10 * 1024 * 1024
MAX_CHUNK_INDEX = 9_999


class Method(StrEnum):
    PROXY = "proxy"
    MULTIPART = "multipart"
    SINGLE = "single"
    FILE = "file"
    BATCH = "batch"


DIRECT = (Method.MULTIPART, Method.SINGLE)  # bytes that pass us by


class State(StrEnum):
    PENDING = "pending"
    ASSEMBLING = "assembling"
    UPLOADING = "uploading"
    COMPLETING = "completing"
    COMPLETED = "completed"
    FAILED = "failed"
    ABORTED = "aborted"


OPEN_STATES = (State.PENDING, State.ASSEMBLING, State.UPLOADING, State.COMPLETING)


class Step(StrEnum):
    """How far a finalisation is; it resumes here. Only a repack ever leaves the first step.

    ``ASSEMBLE``: what the upload is made of is as it was accepted. ``JOINED``: the parts are being, or
    were, joined to an object that is no file yet. ``STORE``: the parts of the object that replaces it
    are being, or were, completed.
    """

    ASSEMBLE = "assemble"
    JOINED = "joined"
    STORE = "store"


class ChunkOutcome(StrEnum):
    """What becomes of a chunk, as the functions of the database judge it."""

    STORED = "stored"
    REPLACED = "replaced"
    DUPLICATE = "duplicate"
    EMPTY = "empty"
    JOIN = "join"  # all bytes were in before; the upload is being finished
    DONE = "done"  # ... and it is finished
    REQUEUED = "requeued"  # ... and it had failed
    GONE = "gone"
    WRONG_METHOD = "wrong_method"
    ABORTED = "aborted"
    FAILED = "failed"
    CONFLICT = "conflict"
    NOT_OPEN = "not_open"
    TOO_LARGE = "too_large"
    GAP = "gap"
    SEND_AGAIN = "send_again"


class CompleteOutcome(StrEnum):
    """What becomes of a client's word that its direct upload is complete."""

    BEGUN = "begun"
    JOIN = "join"  # it is being finished
    DONE = "done"
    WRONG_METHOD = "wrong_method"
    ABORTED = "aborted"
    MISSING = "missing"


class OpenOutcome(StrEnum):
    """How the opening of a session ended: a new row, the row of its idempotency key, or the limit.

    Only of a file sent in one request: its key was used for another file, or the row of its key had failed
    and its job is queued again.
    """

    CREATED = "created"
    REPEATED = "repeated"
    FULL = "full"
    CONFLICT = "conflict"
    REQUEUED = "requeued"


class PartOutcome(StrEnum):
    """How the registration of a part ended."""

    NEW = "new"
    UPDATED = "updated"
    SAME = "same"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Session:
    """One upload. Its uuid is also the id of the file it becomes.

    ``mime_type`` is implied by the name, or else was found in the first chunk's bytes.
    ``file_size_bytes`` is None while a file of unknown length is received in one request. ``checksum`` is
    the SHA-256 of the whole file where one is known: as its sender promised it, then as it was received.
    """

    id: int
    upload_uuid: UUID
    user_id: UUID
    method: Method
    status: State
    file_name: str
    mime_type: str | None
    file_size_bytes: int | None
    part_size_bytes: int | None
    last_part_bytes: int | None
    total_chunks: int
    received_bytes: int
    max_chunk_index: int
    storage_key: str
    storage_upload_id: str | None
    etag: str | None
    finalise_mode: str
    error_code: str | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    urls_expire_at: datetime | None
    final_key_taken: bool
    checksum: str | None = None

    def with_status(self, status: State) -> Session:
        return replace(self, status=status)

    def part_bytes(self, number: int) -> int:
        """The length of a part of a multipart upload; its number counts from 1."""
        return (self.last_part_bytes if number == self.total_chunks else self.part_size_bytes) or 0


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a session is opened with; ``urls_life`` when presigned URLs are handed out with it.

    ``storage_upload_id`` is the store's upload that was opened for it before.
    """

    upload_uuid: UUID
    user_id: UUID
    method: Method
    file_name: str
    mime_type: str | None
    file_size_bytes: int
    part_size_bytes: int | None
    last_part_bytes: int | None
    total_chunks: int
    finalise_mode: str
    idempotency_key: str | None
    ttl: timedelta
    urls_life: timedelta | None = None
    storage_upload_id: str | None = None

    @property
    def storage_key(self) -> str:
        return f"users/{self.user_id}/{self.upload_uuid}"

    def same_facts(self, other: Session) -> bool:
        """Whether ``other`` was opened by the same request."""
        return (self.method, self.file_name, self.file_size_bytes, self.part_size_bytes) == (
            other.method,
            other.file_name,
            other.file_size_bytes,
            other.part_size_bytes,
        )


@dataclass(frozen=True, slots=True)
class Send:
    """One chunk as its request declares it; ``checksum`` is the client's SHA-256, if it sent one."""

    upload_uuid: UUID
    user_id: UUID
    index: int
    size_bytes: int
    checksum: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A session as a chunk finds it, what is stored at its index, and the slot claimed for it.

    ``outcome`` is what would become of a chunk of that index and length; with a stored one of the same
    length the bytes decide in the end.
    """

    session: Session
    outcome: ChunkOutcome
    stored_bytes: int | None
    stored_checksum: str | None
    slot: int | None


class SourceKind(StrEnum):
    """Where an accepted chunk is; the first word of its location."""

    FINAL = "final"  # it is the final object
    PART = "part"  # of the upload's multipart upload
    TEMPORARY = "temp"  # an object of its own
    SPOOL = "spool"  # a file of ours


@dataclass(frozen=True, slots=True)
class Source:
    """An accepted chunk: ``location`` is ``final``, ``part:<number>``, ``temp:<key>`` or
    ``spool:<path>``."""

    size_bytes: int
    location: str
    etag: str | None

    @property
    def kind(self) -> SourceKind:
        return SourceKind(self.location.partition(":")[0])

    @property
    def place(self) -> str:
        return self.location.partition(":")[2]


@dataclass(frozen=True, slots=True)
class RegisteredPart:
    number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class Work:
    """A finalisation to be done: the upload, what it is made of, and how far it is.

    ``etag`` is the ETag of the object that a repack's ``step`` makes, or that the client of a single
    upload names; ``joined_etag`` and ``repack_upload_id`` belong to a repack. ``attempts`` is the number of
    this attempt; ``acquired`` the number under which the job was taken, which every write of it names.
    """

    session: Session
    step: Step = Step.ASSEMBLE
    etag: str | None = None
    sources: tuple[Source, ...] = ()
    parts: tuple[RegisteredPart, ...] = ()
    checksum: str | None = None  # SHA-256 of the whole file, when one chunk holds it
    attempts: int = 1
    acquired: int = 1
    joined_etag: str | None = None
    repack_upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """The object is in the store under its final key."""

    etag: str
    checksum: str | None = None


# A file as the files service shows it to its owner: JSON.
Looks = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Living:
    """A file that the files service has, as it was registered, or one that it is ``copying``."""

    mime_type: str | None
    size_bytes: int
    checksum: str | None
    etag: str | None
    copying: bool = False
