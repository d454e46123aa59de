"""From verdicts to what the bundle keeps: counts, offending rows and one sample per upload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from loadtests.harness.auditing.ledger_records import Classified, Evidence, Verdict
from loadtests.harness.records.model import LedgerClass, LedgerTable, UploadSample

# Any of these fails the trial. Orphan objects, stuck sessions and leftovers are counted: whether they
# stay is known only after a sweep.
FAILING_CLASSES = frozenset(
    {LedgerClass.LOST, LedgerClass.CORRUPT, LedgerClass.ORPHAN_ROW, LedgerClass.DUPLICATE}
)
FAILING_FLAGS = frozenset({"G-11"})
# Classes of which every row is listed; the others are plain in the samples.
LISTED_CLASSES = FAILING_CLASSES | {LedgerClass.STUCK, LedgerClass.LATE_SUCCESS, LedgerClass.PENDING}
WHOLE_CLASSES = frozenset({LedgerClass.VERIFIED, LedgerClass.LATE_SUCCESS})


def make_table(trial: str, evidence: Evidence, classified: Classified) -> LedgerTable:
    verdicts = classified.verdicts
    classes = Counter(verdict.kind.value for verdict in verdicts)
    whole = [verdict for verdict in verdicts if verdict.kind in WHOLE_CLASSES]
    hashed = sum("hashed" in verdict.flags for verdict in verdicts)
    verified = [verdict for verdict in verdicts if verdict.kind is LedgerClass.VERIFIED]
    return LedgerTable(
        trial=trial,
        intents=len(verdicts),
        acks=sum(verdict.outcome is not None and verdict.outcome.acked for verdict in verdicts),
        classes={kind.value: classes[kind.value] for kind in LedgerClass},
        flags=dict(classified.flags),
        hashed=hashed,
        compared=sum("hashed" not in verdict.flags for verdict in whole),
        baseline_files=evidence.baseline.files,
        verified_bytes=sum(verdict.intent.size_bytes for verdict in verified),
        stored_bytes=sum(verdict.stored.size_bytes for verdict in verified if verdict.stored),
        offending=_offending(classified),
        failed=is_failed(classes, classified.flags),
    )


def is_failed(classes: Mapping[str, int], flags: Mapping[str, int]) -> bool:
    """Whether a class or flag that fails a trial is present."""
    return any(classes.get(kind.value) for kind in FAILING_CLASSES) or any(
        flags.get(flag) for flag in FAILING_FLAGS
    )


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
        trial=intent.trial,
        strategy=intent.strategy,
        user_id=intent.user_id,
        size_bytes=intent.size_bytes,
        sha256=intent.sha256,
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
