"""The audit of bare presigned PUTs, the benchmark's reference: no rows, only answers and objects.

A PUT that was answered must be in the store with the size and, on a store whose ETags are MD5 sums,
the content that was sent. Objects without an answer are PUTs that the end of the load cut off.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtests.harness.auditing.audit import SAMPLE_OBJECTS
from loadtests.harness.auditing.audit_store import RAW_PREFIX, AuditStore
from loadtests.harness.auditing.ledger_records import Console, StoredObject
from loadtests.harness.auditing.ledger_table import is_failed
from loadtests.harness.planning.payload import UploadRow
from loadtests.harness.records.model import LedgerClass, LedgerTable, TrialPlan

PUT_STEP = "put"


@dataclass(frozen=True, slots=True)
class RawCounts:
    """What the pure part of the audit found."""

    answered: int
    failed: int
    whole: int
    corrupt: tuple[str, ...]
    foreign: tuple[str, ...]


def raw_key(ref: str) -> str:
    """Where the bare PUT of one row goes."""
    return f"{RAW_PREFIX}{ref}"


def count_raw(
    console: Console,
    rows: Iterable[UploadRow],
    objects: Iterable[StoredObject],
    hashes: dict[str, str],
    size_bytes: int,
) -> RawCounts:
    """Compare answers with objects; pure."""
    known = {raw_key(row.ref): row for row in rows}
    foreign = [stored.key for stored in objects if stored.key not in known]
    present = [stored for stored in objects if stored.key in known]
    right = {key for key, digest in hashes.items() if key in known and digest == known[key].sha256}
    etags_are_md5 = bool(right) and all(
        stored.etag in known[stored.key].etags for stored in present if stored.key in right
    )
    corrupt = [
        stored.key
        for stored in present
        if stored.size_bytes != size_bytes
        or hashes.get(stored.key, known[stored.key].sha256) != known[stored.key].sha256
        or (etags_are_md5 and stored.etag not in known[stored.key].etags)
    ]
    puts = [step for step in console.steps if step.step == PUT_STEP]
    answered = sum(step.ok for step in puts)
    return RawCounts(
        answered=answered,
        failed=len(puts) - answered,
        whole=len(present) - len(corrupt),
        corrupt=tuple(corrupt),
        foreign=tuple(foreign),
    )


async def audit_raw(
    store: AuditStore, plan: TrialPlan, console: Console, rows: Sequence[UploadRow]
) -> LedgerTable:
    """One table in the ledger's own terms; a PUT has no session, so most classes cannot occur."""
    objects = await store.objects(RAW_PREFIX)
    known = {raw_key(row.ref) for row in rows}
    keys = sorted(stored.key for stored in objects if stored.key in known)
    sample = random.Random(plan.seed).sample(keys, min(SAMPLE_OBJECTS, len(keys)))
    hashes = await store.hashes(sample)
    counts = count_raw(console, rows, objects, hashes, plan.file_size_bytes)
    return raw_table(plan, counts, hashed=len(hashes))


def raw_table(plan: TrialPlan, counts: RawCounts, *, hashed: int) -> LedgerTable:
    verified = min(counts.answered, counts.whole)
    classes = dict.fromkeys((kind.value for kind in LedgerClass), 0)
    classes[LedgerClass.VERIFIED.value] = verified
    classes[LedgerClass.CORRUPT.value] = len(counts.corrupt)
    classes[LedgerClass.LOST.value] = max(0, counts.answered - counts.whole - len(counts.corrupt))
    classes[LedgerClass.NO_TRACE.value] = counts.failed
    flags = dict.fromkeys(("G-04", "G-09", "G-10", "G-11", "G-12"), 0)
    flags["G-11"] = len(counts.foreign)
    offending = [{"class": "G-03", "reason": f"object {key} is not what was sent"} for key in counts.corrupt]
    offending += [{"class": "G-11", "reason": f"object {key} of no known PUT"} for key in counts.foreign]
    return LedgerTable(
        trial=plan.trial,
        intents=counts.answered + counts.failed,
        acks=counts.answered,
        classes=classes,
        flags=flags,
        hashed=hashed,
        compared=max(0, verified - hashed),
        baseline_files=0,
        verified_bytes=verified * plan.file_size_bytes,
        stored_bytes=verified * plan.file_size_bytes,
        offending=tuple(offending),
        failed=is_failed(classes, flags),
    )
