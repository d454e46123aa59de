"""A small world for the ledger's rules: one upload that went well, and ways to spoil it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from loadtests.harness.ledger.classify import classify
from loadtests.harness.ledger.evidence import (
    Baseline,
    Evidence,
    FileRow,
    OpenMultipart,
    SessionRow,
    Snapshot,
    SpoolFile,
    StoredObject,
)
from loadtests.harness.ledger.table import make_table
from loadtests.harness.records.samples import Intent, LedgerTable, Outcome

USER = UUID(int=1)
OTHER = UUID(int=2)
SIZE = 1000
ACKED_AT = 101.0
DURABLE_AT = 100.9


def upload_id(ref: str) -> UUID:
    return uuid5(USER, ref)


def key_of(ref: str) -> str:
    return f"users/{USER}/{upload_id(ref)}"


def digest_of(ref: str) -> str:
    return sha256(ref.encode()).hexdigest()


def etag_of(ref: str) -> str:
    return digest_of(ref)[:32]


def intent(ref: str) -> Intent:
    return Intent(
        upload_ref=ref,
        stretch="s001",
        arm="proxy-chunked",
        user_id=str(USER),
        size_bytes=SIZE,
        sha256=digest_of(ref),
        at=100.0,
    )


def outcome(ref: str, acked: bool = True, **changes: Any) -> Outcome:
    facts: dict[str, Any] = {
        "upload_ref": ref,
        "acked": acked,
        "upload_uuid": str(upload_id(ref)),
        "started_at": 100.0,
        "ended_at": ACKED_AT,
        "step": None if acked else "chunk",
        "status": None if acked else 503,
    }
    return Outcome(**{**facts, **changes})


def session(ref: str, status: str = "completed", **changes: Any) -> SessionRow:
    row = SessionRow(
        upload_uuid=upload_id(ref),
        user_id=USER,
        method="proxy",
        status=status,
        size_bytes=SIZE,
        storage_key=key_of(ref),
        checksum=digest_of(ref),
        etag=etag_of(ref),
        idempotency_key=ref,
        ended_at=DURABLE_AT,
        chunk_bytes=SIZE,
    )
    return replace(row, **changes)


def file(ref: str, **changes: Any) -> FileRow:
    row = FileRow(
        file_uuid=upload_id(ref),
        upload_uuid=upload_id(ref),
        user_id=USER,
        size_bytes=SIZE,
        storage_key=key_of(ref),
        checksum=digest_of(ref),
        etag=etag_of(ref),
        visible_at=DURABLE_AT - 0.1,
    )
    return replace(row, **changes)


def stored(ref: str, **changes: Any) -> StoredObject:
    return replace(StoredObject(key_of(ref), SIZE, etag_of(ref)), **changes)


@dataclass
class World:
    """Evidence under construction."""

    intents: list[Intent] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    sessions: list[SessionRow] = field(default_factory=list)
    files: list[FileRow] = field(default_factory=list)
    objects: list[StoredObject] = field(default_factory=list)
    temporary: list[StoredObject] = field(default_factory=list)
    multiparts: list[OpenMultipart] = field(default_factory=list)
    spool: list[SpoolFile] = field(default_factory=list)
    other_file_ids: frozenset[UUID] = frozenset()
    progressing: frozenset[UUID] = frozenset()
    baseline: Baseline = field(default_factory=Baseline)
    hashes: dict[str, str] = field(default_factory=dict)
    expected_etags: dict[str, frozenset[str]] = field(default_factory=dict)
    offsets: dict[str, float] = field(default_factory=dict)
    clients_came_back: bool = False

    def verified(self, *refs: str) -> World:
        """Uploads of which everything is as it should be."""
        for ref in refs:
            self.intents.append(intent(ref))
            self.outcomes.append(outcome(ref))
            self.sessions.append(session(ref))
            self.files.append(file(ref))
            self.objects.append(stored(ref))
        return self

    def evidence(self) -> Evidence:
        return Evidence(
            intents=tuple(self.intents),
            outcomes={one.upload_ref: one for one in self.outcomes},
            snapshot=Snapshot(
                sessions=tuple(self.sessions),
                files=tuple(self.files),
                other_file_ids=self.other_file_ids,
                objects=tuple(self.objects),
                temporary=tuple(self.temporary),
                multiparts=tuple(self.multiparts),
                spool=tuple(self.spool),
                progressing=self.progressing,
                clock_offset_s=self.offsets,
            ),
            baseline=self.baseline,
            hashes=self.hashes,
            expected_etags=self.expected_etags,
            clients_came_back=self.clients_came_back,
        )

    def table(self) -> LedgerTable:
        """What one audit of it writes down."""
        return make_table(0, "", ("s001",), self.baseline.files, classify(self.evidence()))
