"""The audit of one piece of load on one stack: settle, look, read back, judge.

Every upload that a client decided to make gets exactly one class, from what the databases and the
store hold after the load. It reads; it never mends.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

from loadtests.harness.clients.payload import UploadRow
from loadtests.harness.k6.console import Lines
from loadtests.harness.ledger import databases
from loadtests.harness.ledger.classify import classify
from loadtests.harness.ledger.evidence import (
    Baseline,
    Classified,
    Evidence,
    OpenMultipart,
    SessionRow,
    Snapshot,
    SpoolFile,
    StoredObject,
)
from loadtests.harness.ledger.remarks import remarks
from loadtests.harness.ledger.settle import ABANDONED_QUIET_S, Settled, open_uploads, settle
from loadtests.harness.ledger.store import FILES_PREFIX, TEMPORARY_PREFIX, AuditStore
from loadtests.harness.ledger.table import WHOLE_CLASSES, make_samples, make_table
from loadtests.harness.records.samples import LedgerTable, UploadSample, Warn
from loadtests.harness.testbeds.connections import Databases

SAMPLE_OBJECTS = 100  # of one audit; a run has many
SETTLE_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Piece:
    """What is audited at once: some stretches, as one stack served them."""

    audit: int  # from 0, one number for all stacks
    stack: str
    stretches: tuple[str, ...]
    seed: int  # decides which objects are read back
    clients_came_back: bool = True  # see ``Evidence``
    killed: bool = False  # a process of the stack was killed on purpose


@dataclass(frozen=True, slots=True)
class Audit:
    """What one audit adds to the bundle."""

    table: LedgerTable
    samples: tuple[UploadSample, ...]
    warnings: tuple[Warn, ...]
    settled: Settled
    clock_offset_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Auditor:
    """Audits one stack, as often as it is asked.

    Args:
        read_all: hash every object, not a seeded sample.
        settle_limit_s: how long uploads may move on after the load.
        abandoned_quiet_s: how long to wait for uploads that only their clients could go on with.
    """

    databases: Databases
    store: AuditStore
    read_all: bool = False
    settle_limit_s: float = SETTLE_LIMIT_S
    abandoned_quiet_s: float = ABANDONED_QUIET_S

    async def audit(
        self, piece: Piece, lines: Lines, *, baseline: Baseline, rows: Iterable[UploadRow] = ()
    ) -> Audit:
        """Settle and judge everything that these lines tell of; its load has ended.

        ``rows`` are those that k6 was given: their ETags are compared where a store's ETags are MD5 sums.
        """
        users = await databases.harness_users(self.databases.auth)
        settled = await settle(
            lambda: open_uploads(self.databases.upload, users),
            limit_s=self.settle_limit_s,
            abandoned_quiet_s=self.abandoned_quiet_s,
        )
        evidence = Evidence(
            intents=tuple(lines.intents),
            outcomes={outcome.upload_ref: outcome for outcome in lines.outcomes},
            snapshot=await self.snapshot(users, settled.progressing),
            baseline=baseline,
            expected_etags={row.ref: frozenset(row.etags) for row in rows},
            clients_came_back=piece.clients_came_back,
        )
        evidence, classified = await self.judge(evidence, piece.seed)
        table = make_table(
            piece.audit, piece.stack, piece.stretches, baseline.files, classified, killed=piece.killed
        )
        offsets = dict(evidence.snapshot.clock_offset_s)
        return Audit(
            table=table,
            samples=make_samples(classified),
            warnings=tuple(remarks(lines, table, settled, offsets)),
            settled=settled,
            clock_offset_s=offsets,
        )

    async def judge(self, evidence: Evidence, seed: int) -> tuple[Evidence, Classified]:
        """Classify, read back objects of uploads that look whole, and classify with their hashes."""
        first = classify(evidence)
        whole = sorted(
            verdict.stored.key
            for verdict in first.verdicts
            if verdict.kind in WHOLE_CLASSES and verdict.stored is not None
        )
        if not self.read_all and len(whole) > SAMPLE_OBJECTS:
            whole = sorted(random.Random(seed).sample(whole, SAMPLE_OBJECTS))
        hashed = replace(evidence, hashes=await self.store.hashes(whole))
        return hashed, classify(hashed)

    async def snapshot(self, users: frozenset[UUID], progressing: frozenset[UUID]) -> Snapshot:
        """Rows of the harness's users and everything the store lists."""
        offsets, error_s = await databases.clock_offsets(self.databases.named())
        sessions, files, objects, temporary = await asyncio.gather(
            databases.sessions_of(self.databases.upload, users),
            databases.files_of(self.databases.files, users),
            self.store.objects(FILES_PREFIX),
            self.store.objects(TEMPORARY_PREFIX),
        )
        listed = await self.store.multiparts(suspect_keys(sessions, objects))
        return Snapshot(
            sessions=sessions,
            files=files,
            other_file_ids=await databases.other_file_ids(self.databases.files, users),
            objects=objects,
            temporary=temporary,
            multiparts=of_users(listed, users),
            spool=tuple(_spool_files(sessions)),
            progressing=progressing,
            clock_offset_s=offsets,
            clock_error_s=error_s,
        )


def suspect_keys(sessions: Iterable[SessionRow], objects: Iterable[StoredObject] = ()) -> set[str]:
    """Keys that may have an open multipart upload: of uploads that made one and were not completed,
    or that were, but whose object is not the work of a multipart upload."""
    etags: Mapping[str, str] = {stored.key: stored.etag for stored in objects}
    return {
        session.storage_key
        for session in sessions
        if session.storage_upload_id
        and (session.status != "completed" or "-" not in etags.get(session.storage_key, ""))
    }


def of_users(uploads: Iterable[OpenMultipart], users: frozenset[UUID]) -> tuple[OpenMultipart, ...]:
    """Those under the folders of the given users."""
    names = {str(user) for user in users}
    return tuple(upload for upload in uploads if user_of(upload.key) in names)


def user_of(key: str) -> str:
    """The user id in ``users/<user>/<file>``; empty where there is none."""
    folders = key.split("/")
    return folders[1] if len(folders) > 2 and f"{folders[0]}/" == FILES_PREFIX else ""


def _spool_files(sessions: Iterable[SessionRow]) -> Iterable[SpoolFile]:
    for session in sessions:
        for name in session.spool_paths:
            path = Path(name)
            if path.is_file():
                yield SpoolFile(name, session.upload_uuid, path.stat().st_size)


def verified_how(read_all: bool) -> str:
    """One sentence for the manifest: what was read back, and what was only compared."""
    others = (
        "the size in the store against the client's intent and both rows, the store's ETag against the one "
        "the service recorded, and, where the objects read back show that the store's ETags are MD5 sums, "
        "against the MD5 of the bytes that were sent"
    )
    if read_all:
        return f"every object read back and its SHA-256 compared with the client's intent; also {others}"
    read = f"in each audit {SAMPLE_OBJECTS} seeded objects read back and hashed (SHA-256)"
    return f"{read}; for the rest {others}"
