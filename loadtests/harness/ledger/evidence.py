"""What the ledger compares: rows and objects as they were found, and nothing derived from them.

Times are seconds since the epoch. Rows carry the clock of their own database; the ledger corrects
them by ``Snapshot.clock_offset_s`` when it compares them with the client's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from loadtests.harness.records.samples import Intent, Outcome
from loadtests.harness.records.vocabulary import OPEN_STATES, LedgerClass, LedgerFlag

UPLOAD_DATABASE = "upload_db"
FILES_DATABASE = "files_db"


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One row of ``upload_sessions``, with what its chunks, parts and job add up to."""

    upload_uuid: UUID
    user_id: UUID
    method: str
    status: str
    size_bytes: int | None
    storage_key: str
    storage_upload_id: str | None = None
    checksum: str | None = None
    etag: str | None = None
    idempotency_key: str | None = None
    returned_key: str | None = None
    ended_at: float | None = None
    error_code: str | None = None
    chunk_bytes: int | None = None  # None: no chunk row
    part_bytes: int | None = None  # None: no part row
    job_state: str | None = None
    spool_paths: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATES

    @property
    def gave_key_back(self) -> bool:
        """A file in one request that broke off: it ended with nothing, and the same key may begin again."""
        return self.status == "aborted" and self.returned_key is not None


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row of ``files``."""

    file_uuid: UUID
    upload_uuid: UUID | None
    user_id: UUID
    size_bytes: int
    storage_key: str
    checksum: str | None = None
    etag: str | None = None
    visible_at: float | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    size_bytes: int
    etag: str  # without quotes


@dataclass(frozen=True, slots=True)
class OpenMultipart:
    """A multipart upload that the store still keeps open, and the bytes of its parts."""

    key: str
    upload_id: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SpoolFile:
    path: str
    upload_uuid: UUID
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """What other users had before the load: never counted as ours, never touched."""

    file_ids: frozenset[UUID] = frozenset()
    object_keys: frozenset[str] = frozenset()

    @property
    def files(self) -> int:
        """The larger of rows and objects, so that a user with only one of them still shows."""
        stored = sum(key.startswith("users/") for key in self.object_keys)
        return max(len(self.file_ids), stored)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Databases and store after settling. ``progressing`` sessions still moved when settling was cut."""

    sessions: tuple[SessionRow, ...] = ()
    files: tuple[FileRow, ...] = ()
    other_file_ids: frozenset[UUID] = frozenset()
    objects: tuple[StoredObject, ...] = ()  # everything under users/, the baseline included
    temporary: tuple[StoredObject, ...] = ()  # everything under chunks/
    multiparts: tuple[OpenMultipart, ...] = ()
    spool: tuple[SpoolFile, ...] = ()
    progressing: frozenset[UUID] = frozenset()
    clock_offset_s: Mapping[str, float] = field(default_factory=dict)
    clock_error_s: float = 0.0  # largest uncertainty of the offsets


@dataclass(frozen=True, slots=True)
class Evidence:
    """All the ledger knows about one piece of load on one stack.

    ``clients_came_back``: all of them asked for more to do, so an upload without an outcome was dropped in
    silence. Where they did not (the generator died), it was cut off.
    """

    intents: tuple[Intent, ...]
    outcomes: Mapping[str, Outcome]
    snapshot: Snapshot
    baseline: Baseline = Baseline()
    hashes: Mapping[str, str] = field(default_factory=dict)  # object key -> SHA-256 read back
    expected_etags: Mapping[str, frozenset[str]] = field(default_factory=dict)  # upload_ref -> ETags
    clients_came_back: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one class of one intent, why, and what belonged to it."""

    intent: Intent
    outcome: Outcome | None
    kind: LedgerClass
    reason: str
    session: SessionRow | None = None
    file: FileRow | None = None
    stored: StoredObject | None = None
    durable_at: float | None = None  # on the harness's clock
    visible_at: float | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is no intent's class: an orphan, a leftover, a stranger."""

    flag: LedgerFlag
    what: str
    size_bytes: int = 0
    upload_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Classified:
    """Every intent exactly once, and the findings beside them."""

    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]
    flags: Mapping[str, int]
