"""Reads what k6 wrote while it ran: one JSON object per line.

k6 may have been killed in the middle of a line, so a last line without its end is left out. Any other
line that cannot be read is counted: the trial then lacks samples, and says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loadtests.harness.auditing.ledger_records import Console
from loadtests.harness.records.model import Intent, Outcome, StepSample

MS_PER_S = 1000.0


def read_console(path: Path, trial: str, user_ids: Sequence[str]) -> Console:
    """Parse a console file; ``user_ids`` are the trial's users in the order of their index.

    A file that does not exist is an empty console: k6 makes it with its first line.
    """
    data = path.read_bytes() if path.exists() else b""
    return parse_console(data, trial, user_ids)


def parse_console(data: bytes, trial: str, user_ids: Sequence[str]) -> Console:
    kinds: dict[str, Callable[[dict[str, Any]], Any]] = {
        "i": lambda line: _intent(line, trial, user_ids),
        "o": _outcome,
        "r": lambda line: _step(line, trial),
    }
    found: dict[str, list[Any]] = {kind: [] for kind in kinds}
    lines = data.split(b"\n")
    lines.pop()  # nothing, or a line that was cut
    unreadable = 0
    for raw in lines:
        if not raw.strip():
            continue
        try:
            line = json.loads(raw)
            kind = line["e"]
            if kind == "s":  # the load began; the runner reads it
                continue
            found[kind].append(kinds[kind](line))
        except (ValueError, KeyError, TypeError, IndexError):
            unreadable += 1
    return Console(tuple(found["i"]), tuple(found["o"]), tuple(found["r"]), unreadable)


def _intent(line: dict[str, Any], trial: str, user_ids: Sequence[str]) -> Intent:
    return Intent(
        upload_ref=line["ref"],
        trial=trial,
        strategy=line["s"],
        user_id=user_ids[line["u"]],
        size_bytes=line["n"],
        sha256=line["h"],
        at=line["t"] / MS_PER_S,
        scheduled_at=_seconds(line.get("due")),
    )


def _outcome(line: dict[str, Any]) -> Outcome:
    return Outcome(
        upload_ref=line["ref"],
        acked=line["ok"],
        upload_uuid=line["id"],
        started_at=line["t0"] / MS_PER_S,
        authorised_at=_seconds(line["t1"]),
        transferred_at=_seconds(line["t2"]),
        ended_at=line["t3"] / MS_PER_S,
        step=line["step"],
        status=line["st"],
        error_code=line["code"],
    )


def _step(line: dict[str, Any], trial: str) -> StepSample:
    return StepSample(
        trial=trial,
        step=line["step"],
        started_at=line["t"] / MS_PER_S,
        duration_ms=line["d"],
        status=line["st"],
        ok=line["ok"],
        scheduled_at=_seconds(line.get("due")),
    )


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / MS_PER_S
