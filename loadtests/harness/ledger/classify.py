"""The ledger's rules: from evidence to exactly one class for every intent. Pure: no I/O, no clock.

The order of the rules is the order of harm: doubled first, then lost or broken, then unfinished, then
what ended as the client saw it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from loadtests.harness.ledger.content import Content, content_of
from loadtests.harness.ledger.evidence import (
    FILES_DATABASE,
    UPLOAD_DATABASE,
    Classified,
    Evidence,
    Finding,
    SessionRow,
    Verdict,
)
from loadtests.harness.ledger.findings import findings_of
from loadtests.harness.ledger.join import Join, Joined
from loadtests.harness.records.vocabulary import HASHED, UNFINISHED, LedgerClass, LedgerFlag

# k6 stamps whole milliseconds, cut off: an ack may look up to this much earlier than it was.
CLIENT_CLOCK_STEP_S = 0.001


@dataclass(frozen=True, slots=True)
class Ruling:
    kind: LedgerClass
    reason: str


def classify(evidence: Evidence) -> Classified:
    """Give every intent its class, and name everything that no intent explains."""
    join = Join(evidence)
    findings = findings_of(evidence, join)
    found: dict[str, set[str]] = {}
    for finding in findings:
        if finding.upload_ref is not None:
            found.setdefault(finding.upload_ref, set()).add(finding.flag)
    content = content_of(evidence, join)
    verdicts = tuple(
        _verdict(evidence, content, joined, found.get(joined.intent.upload_ref, set())) for joined in join.all
    )
    return Classified(verdicts, findings, _count_flags(evidence, verdicts, findings))


def rule(joined: Joined, content: Content, progressing: frozenset[UUID]) -> Ruling:
    """The class of one intent."""
    if doubled := _doubled(joined):
        return Ruling(LedgerClass.DUPLICATE, doubled)
    if joined.acked and _acked_id_is_unknown(joined):
        return Ruling(LedgerClass.LOST, "acknowledged, but the id given to the client does not exist")
    moving = joined.session is not None and joined.session.upload_uuid in progressing
    if joined.file is not None:
        return _rule_with_file(joined, content, moving)
    if joined.session is None:
        return lost_or(joined.acked, LedgerClass.NO_TRACE, "no session row")
    return _rule_without_file(joined, joined.session, moving)


def _rule_with_file(joined: Joined, content: Content, moving: bool) -> Ruling:
    if joined.stored is None:
        return Ruling(LedgerClass.ORPHAN_ROW, "file row without object")
    if broken := content.broken(joined):
        return Ruling(LedgerClass.CORRUPT, broken)
    session = joined.session
    if session is None or session.status == "completed":
        if joined.acked:
            return Ruling(LedgerClass.VERIFIED, "acknowledged, durable and whole")
        return Ruling(LedgerClass.LATE_SUCCESS, "the client saw no success, yet the upload is whole")
    if session.is_open:
        return unfinished(joined.acked, "session", session.status, moving)
    return Ruling(LedgerClass.CORRUPT, f"the session says {session.status}, yet the file is there")


def _rule_without_file(joined: Joined, session: SessionRow, moving: bool) -> Ruling:
    if session.is_open:
        return unfinished(joined.acked, "session", session.status, moving)
    if session.status == "completed":
        return Ruling(LedgerClass.LOST, "the session says completed, but there is no file row")
    return lost_or(joined.acked, LedgerClass.CLEAN_FAILURE, f"session {session.status}")


def unfinished(acked: bool, what: str, status: str, moving: bool) -> Ruling:
    """The class of an upload that never came to its end; ``moving``: nor to rest, when settling was cut."""
    if moving:
        return Ruling(LedgerClass.PENDING, f"still {status} and moving when settling was cut")
    return lost_or(acked, LedgerClass.STUCK, f"{what} stays {status}")


def lost_or(acked: bool, kind: LedgerClass, reason: str) -> Ruling:
    """What was promised and is not there is lost, whatever it would be else."""
    if acked:
        return Ruling(LedgerClass.LOST, f"acknowledged, but {reason}")
    return Ruling(kind, reason)


def _doubled(joined: Joined) -> str | None:
    """A beginning that gave its key back counts not, nor does what it left: that is an orphan."""
    given_back = {session.storage_key for session in joined.sessions if session.gave_key_back}
    live = {file.storage_key for file in joined.files}
    counts = {
        "sessions": sum(not session.gave_key_back for session in joined.sessions),
        "file rows": len(joined.files),
        "objects": sum(stored.key in live or stored.key not in given_back for stored in joined.objects),
    }
    more = [f"{count} {name}" for name, count in counts.items() if count > 1]
    return f"{' and '.join(more)} for one upload" if more else None


def _acked_id_is_unknown(joined: Joined) -> bool:
    given = joined.outcome.upload_uuid if joined.outcome else None
    return given is not None and given not in joined.ids()


def _verdict(evidence: Evidence, content: Content, joined: Joined, found: set[str]) -> Verdict:
    ruling = rule(joined, content, evidence.snapshot.progressing)
    durable_at, visible_at = _times(evidence, joined)
    flags = set(found)
    if joined.acked and _is_early(evidence, joined, durable_at):
        flags.add(LedgerFlag.EARLY_ACK)
    if _ended(evidence, joined) and ruling.kind is not LedgerClass.VERIFIED:
        flags.add(LedgerFlag.HOLLOW)
    if joined.stored is not None and joined.stored.key in evidence.hashes:
        flags.add(HASHED)
    if ruling.kind is LedgerClass.LOST and _is_there(joined, content):
        flags.add(UNFINISHED)
    return Verdict(
        intent=joined.intent,
        outcome=joined.outcome,
        kind=ruling.kind,
        reason=ruling.reason,
        session=joined.session,
        file=joined.file,
        stored=joined.stored,
        durable_at=durable_at,
        visible_at=visible_at,
        flags=tuple(sorted(flags)),
    )


def _is_there(joined: Joined, content: Content) -> bool:
    """Whether row and object are there and whole, and only the upload itself never came to its end."""
    unfinished = joined.session is not None and joined.session.is_open
    return unfinished and joined.file is not None and joined.stored is not None and not content.broken(joined)


def _ended(evidence: Evidence, joined: Joined) -> bool:
    """Whether the client was through with it: by its own word, or because it asked for more to do."""
    return joined.outcome is not None or evidence.clients_came_back


def _times(evidence: Evidence, joined: Joined) -> tuple[float | None, float | None]:
    """Durable and visible on the harness's clock; nothing is durable without row and object."""
    if joined.file is None or joined.stored is None:
        return None, None
    offsets = evidence.snapshot.clock_offset_s
    listed = _corrected(joined.file.visible_at, offsets, FILES_DATABASE)
    if joined.session is None:
        return listed, listed
    if joined.session.status != "completed":
        return None, None
    durable = _corrected(joined.session.ended_at, offsets, UPLOAD_DATABASE)
    if durable is None or listed is None:
        return durable, None
    return durable, max(durable, listed)


def _corrected(at: float | None, offsets: Mapping[str, float], database: str) -> float | None:
    return None if at is None else at - offsets.get(database, 0.0)


def _is_early(evidence: Evidence, joined: Joined, durable_at: float | None) -> bool:
    if durable_at is None or joined.outcome is None:
        return True
    tolerance = CLIENT_CLOCK_STEP_S + evidence.snapshot.clock_error_s
    return joined.outcome.ended_at + tolerance < durable_at


def _count_flags(
    evidence: Evidence, verdicts: Sequence[Verdict], findings: Sequence[Finding]
) -> dict[str, int]:
    counts = Counter(finding.flag for finding in findings)
    for flag in (LedgerFlag.EARLY_ACK, LedgerFlag.HOLLOW):
        counts[flag] = sum(flag in verdict.flags for verdict in verdicts)
    return {flag.value: counts[flag] for flag in LedgerFlag}
