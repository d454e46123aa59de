"""The audit of another implementation of the contract, through the contract alone.

It asks what any client may ask, as the users who uploaded: their lists, the status of every upload, and the
bytes of a sample. k6 names each file after its reference, so a list tells what belongs to what.

What only databases and a store could tell stays open, and is said: objects and pieces that nobody names,
acknowledgements before the file was durable. So a verified upload counts as durable when it was acknowledged.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from loadtests.harness.clients.payload import UploadRow
from loadtests.harness.clients.users import Identity
from loadtests.harness.k6.console import Lines
from loadtests.harness.ledger.audit import SAMPLE_OBJECTS, SETTLE_LIMIT_S, Audit, Piece
from loadtests.harness.ledger.classify import Ruling, lost_or, unfinished
from loadtests.harness.ledger.evidence import (
    Baseline,
    Classified,
    FileRow,
    Finding,
    StoredObject,
    Verdict,
)
from loadtests.harness.ledger.remarks import remarks
from loadtests.harness.ledger.settle import ABANDONED_QUIET_S, OpenUpload, settle
from loadtests.harness.ledger.table import WHOLE_CLASSES, make_samples, make_table
from loadtests.harness.records.samples import Intent, Outcome, Warn
from loadtests.harness.records.vocabulary import HASHED, LedgerClass, LedgerFlag, Severity
from loadtests.harness.testbeds.target import Downloaded, ListedFile, Status, Target, for_all

NOT_DECIDABLE = {
    LedgerFlag.ORPHAN_OBJECT: "objects without a file",
    LedgerFlag.LEFTOVER: "leftovers of ended uploads",
    LedgerFlag.EARLY_ACK: "acknowledgements before the file was durable",
}
DRIVEN_STATES = frozenset({"assembling", "completing"})  # the target's own work; the others wait for a client
SUFFIX = ".bin"  # see k6/lib/flow.js


@dataclass(frozen=True, slots=True)
class Seen:
    """One upload, as far as the contract shows it."""

    intent: Intent
    outcome: Outcome | None
    status: Status | None = None  # None: no id was given, or the target does not know it
    files: tuple[ListedFile, ...] = ()
    moving: bool = False  # it still changed when settling was cut
    download: Downloaded | None = None  # None: not in the sample

    @property
    def acked(self) -> bool:
        return self.outcome is not None and self.outcome.acked


@dataclass(frozen=True, slots=True)
class ContractAuditor:
    """Audits one target; takes the same arguments as ``Auditor`` and yields the same.

    Args:
        users: whose uploads they are, with tokens that are valid now.
        read_all: download every file, not a seeded sample.
    """

    target: Target
    users: Callable[[], Sequence[Identity]]
    read_all: bool = False
    settle_limit_s: float = SETTLE_LIMIT_S
    abandoned_quiet_s: float = ABANDONED_QUIET_S

    async def audit(
        self, piece: Piece, lines: Lines, *, baseline: Baseline, rows: Iterable[UploadRow] = ()
    ) -> Audit:
        """Settle and judge all that these lines tell of. ``rows`` say nothing here: nobody shows ETags.

        Raises ``TargetFailed``, or ``aiohttp.ClientError``: then nothing was judged.
        """
        users = {user.user_id: user for user in self.users()}
        outcomes = {outcome.upload_ref: outcome for outcome in lines.outcomes}
        statuses = Statuses(self.target, _asked(lines.intents, outcomes, users))
        settled = await settle(
            statuses.open, limit_s=self.settle_limit_s, abandoned_quiet_s=self.abandoned_quiet_s
        )
        listed = await for_all(self.target.files, users.values())
        by_name = _by_name(listed)
        seen = [
            Seen(
                intent,
                outcome := outcomes.get(intent.upload_ref),
                status=statuses.known.get(outcome.upload_uuid or "") if outcome else None,
                files=tuple(by_name.get(f"{intent.upload_ref}{SUFFIX}", ())),
                moving=bool(outcome and outcome.upload_uuid in {str(one) for one in settled.progressing}),
            )
            for intent in {intent.upload_ref: intent for intent in lines.intents}.values()
        ]
        seen = await self._read_back(seen, users, piece.seed)
        classified = classify_seen(seen, strangers(listed, lines.intents), piece.clients_came_back)
        table = make_table(piece.audit, piece.stack, piece.stretches, baseline.files, classified)
        return Audit(
            table=table,
            samples=make_samples(classified),
            warnings=(*remarks(lines, table, settled, {}), not_decidable()),
            settled=settled,
        )

    async def _read_back(self, seen: Sequence[Seen], users: Mapping[str, Identity], seed: int) -> list[Seen]:
        """Download a seeded sample of what looks whole."""
        whole = sorted(one.intent.upload_ref for one in seen if rule_seen(one).kind in WHOLE_CLASSES)
        if not self.read_all and len(whole) > SAMPLE_OBJECTS:
            whole = random.Random(seed).sample(whole, SAMPLE_OBJECTS)
        wanted = set(whole)

        async def read(one: Seen) -> Seen:
            if one.intent.upload_ref not in wanted:
                return one
            download = await self.target.download(users[one.intent.user_id], one.files[0].file_id)
            return Seen(one.intent, one.outcome, one.status, one.files, one.moving, download)

        return await for_all(read, seen)


class Statuses:
    """What the target says of every upload that has an id; those that ended are asked about once."""

    def __init__(self, target: Target, asked: Mapping[str, Identity]) -> None:
        self._target = target
        self._left = dict(asked)
        self.known: dict[str, Status | None] = {}

    async def open(self) -> list[OpenUpload]:
        """Ask about all that had not ended, and return those that still have not."""

        async def ask(upload_uuid: str) -> tuple[str, Status | None]:
            return upload_uuid, await self._target.status(self._left[upload_uuid], upload_uuid)

        self.known |= dict(await for_all(ask, self._left))
        found = {key: status for key in self._left if (status := self.known[key]) and status.is_open}
        self._left = {key: self._left[key] for key in found}
        return [
            OpenUpload(UUID(key), status.status in DRIVEN_STATES, status.moved)
            for key, status in found.items()
        ]


def _asked(
    intents: Iterable[Intent], outcomes: Mapping[str, Outcome], users: Mapping[str, Identity]
) -> dict[str, Identity]:
    """Whom to ask about which id."""
    return {
        outcome.upload_uuid: users[intent.user_id]
        for intent in intents
        if (outcome := outcomes.get(intent.upload_ref)) and outcome.upload_uuid
    }


def _by_name(listed: Iterable[Iterable[ListedFile]]) -> dict[str, list[ListedFile]]:
    found: dict[str, list[ListedFile]] = defaultdict(list)
    for files in listed:
        for file in files:
            found[file.name].append(file)
    return found


def rule_seen(seen: Seen) -> Ruling:
    """The class of one upload; the order is the order of harm, as in ``classify``."""
    if len(seen.files) > 1:
        return Ruling(LedgerClass.DUPLICATE, f"{len(seen.files)} files for one upload")
    if seen.files:
        return _rule_with_file(seen, seen.files[0])
    if seen.status is None:
        return lost_or(seen.acked, LedgerClass.NO_TRACE, "the target knows no such upload")
    if seen.status.is_open:
        return unfinished(seen.acked, "the upload", seen.status.status, seen.moving)
    if seen.status.status == "completed":
        return Ruling(LedgerClass.LOST, "the upload is completed, but its owner's list has no file of it")
    return lost_or(seen.acked, LedgerClass.CLEAN_FAILURE, f"upload {seen.status.status}")


def _rule_with_file(seen: Seen, file: ListedFile) -> Ruling:
    if seen.download is not None and seen.download.http_status != 200:
        return Ruling(
            LedgerClass.ORPHAN_ROW, f"the file is listed, its download answers {seen.download.http_status}"
        )
    if broken := _broken(seen, file):
        return Ruling(LedgerClass.CORRUPT, broken)
    if seen.status is not None and seen.status.is_open:
        return unfinished(seen.acked, "the upload", seen.status.status, seen.moving)
    if seen.acked:
        return Ruling(LedgerClass.VERIFIED, "acknowledged, listed and whole")
    return Ruling(LedgerClass.LATE_SUCCESS, "the client saw no success, yet the file is there")


def _broken(seen: Seen, file: ListedFile) -> str | None:
    """The first of these that is so; None if all agrees."""
    intent, status, download = seen.intent, seen.status, seen.download
    ended = status is not None and not status.is_open
    told = status.status if status else "unknown"
    problems = {
        "the file belongs to another user": file.owner_id != intent.user_id,
        f"the list says {file.size_bytes} bytes, the upload has {intent.size_bytes}": (
            file.size_bytes != intent.size_bytes
        ),
        "the list's checksum is not the upload's": (
            file.checksum is not None and file.checksum.lower() != intent.sha256
        ),
        "the upload's status names another file than the list": (
            status is not None and status.file_id not in (None, file.file_id)
        ),
        f"the upload is {told}, yet the file is listed": ended and told != "completed",
        "the bytes read back have another SHA-256": (
            download is not None and download.sha256 != intent.sha256
        ),
    }
    return next((problem for problem, holds in problems.items() if holds), None)


def classify_seen(seen: Iterable[Seen], strange: Iterable[Finding], clients_came_back: bool) -> Classified:
    """Every upload's class, in the ledger's terms. Flags that cannot be decided are absent, not zero."""
    verdicts = tuple(_verdict(one, clients_came_back) for one in seen)
    findings = tuple(strange)
    flags = {
        LedgerFlag.FOREIGN.value: len(findings),
        LedgerFlag.HOLLOW.value: sum(LedgerFlag.HOLLOW in one.flags for one in verdicts),
    }
    return Classified(verdicts, findings, flags)


def _verdict(seen: Seen, clients_came_back: bool) -> Verdict:
    ruling = rule_seen(seen)
    flags: list[str] = []
    if (seen.outcome is not None or clients_came_back) and ruling.kind is not LedgerClass.VERIFIED:
        flags.append(LedgerFlag.HOLLOW)
    if seen.download is not None:
        flags.append(HASHED)
    file = seen.files[0] if seen.files else None
    verified = ruling.kind is LedgerClass.VERIFIED and seen.outcome is not None
    return Verdict(
        intent=seen.intent,
        outcome=seen.outcome,
        kind=ruling.kind,
        reason=ruling.reason,
        file=FileRow(UUID(file.file_id), None, UUID(file.owner_id), file.size_bytes, "") if file else None,
        stored=StoredObject(file.file_id, file.size_bytes, "") if file else None,
        durable_at=seen.outcome.ended_at if verified and seen.outcome else None,
        flags=tuple(flags),
    )


def strangers(listed: Iterable[Iterable[ListedFile]], intents: Iterable[Intent]) -> list[Finding]:
    """Files of our users that none of our uploads explains."""
    known = {f"{intent.upload_ref}{SUFFIX}" for intent in intents}
    return [
        Finding(LedgerFlag.FOREIGN, f"file {file.file_id} ({file.name}) of no known upload", file.size_bytes)
        for files in listed
        for file in files
        if file.name not in known
    ]


def not_decidable() -> Warn:
    """What this audit cannot see, in every bundle of one."""
    unseen = ", ".join(f"{words} ({flag})" for flag, words in NOT_DECIDABLE.items())
    return Warn(
        code="not-decidable",
        severity=Severity.INFO,
        message=f"verified through the contract alone; not decidable: {unseen}",
        advice="a verified upload counts as durable when it was acknowledged",
    )


def verified_by_contract(read_all: bool) -> str:
    """One sentence for the manifest, as ``verified_how`` is one of our own stacks."""
    read = "every file" if read_all else f"in each audit {SAMPLE_OBJECTS} seeded files"
    return (
        f"{read} downloaded and hashed (SHA-256); for the rest the owner's list and the upload's status "
        "against the client's intent"
    )
