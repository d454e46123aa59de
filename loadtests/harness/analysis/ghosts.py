"""What a killed service took along: uploads that were acknowledged and are not there, counted by arm.

The ledger has judged every upload when all that could still become durable had. Here its classes are
counted, of the turns in which somebody was killed. A count needs no interval; uploads of one kill are gone
together, so that how often it happens is told kill by kill.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loadtests.harness.records.plan import Arm, Part, Stretch
from loadtests.harness.records.result import AfterKill, Killed, Kills, Moment, evidence_id
from loadtests.harness.records.samples import KILL, RECOVERED, Event, LedgerTable, UploadSample
from loadtests.harness.records.vocabulary import UNFINISHED, LedgerClass, LedgerFlag

STEP_S = 0.25
THERE = (LedgerClass.VERIFIED, LedgerClass.LATE_SUCCESS)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One arm's turn with its kill."""

    stretch: str
    arm: str
    killed_at: float
    back_at: float | None
    uploads: Sequence[UploadSample]

    @property
    def acked(self) -> list[UploadSample]:
        return [upload for upload in self.uploads if upload.acked_at is not None]

    @property
    def gone(self) -> list[UploadSample]:
        return [upload for upload in self.acked if _is_gone(upload)]

    def since_kill_s(self, upload: UploadSample) -> float:
        """From the kill to the acknowledgement of an upload that has one."""
        return (upload.acked_at or 0.0) - self.killed_at


def kills(
    part: Part,
    stretches: Iterable[Stretch],
    uploads: Iterable[UploadSample],
    events: Iterable[Event],
    ledgers: Iterable[LedgerTable],
) -> Kills | None:
    """Every arm of the part, in its order; None where nobody was killed. Turns without a kill are none."""
    found: dict[str, dict[str, Event]] = {KILL: {}, RECOVERED: {}}
    for event in events:
        if event.kind in found:
            found[event.kind][event.detail["stretch"]] = event
    by_stretch: dict[str, list[UploadSample]] = {}
    for upload in uploads:
        by_stretch.setdefault(upload.stretch, []).append(upload)
    turns = [
        _Turn(
            stretch=one.stretch,
            arm=one.order[0],
            killed_at=found[KILL][one.stretch].at,
            back_at=back.at if (back := found[RECOVERED].get(one.stretch)) else None,
            uploads=by_stretch.get(one.stretch, ()),
        )
        for one in stretches
        if one.part == part.name and one.stretch in found[KILL]
    ]
    if not turns:
        return None
    orphans = _orphans(ledgers)
    return Kills(
        id="kills",
        service=str(found[KILL][turns[0].stretch].detail["service"]),
        step_s=STEP_S,
        arms=tuple(
            _after_kill(arm, part, [turn for turn in turns if turn.arm == arm.name], orphans)
            for arm in part.arms
        ),
    )


def _is_there(upload: UploadSample) -> bool:
    """Whether its owner has the file, whatever the upload says of itself."""
    return upload.ledger in THERE or UNFINISHED in upload.flags


def _is_gone(upload: UploadSample) -> bool:
    return upload.ledger is LedgerClass.LOST and not _is_there(upload)


def _orphans(ledgers: Iterable[LedgerTable]) -> frozenset[str]:
    """References of uploads that left an object which no file row names."""
    rows = (row for table in ledgers for row in table.offending if row["class"] == LedgerFlag.ORPHAN_OBJECT)
    return frozenset(str(row["upload_ref"]) for row in rows if row.get("upload_ref"))


def _after_kill(arm: Arm, part: Part, turns: Sequence[_Turn], orphans: frozenset[str]) -> AfterKill:
    uploads = [upload for turn in turns for upload in turn.uploads]
    acked = [upload for turn in turns for upload in turn.acked]
    gone = [upload for turn in turns for upload in turn.gone]
    with_file = {upload.user_id for upload in uploads if _is_there(upload)}
    before_s = [-turn.since_kill_s(upload) for turn in turns for upload in turn.gone]
    return AfterKill(
        id=evidence_id("kills", arm.of),
        arm=arm.of,
        kills=tuple(map(_killed, turns)),
        began=len(uploads),
        acknowledged=len(acked),
        kept=sum(map(_is_there, acked)),
        unfinished=sum(UNFINISHED in upload.flags for upload in acked),
        gone=len(gone),
        failed=sum(upload.failed_at is not None for upload in uploads),
        late=sum(upload.ledger is LedgerClass.LATE_SUCCESS for upload in uploads),
        orphans=sum(upload.upload_ref in orphans for upload in uploads),
        users=len({upload.user_id for upload in uploads}),
        users_with_file=len(with_file),
        users_short=len({upload.user_id for upload in gone}),
        users_without_file=len({upload.user_id for upload in acked} - with_file),
        last_gone_s=max(before_s, default=None),
        course=tuple(_course(turns, part)),
    )


def _killed(turn: _Turn) -> Killed:
    away_s = None if turn.back_at is None else turn.back_at - turn.killed_at
    return Killed(stretch=turn.stretch, acknowledged=len(turn.acked), gone=len(turn.gone), away_s=away_s)


def _course(turns: Iterable[_Turn], part: Part) -> Iterator[Moment]:
    """Moments of a turn from its beginning to its end; what was acknowledged outside is left out."""
    counts: Mapping[bool, Counter[int]] = {True: Counter(), False: Counter()}
    for turn in turns:
        for upload in turn.acked:
            counts[_is_gone(upload)][math.floor(turn.since_kill_s(upload) / STEP_S)] += 1
    after_s = part.kill_after_s or 0.0
    for at in range(math.floor(-after_s / STEP_S), math.ceil((part.period_s - after_s) / STEP_S)):
        yield Moment(at_s=at * STEP_S, kept=counts[False][at], gone=counts[True][at])
