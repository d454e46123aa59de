"""From verdicts to what the bundle keeps: counts, offending rows and one sample per upload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from loadtests.harness.ledger.evidence import Classified, Verdict
from loadtests.harness.records.plan import Stretch
from loadtests.harness.records.samples import LedgerTable, UploadSample
from loadtests.harness.records.vocabulary import HASHED, LedgerClass, LedgerFlag

# Any of these fails the audit. Orphan objects, stuck sessions and leftovers are counted: whether they
# stay is known only after a sweep.
FAILING_CLASSES = frozenset(
    {LedgerClass.LOST, LedgerClass.CORRUPT, LedgerClass.ORPHAN_ROW, LedgerClass.DUPLICATE}
)
FAILING_FLAGS = frozenset({LedgerFlag.FOREIGN})
# Classes of which every row is listed; the others are plain in the samples.
LISTED_CLASSES = FAILING_CLASSES | {LedgerClass.STUCK, LedgerClass.LATE_SUCCESS, LedgerClass.PENDING}
# Not a class of an upload: a user some of whose acknowledged uploads are no files of theirs.
USER_SHORT = "user"
WHOLE_CLASSES = frozenset({LedgerClass.VERIFIED, LedgerClass.LATE_SUCCESS})


def failing(classes: Mapping[str, int], flags: Mapping[str, int], *, killed: bool) -> dict[str, int]:
    """What fails an audit, and how often it is there: nothing where it passed.

    After a planned kill (``killed``) what was lost is what the run asks about.
    """
    fatal = FAILING_CLASSES - {LedgerClass.LOST} if killed else FAILING_CLASSES
    counts = {**classes, **flags}
    return {name: counts[name] for name in sorted(fatal | FAILING_FLAGS) if counts.get(name)}


def make_table(
    audit: int,
    stack: str,
    stretches: tuple[str, ...],
    baseline_files: int,
    classified: Classified,
    *,
    killed: bool = False,
) -> LedgerTable:
    """``killed``: a process of the stack was killed on purpose."""
    verdicts = classified.verdicts
    classes = Counter(verdict.kind.value for verdict in verdicts)
    whole = [verdict for verdict in verdicts if verdict.kind in WHOLE_CLASSES]
    hashed = sum(HASHED in verdict.flags for verdict in verdicts)
    verified = [verdict for verdict in verdicts if verdict.kind is LedgerClass.VERIFIED]
    return LedgerTable(
        audit=audit,
        stack=stack,
        stretches=stretches,
        intents=len(verdicts),
        acks=sum(map(_acked, verdicts)),
        classes={kind.value: classes[kind.value] for kind in LedgerClass},
        by_arm=_by_arm(verdicts),
        by_user=_by_user(verdicts),
        flags=dict(classified.flags),
        hashed=hashed,
        compared=sum(HASHED not in verdict.flags for verdict in whole),
        baseline_files=baseline_files,
        verified_bytes=sum(verdict.intent.size_bytes for verdict in verified),
        stored_bytes=sum(verdict.stored.size_bytes for verdict in verified if verdict.stored),
        offending=_offending(classified),
        killed=killed,
        failed=bool(failing(classes, classified.flags, killed=killed)),
    )


def _acked(verdict: Verdict) -> bool:
    return verdict.outcome is not None and verdict.outcome.acked


def _is_file_of_its_user(verdict: Verdict) -> bool:
    """Whether the upload is a file of whoever sent it, whatever the client was told."""
    return verdict.file is not None and str(verdict.file.user_id) == verdict.intent.user_id


def _by_arm(verdicts: Iterable[Verdict]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.intent.arm, Counter())[verdict.kind.value] += 1
    return {arm: dict(classes) for arm, classes in found.items()}


def _by_user(verdicts: Iterable[Verdict]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        counts = found.setdefault(verdict.intent.user_id, Counter(intents=0, acks=0, verified=0, files=0))
        counts["intents"] += 1
        counts["acks"] += _acked(verdict)
        counts["verified"] += verdict.kind is LedgerClass.VERIFIED
        counts["files"] += _is_file_of_its_user(verdict)
    return {user: dict(counts) for user, counts in found.items()}


def unaudited(stretches: Iterable[Stretch], tables: Iterable[LedgerTable]) -> list[str]:
    """Stretches that were played and are in no audit."""
    audited = {name for table in tables for name in table.stretches}
    return [one.stretch for one in stretches if one.stretch not in audited]


def make_samples(classified: Classified) -> tuple[UploadSample, ...]:
    """One sample for every intent, in the order the client decided."""
    return tuple(_sample(verdict) for verdict in classified.verdicts)


def _sample(verdict: Verdict) -> UploadSample:
    intent, outcome = verdict.intent, verdict.outcome
    acked = outcome is not None and outcome.acked
    seen: dict[str, Any] = {}
    if outcome is not None:
        seen = {
            "started_at": outcome.started_at,
            "authorised_at": outcome.authorised_at,
            "transferred_at": outcome.transferred_at,
            "acked_at" if acked else "failed_at": outcome.ended_at,
            "failed_step": outcome.step,
            "failed_status": outcome.status,
            "failed_code": outcome.error_code,
        }
    return UploadSample(
        upload_ref=intent.upload_ref,
        stretch=intent.stretch,
        arm=intent.arm,
        user_id=intent.user_id,
        size_bytes=intent.size_bytes,
        intent_at=intent.at,
        scheduled_at=intent.scheduled_at,
        upload_uuid=_upload_uuid(verdict),
        durable_at=verdict.durable_at,
        visible_at=verdict.visible_at,
        ledger=verdict.kind,
        flags=verdict.flags,
        **seen,
    )


def _upload_uuid(verdict: Verdict) -> str | None:
    if verdict.session is not None:
        return str(verdict.session.upload_uuid)
    return verdict.outcome.upload_uuid if verdict.outcome else None


def _offending(classified: Classified) -> tuple[dict[str, Any], ...]:
    rows = [_offender(verdict) for verdict in classified.verdicts if verdict.kind in LISTED_CLASSES]
    rows += _users_without_their_files(classified.verdicts)
    rows += [
        {
            "class": finding.flag,
            "upload_ref": finding.upload_ref,
            "reason": finding.what,
            "size_bytes": finding.size_bytes,
        }
        for finding in classified.findings
    ]
    return tuple(rows)


def _offender(verdict: Verdict) -> dict[str, Any]:
    outcome = verdict.outcome
    return {
        "class": verdict.kind.value,
        "upload_ref": verdict.intent.upload_ref,
        "reason": verdict.reason,
        "upload_uuid": _upload_uuid(verdict),
        "user_id": verdict.intent.user_id,
        "session_status": verdict.session.status if verdict.session else None,
        "client_step": outcome.step if outcome else None,
        "client_status": outcome.status if outcome else None,
    }


def _users_without_their_files(verdicts: Iterable[Verdict]) -> Iterator[dict[str, Any]]:
    """Users who were told of more files than they have; what still moves is not missed yet."""
    told: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if _acked(verdict) and verdict.kind is not LedgerClass.PENDING:
            told.setdefault(verdict.intent.user_id, []).append(verdict)
    for user_id, acked in told.items():
        files = sum(map(_is_file_of_its_user, acked))
        if files < len(acked):
            reason = (
                f"{len(acked)} uploads were acknowledged to this user, of which {files} are files of theirs"
            )
            yield {"class": USER_SHORT, "upload_ref": None, "user_id": user_id, "reason": reason}
