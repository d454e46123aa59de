"""What k6 writes while it runs: one JSON object per line, see ``k6/lib/lines.js``.

k6 may have been killed in the middle of a line, so a last line without its end is left out. Any other line
that cannot be read is counted: the audit then lacks samples, and says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.harness.records.samples import Intent, Outcome, StepSample, UploadSample
from loadtests.harness.records.vocabulary import DOWNLOADED, RESUMED, LedgerClass

MS_PER_S = 1000.0
OTHER_BYTES = "other-bytes"  # k6's code for a download that is not what was uploaded


@dataclass(frozen=True, slots=True)
class Played:
    """What the numbers in the lines of one stretch mean."""

    stretch: str
    arms: tuple[str, ...]
    stacks: tuple[str, ...]  # of the arms
    user_ids: tuple[Sequence[str], ...]  # of the arms


@dataclass(slots=True)
class Lines:
    """What clients decided, saw and timed."""

    intents: list[Intent] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    steps: list[StepSample] = field(default_factory=list)
    downloads: list[UploadSample] = field(default_factory=list)  # judged by k6: nothing of them is stored
    unreadable: int = 0


def read_tail(path: Path, offset: int = 0) -> tuple[list[bytes], int]:
    """Every whole line from ``offset`` on, and the offset after it; a torn last line is not there yet."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    return [line for line in data[:end].splitlines() if line.strip()], offset + end


def by_stack(raw: Iterable[bytes], played: Mapping[int, Played]) -> dict[str, Lines]:
    """Lines of each stack. Those that cannot be read belong to every stack."""
    found: dict[str, Lines] = {stack: Lines() for one in played.values() for stack in one.stacks}
    unreadable = 0
    for text in raw:
        try:
            line = json.loads(text)
            if line["e"] == "q":  # a request that is only shown
                continue
            stretch = played[line["s"]]
            _add(line, stretch, found[stretch.stacks[line["a"]]])
        except (ValueError, KeyError, TypeError, IndexError):
            unreadable += 1
    for lines in found.values():
        lines.unreadable = unreadable
    return found


def _add(line: dict[str, Any], played: Played, lines: Lines) -> None:
    arm = played.arms[line["a"]]
    match line["e"]:
        case "i":
            lines.intents.append(
                Intent(
                    upload_ref=line["ref"],
                    stretch=played.stretch,
                    arm=arm,
                    user_id=played.user_ids[line["a"]][line["u"]],
                    size_bytes=line["n"],
                    sha256=line["h"],
                    at=line["t"] / MS_PER_S,
                    scheduled_at=_seconds(line.get("due")),
                    key=line.get("k"),
                )
            )
        case "d":
            lines.downloads.append(_download(line, played))
        case "o":
            lines.outcomes.append(
                Outcome(
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
            )
        case "r":
            lines.steps.append(
                StepSample(
                    stretch=played.stretch,
                    arm=arm,
                    step=line["step"],
                    started_at=line["t"] / MS_PER_S,
                    duration_ms=line["d"],
                    status=line["st"],
                    ok=line["ok"],
                    scheduled_at=_seconds(line.get("due")),
                )
            )
        case other:
            raise ValueError(f"no line is called {other!r}")


def _download(line: dict[str, Any], played: Played) -> UploadSample:
    """A download that ended. What arrived as it was uploaded is verified, what arrived otherwise is corrupt,
    and the rest failed and left nothing."""
    began_at, ended_at, ok = line["t0"] / MS_PER_S, line["t3"] / MS_PER_S, line["ok"]
    failed = LedgerClass.CORRUPT if line["code"] == OTHER_BYTES else LedgerClass.CLEAN_FAILURE
    return UploadSample(
        upload_ref=line["ref"],
        stretch=played.stretch,
        arm=played.arms[line["a"]],
        user_id=played.user_ids[line["a"]][line["u"]],
        size_bytes=line["n"],
        intent_at=began_at,
        scheduled_at=_seconds(line.get("due")),
        upload_uuid=line["ref"],
        started_at=began_at,
        acked_at=ended_at if ok else None,
        failed_at=None if ok else ended_at,
        failed_step=line["step"],
        failed_status=line["st"],
        failed_code=line["code"],
        durable_at=ended_at if ok else None,
        ledger=LedgerClass.VERIFIED if ok else failed,
        flags=(DOWNLOADED, RESUMED) if line["re"] else (DOWNLOADED,),
    )


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / MS_PER_S
