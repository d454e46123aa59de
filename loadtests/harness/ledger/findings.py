"""What no intent's class tells: orphan objects, leftovers of ended uploads, and strangers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import UUID

from loadtests.harness.ledger.evidence import Evidence, Finding, SessionRow
from loadtests.harness.ledger.join import Join
from loadtests.harness.records.vocabulary import LedgerFlag


def findings_of(evidence: Evidence, join: Join) -> tuple[Finding, ...]:
    return (
        *_orphan_objects(evidence, join),
        *_leftovers(evidence, join),
        *_foreign_rows(evidence, join),
        *_foreign_objects(evidence, join),
    )


def _orphan_objects(evidence: Evidence, join: Join) -> Iterator[Finding]:
    """Objects of a known upload that no live file row names; what still moves is not judged."""
    snapshot = evidence.snapshot
    named = {row.storage_key for row in snapshot.files if not row.deleted}
    moving = {row.storage_key for row in snapshot.sessions if row.upload_uuid in snapshot.progressing}
    for stored in snapshot.objects:
        ref = join.claimed_keys.get(stored.key)
        if ref is not None and stored.key not in named and stored.key not in moving:
            yield Finding(
                LedgerFlag.ORPHAN_OBJECT, f"object {stored.key} without file row", stored.size_bytes, ref
            )


def _leftovers(evidence: Evidence, join: Join) -> Iterator[Finding]:
    """Storage and jobs that an ended upload should have given back."""
    snapshot = evidence.snapshot
    by_key = {row.storage_key: row for row in snapshot.sessions}
    by_id = {str(row.upload_uuid): row for row in snapshot.sessions}
    refs = join.refs_by_session
    for multipart in snapshot.multiparts:
        session = by_key.get(multipart.key)
        if session is None or not session.is_open:
            what = f"incomplete multipart upload of {multipart.key}"
            yield Finding(LedgerFlag.LEFTOVER, what, multipart.size_bytes, _ref(refs, session))
    for stored in snapshot.temporary:
        session = by_id.get(upload_of_temporary(stored.key))
        if session is not None and not session.is_open:
            yield Finding(
                LedgerFlag.LEFTOVER, f"temporary object {stored.key}", stored.size_bytes, _ref(refs, session)
            )
    for spooled in snapshot.spool:
        session = by_id.get(str(spooled.upload_uuid))
        if session is not None and not session.is_open:
            yield Finding(
                LedgerFlag.LEFTOVER, f"spool file {spooled.path}", spooled.size_bytes, _ref(refs, session)
            )
    for session in snapshot.sessions:
        if not session.is_open and session.job_state is not None:
            what = f"job {session.job_state} of {session.status} upload {session.upload_uuid}"
            yield Finding(LedgerFlag.LEFTOVER, what, 0, _ref(refs, session))


def _foreign_rows(evidence: Evidence, join: Join) -> Iterator[Finding]:
    snapshot = evidence.snapshot
    for session in snapshot.sessions:
        if session.upload_uuid not in join.refs_by_session:
            yield Finding(
                LedgerFlag.FOREIGN, f"session {session.upload_uuid} ({session.status}) of no known upload"
            )
    for file in snapshot.files:
        if file.file_uuid not in join.claimed_files and not file.deleted:
            yield Finding(
                LedgerFlag.FOREIGN, f"file row {file.file_uuid} of no known upload", file.size_bytes
            )
    for file_id in sorted(snapshot.other_file_ids - evidence.baseline.file_ids):
        yield Finding(LedgerFlag.FOREIGN, f"file row {file_id} of another user, made during the load")


def _foreign_objects(evidence: Evidence, join: Join) -> Iterator[Finding]:
    snapshot = evidence.snapshot
    claimed = join.claimed_keys.keys() | evidence.baseline.object_keys
    for stored in snapshot.objects:
        if stored.key not in claimed:
            yield Finding(LedgerFlag.FOREIGN, f"object {stored.key} of no known upload", stored.size_bytes)
    known = {str(session.upload_uuid) for session in snapshot.sessions}
    for stored in snapshot.temporary:
        unknown = upload_of_temporary(stored.key) not in known
        if unknown and stored.key not in evidence.baseline.object_keys:
            yield Finding(
                LedgerFlag.FOREIGN, f"temporary object {stored.key} of no known upload", stored.size_bytes
            )


def upload_of_temporary(key: str) -> str:
    """The upload id in ``chunks/<upload>/<index>-<random>``; empty where there is none."""
    folders = key.split("/")
    return folders[1] if len(folders) > 2 else ""


def _ref(refs: Mapping[UUID, str], session: SessionRow | None) -> str | None:
    return None if session is None else refs.get(session.upload_uuid)
