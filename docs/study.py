"""What ``make govault`` found, for the pages of answers and claims: from one run on record."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from docs.tables import table
from docs.writing import text_of
from loadtests.harness.commands.share import Scrubber, recorded_secrets
from loadtests.harness.govault.findings import findings_of, told
from loadtests.harness.govault.records import FINDINGS, Findings
from loadtests.harness.govault.report import main_table
from loadtests.harness.govault.source import FILE_BYTES
from loadtests.harness.govault.verdicts import not_run
from loadtests.harness.records.bundle import Bundle, BundleError
from loadtests.harness.report.table import without_spare
from loadtests.harness.wording import size

NAME, SOURCE, COMMAND = "govault", "GoVault", "make govault"


def take(run: Path, records: Path) -> str:
    """Put a study on record; its name. Raises ``BundleError`` where it can decide nothing."""
    found = findings_of(run)
    if found.interrupted:
        raise BundleError(f"{run}: a study that was interrupted decides nothing")
    scrubber = Scrubber.of_machine(os.environ, recorded_secrets(Bundle(run).manifest()))
    (records / NAME).mkdir(parents=True, exist_ok=True)
    (records / NAME / FINDINGS).write_text(scrubber.clean(text_of(found)), encoding="utf-8")
    return NAME


def on_record(records: Path) -> Findings | None:
    """Its figures, and the sentences as they are judged today."""
    file = records / NAME / FINDINGS
    return told(Findings.model_validate_json(file.read_bytes())) if file.exists() else None


def claim_rows(found: Findings | None) -> list[tuple[str, ...]]:
    """Rows of the page of claims: sentence, verdict, claimed and measured, why, run, command."""
    if found is None:
        return [
            (one.claim, one.decision.value, f"theirs: {one.theirs}", "", "", f"`{COMMAND}`")
            for one in not_run()
        ]
    facts = dict(found.facts)
    run = f"[{facts['measured'].partition(',')[0]}](answers.md#{NAME})"
    ours = f"ours (files of {size(FILE_BYTES)})"
    return [
        (
            one.claim, f"**{one.decision.value}**", f"theirs: {one.theirs}; {ours}: {one.ours}", one.why, run,
            f"`{facts['command']}`",
        )
        for one in found.claims
    ]  # fmt: skip


def section(found: Findings | None) -> Iterator[str]:
    """The section of the page of answers."""
    yield f"\n## {NAME}\n\n**What is left of GoVault's study on this machine?** [How](govault.md)\n\n"
    if found is None:
        yield f"Not asked yet. Ask it: `{COMMAND}`\n"
        return
    yield f"{found.headline}\n\n"
    shown = without_spare(main_table(found.rows))
    yield table(shown.columns, shown.rows)
    yield f"\n{shown.caption}\n\n"
    for caution in found.cautions:
        yield f"- {caution}\n"
    for one in found.missing:
        yield f"- Not reached: {one.vus} clients, {one.method}: {one.reason}; {one.why}\n"
    for name, text in found.facts:
        yield f"- {name[:1].upper()}{name[1:]}: {text}\n"
