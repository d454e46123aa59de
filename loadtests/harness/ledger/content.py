"""Is the stored content the one the client meant? Sizes, checksums and ETags against each other.

The SHA-256 of an object is known for those that were read back. For the others the store's own ETag
must be the one the service recorded when the object was made, and, on a store whose ETags are MD5
sums, the MD5 of the content that was sent. Whether they are is not assumed: it is taken from the
objects that were read back and found right.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.harness.ledger.evidence import Evidence, FileRow, SessionRow, StoredObject
from loadtests.harness.ledger.join import Join, Joined
from loadtests.harness.records.samples import Intent


@dataclass(frozen=True, slots=True)
class Content:
    """Compares one joined upload with its intent."""

    evidence: Evidence
    etags_are_md5: bool

    def broken(self, joined: Joined) -> str | None:
        """What does not agree, or None."""
        file, stored = joined.file, joined.stored
        if file is None or stored is None:
            return None
        return (
            _wrong_place(joined.intent, file, stored)
            or _wrong_size(joined.intent, file, stored)
            or _wrong_rows(joined.intent, joined.session)
            or self._wrong_content(joined.intent, file, stored)
            or self._wrong_etag(joined.intent, joined.session, file, stored)
        )

    def _wrong_content(self, intent: Intent, file: FileRow, stored: StoredObject) -> str | None:
        if file.checksum and file.checksum != intent.sha256:
            return "the file row's checksum is not the upload's"
        read_back = self.evidence.hashes.get(stored.key)
        if read_back == "":
            return "the object is listed, but cannot be read"
        if read_back is not None and read_back != intent.sha256:
            return "the bytes read back have another SHA-256"
        return None

    def _wrong_etag(
        self, intent: Intent, session: SessionRow | None, file: FileRow, stored: StoredObject
    ) -> str | None:
        recorded = {etag for etag in (file.etag, session.etag if session else None) if etag}
        if any(etag.strip('"') != stored.etag for etag in recorded):
            return "the object's ETag is not the recorded one"
        expected = self.evidence.expected_etags.get(intent.upload_ref, frozenset())
        if self.etags_are_md5 and _differs(stored.etag, expected):
            return "the object's ETag is not the MD5 of the upload's bytes"
        return None


def content_of(evidence: Evidence, join: Join) -> Content:
    """Decide from the objects read back what the store's ETags stand for."""
    told = [
        stored.etag in evidence.expected_etags.get(joined.intent.upload_ref, frozenset())
        for joined in join.all
        for stored in joined.objects
        if evidence.hashes.get(stored.key) == joined.intent.sha256
        and joined.intent.upload_ref in evidence.expected_etags
    ]
    return Content(evidence, etags_are_md5=bool(told) and all(told))


def _wrong_place(intent: Intent, file: FileRow, stored: StoredObject) -> str | None:
    if str(file.user_id) != intent.user_id:
        return "the file belongs to another user"
    if stored.key != file.storage_key:
        return "the object is not where the file row says"
    return None


def _wrong_size(intent: Intent, file: FileRow, stored: StoredObject) -> str | None:
    if stored.size_bytes != intent.size_bytes:
        return f"the object has {stored.size_bytes} bytes, the upload {intent.size_bytes}"
    if file.size_bytes != intent.size_bytes:
        return f"the file row says {file.size_bytes} bytes, the upload has {intent.size_bytes}"
    return None


def _wrong_rows(intent: Intent, session: SessionRow | None) -> str | None:
    if session is None or session.is_open:
        return None
    if session.size_bytes is not None and session.size_bytes != intent.size_bytes:
        return f"the session row says {session.size_bytes} bytes, the upload has {intent.size_bytes}"
    if session.checksum and session.checksum != intent.sha256:
        return "the session row's checksum is not the upload's"
    for name, total in (("chunks", session.chunk_bytes), ("parts", session.part_bytes)):
        if total is not None and total != intent.size_bytes:
            return f"the accepted {name} add up to {total} bytes, the upload has {intent.size_bytes}"
    return None


def _differs(etag: str, expected: frozenset[str]) -> bool:
    """Whether an ETag of the same form (one sum, or n parts) is expected, but not this one."""
    form = etag.partition("-")[2]
    alike = {known for known in expected if known.partition("-")[2] == form}
    return bool(alike) and etag not in alike
