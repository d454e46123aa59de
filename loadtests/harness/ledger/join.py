"""Which rows and objects belong to which intent.

A session belongs to an intent by its idempotency key, also one that it gave back, by the id that the client
was given, or by the checksum of its content. A file belongs by its session's id or by checksum. An object
belongs by its key; one whose key no row knows belongs by the id in its name, or by an ETag that only one
content has.

Contents are unique, so joining by checksum and ETag finds second copies that were made without a key.
Where several intents share one content, it is not used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar
from uuid import UUID

from loadtests.harness.ledger.evidence import Evidence, FileRow, SessionRow, StoredObject
from loadtests.harness.records.samples import Intent, Outcome

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Joined:
    """One intent with everything that belongs to it; ``files`` are the live ones."""

    intent: Intent
    outcome: Outcome | None
    sessions: tuple[SessionRow, ...]
    files: tuple[FileRow, ...]
    objects: tuple[StoredObject, ...]

    @property
    def acked(self) -> bool:
        return self.outcome is not None and self.outcome.acked

    @property
    def session(self) -> SessionRow | None:
        return self.sessions[0] if self.sessions else None

    @property
    def file(self) -> FileRow | None:
        return self.files[0] if self.files else None

    @property
    def stored(self) -> StoredObject | None:
        return self.objects[0] if self.objects else None

    def ids(self) -> frozenset[str]:
        known = [str(session.upload_uuid) for session in self.sessions]
        known += [str(file.file_uuid) for file in self.files]
        return frozenset(known)


class Join:
    """All intents of one audit, joined; what nobody claimed is left over for the findings."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._intents = {intent.upload_ref: intent for intent in reversed(evidence.intents)}
        self._by_key = {intent.key or ref: ref for ref, intent in self._intents.items()}
        self._by_content = _unique((intent.sha256, ref) for ref, intent in self._intents.items())
        # In the order of their references, so that the order of rows decides nothing.
        self._sessions = dict(sorted(self._claim_sessions().items()))
        self._files = dict(sorted(self._claim_files().items()))
        self._objects = dict(sorted(self._claim_objects().items()))
        self.refs_by_session = {row: ref for ref, rows in self._sessions.items() for row in rows}
        self.claimed_files = {row for rows in self._files.values() for row in rows}
        self.claimed_keys = {row.key: ref for ref, rows in self._objects.items() for row in rows}

    @cached_property
    def all(self) -> tuple[Joined, ...]:
        """One entry for each intent, in the order the client decided."""
        refs = dict.fromkeys(intent.upload_ref for intent in self._evidence.intents)
        return tuple(self._joined(ref) for ref in refs)

    def _joined(self, ref: str) -> Joined:
        """What belongs to one intent; the first of several is the one that the client was told of."""
        outcome = self._evidence.outcomes.get(ref)
        told = outcome.upload_uuid if outcome else None
        sessions = sorted(
            self._sessions.get(ref, {}).values(),
            key=lambda row: (
                str(row.upload_uuid) != told,
                row.gave_key_back,
                row.status != "completed",
                row.upload_uuid,
            ),
        )
        first = sessions[0].upload_uuid if sessions else None
        files = sorted(
            self._files.get(ref, {}).values(), key=lambda row: (row.upload_uuid != first, row.file_uuid)
        )
        place = files[0].storage_key if files else None
        objects = sorted(self._objects.get(ref, ()), key=lambda stored: (stored.key != place, stored.key))
        return Joined(self._intents[ref], outcome, tuple(sessions), tuple(files), tuple(objects))

    def _claim_sessions(self) -> Mapping[str, dict[UUID, SessionRow]]:
        claimed: dict[str, dict[UUID, SessionRow]] = defaultdict(dict)
        by_id = self._refs_by_given_id()
        for row in self._evidence.snapshot.sessions:
            keys = (row.idempotency_key or "", row.returned_key or "")
            refs = {by_id.get(str(row.upload_uuid)), *map(self._by_key.get, keys)}
            if refs == {None}:
                refs.add(self._by_content.get(row.checksum or ""))
            for ref in refs - {None}:
                claimed[str(ref)][row.upload_uuid] = row
        return claimed

    def _claim_files(self) -> Mapping[str, dict[UUID, FileRow]]:
        claimed: dict[str, dict[UUID, FileRow]] = defaultdict(dict)
        by_id = self._refs_by_given_id()
        by_session = {row: ref for ref, rows in self._sessions.items() for row in rows}
        for row in self._evidence.snapshot.files:
            if row.deleted:
                continue
            ref = (
                by_session.get(row.upload_uuid or row.file_uuid)
                or by_session.get(row.file_uuid)
                or by_id.get(str(row.file_uuid))
                or self._by_content.get(row.checksum or "")
            )
            if ref is not None:
                claimed[ref][row.file_uuid] = row
        return claimed

    def _claim_objects(self) -> Mapping[str, list[StoredObject]]:
        claimed: dict[str, list[StoredObject]] = defaultdict(list)
        by_key = self._refs_by_key()
        rest: list[StoredObject] = []
        for stored in self._evidence.snapshot.objects:
            ref = by_key.get(stored.key)
            if ref is not None:
                claimed[ref].append(stored)
            elif stored.key not in self._evidence.baseline.object_keys:
                rest.append(stored)
        self._claim_copies(rest, claimed)
        return claimed

    def _claim_copies(self, rest: Iterable[StoredObject], claimed: dict[str, list[StoredObject]]) -> None:
        """Objects whose key no row knows: copies of a known content, or named after a known id."""
        by_id = {str(row): ref for ref, rows in self._sessions.items() for row in rows}
        etags = [(stored.etag, ref) for ref, rows in claimed.items() for stored in rows]
        etags += [(etag, ref) for ref, known in self._evidence.expected_etags.items() for etag in known]
        by_etag = _unique(set(etags))
        strangers = self._strangers_keys()
        for stored in rest:
            ref = by_id.get(stored.key.rpartition("/")[2])
            if ref is None and stored.key not in strangers:
                ref = self._known(by_etag.get(stored.etag))
            if ref is not None:
                claimed[ref].append(stored)

    def _strangers_keys(self) -> frozenset[str]:
        """Keys that a row of no intent names: that row explains them, not their content."""
        snapshot = self._evidence.snapshot
        return frozenset(row.storage_key for row in snapshot.sessions) | frozenset(
            row.storage_key for row in snapshot.files
        )

    def _refs_by_given_id(self) -> dict[str, str]:
        given = ((outcome.upload_uuid, ref) for ref, outcome in self._evidence.outcomes.items())
        return {upload_uuid: ref for upload_uuid, ref in given if upload_uuid and ref in self._intents}

    def _refs_by_key(self) -> dict[str, str]:
        keys = {row.storage_key: ref for ref, rows in self._sessions.items() for row in rows.values()}
        keys.update({row.storage_key: ref for ref, rows in self._files.items() for row in rows.values()})
        return keys

    def _known(self, ref: str | None) -> str | None:
        return ref if ref in self._intents else None


def _unique(pairs: Iterable[tuple[KeyT, ValueT]]) -> dict[KeyT, ValueT]:
    """A mapping without the keys that stand for more than one value."""
    found: dict[KeyT, ValueT] = {}
    ambiguous: set[KeyT] = set()
    for key, value in pairs:
        if key in found:
            ambiguous.add(key)
        found[key] = value
    return {key: value for key, value in found.items() if key not in ambiguous}
