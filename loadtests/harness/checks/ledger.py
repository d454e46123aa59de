"""The checks of what was uploaded and downloaded: whether it is there, as it was sent."""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.harness.analysis.facts import Facts
from loadtests.harness.checks.check import Answers, caution, invalid
from loadtests.harness.ledger.table import failing
from loadtests.harness.records.samples import LedgerTable, Warn
from loadtests.harness.records.vocabulary import DOWNLOADED, LedgerClass, LedgerFlag, Severity


def mismatch(facts: Facts, _: Answers) -> Iterator[Warn]:
    """What clients were told and what is stored do not agree."""
    for table in facts.ledgers:
        unknown = table.intents - sum(table.classes.values())
        if table.failed:
            yield invalid(
                "ledger-mismatch",
                f"audit {table.audit} failed: {_classes(table)}",
                metric="uploads by class",
                value=1,
                limit=0,
                advice="read the offending rows in the ledger",
            )
        if unknown:
            yield invalid(
                "ledger-mismatch",
                f"{unknown} intents of audit {table.audit} have no class",
                metric="intents without a class",
                value=unknown,
                limit=0,
                advice="read the ledger",
            )
        apart = table.stored_bytes - table.verified_bytes
        if apart:
            yield invalid(
                "bytes-mismatch",
                f"the store holds {apart:+d} bytes against the verified uploads",
                metric="bytes stored less bytes verified",
                value=apart,
                limit=0,
                advice="read the ledger",
            )


def _classes(table: LedgerTable) -> str:
    found = failing(table.classes, table.flags, killed=table.killed)
    return ", ".join(f"{number} x {name}" for name, number in found.items()) or "no class named"


def other_bytes(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Downloads are in no audit: whoever received them compared them."""
    wrong = sum(one.ledger is LedgerClass.CORRUPT for one in facts.uploads if DOWNLOADED in one.flags)
    if wrong:
        yield invalid(
            "bytes-mismatch",
            f"{wrong} downloads had other bytes than were uploaded",
            metric="downloads with other bytes",
            value=wrong,
            limit=0,
            advice="read the download lines of the console file in the bundle's k6 folder",
        )


def notes(facts: Facts, _: Answers) -> Iterator[Warn]:
    """What an audit found that spoils no answer."""
    pending = sum(table.classes.get(LedgerClass.PENDING, 0) for table in facts.ledgers)
    if pending:
        yield caution(
            "settle-cut",
            f"{pending} uploads still progressed when settling ended",
            metric="pending uploads",
            value=pending,
            limit=0,
            advice="use a profile that settles longer",
        )
    files = max((table.baseline_files for table in facts.ledgers), default=0)
    if files:
        yield caution(
            "dirty-start",
            f"{files} files of other users were there before",
            metric="files of other users",
            value=files,
            limit=0,
            advice="delete them with CLEAN=1",
        )
    early = sum(table.flags.get(LedgerFlag.EARLY_ACK, 0) for table in facts.ledgers)
    if early:
        yield Warn(
            code="early-ack",
            severity=Severity.INFO,
            metric="uploads acknowledged early",
            value=early,
            message=f"{early} uploads were acknowledged before they were durable",
        )
