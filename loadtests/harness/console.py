"""What k6 wrote while it ran and when it ended, as records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.harness.model import Intent, K6Summary, Outcome, StepSample
from loadtests.harness.users import Identity


@dataclass(frozen=True, slots=True)
class Console:
    """What one console file holds, parsed."""

    started_at: float | None
    intents: tuple[Intent, ...]
    outcomes: tuple[Outcome, ...]
    steps: tuple[StepSample, ...]


def read_lines(path: Path, offset: int = 0) -> Iterator[dict[str, Any]]:
    """Every whole line of a console file from ``offset`` on; a torn last line is not there yet."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        if line.startswith(b"{"):
            yield json.loads(line)


def read_console(path: Path, trial: str, users: Sequence[Identity]) -> Console:
    """Intents, outcomes and timed steps of one trial, as k6 wrote them."""
    lines = list(read_lines(path))
    by_kind: dict[str, list[dict[str, Any]]] = {"s": [], "i": [], "o": [], "r": []}
    for line in lines:
        by_kind.setdefault(str(line.get("e")), []).append(line)
    started = by_kind["s"][0]["t"] / 1000 if by_kind["s"] else None
    return Console(
        started,
        tuple(_intent(line, trial, users) for line in by_kind["i"]),
        tuple(_outcome(line) for line in by_kind["o"]),
        tuple(_step(line, trial) for line in by_kind["r"]),
    )


def _intent(line: Mapping[str, Any], trial: str, users: Sequence[Identity]) -> Intent:
    return Intent(
        upload_ref=line["ref"],
        trial=trial,
        strategy=line["s"],
        user_id=users[line["u"]].user_id,
        size_bytes=line["n"],
        sha256=line["h"],
        at=line["t"] / 1000,
    )


def _seconds(value: float | None) -> float | None:
    return None if value is None else value / 1000


def _outcome(line: Mapping[str, Any]) -> Outcome:
    return Outcome(
        upload_ref=line["ref"],
        acked=line["ok"],
        upload_uuid=line["id"],
        started_at=line["t0"] / 1000,
        authorised_at=_seconds(line["t1"]),
        transferred_at=_seconds(line["t2"]),
        ended_at=line["t3"] / 1000,
        step=line["step"],
        status=line["st"],
        error_code=line["code"],
        attempts=line["a"],
    )


def _step(line: Mapping[str, Any], trial: str) -> StepSample:
    return StepSample(
        trial=trial,
        step=line["step"],
        started_at=line["t"] / 1000,
        duration_ms=line["d"],
        status=line["st"],
        ok=line["ok"],
    )


def read_summary(path: Path, exit_code: int) -> K6Summary:
    """k6's own counts; zeros, with the exit code, if it was killed before it could write them."""
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
    except FileNotFoundError:
        metrics = {}

    def value(metric: str, key: str) -> float | None:
        found: float | None = metrics.get(metric, {}).get("values", {}).get(key)
        return found

    return K6Summary(
        iterations=int(value("iterations", "count") or 0),
        dropped_iterations=int(value("dropped_iterations", "count") or 0),
        http_reqs=int(value("http_reqs", "count") or 0),
        checks_passed=int(value("checks", "passes") or 0),
        checks_failed=int(value("checks", "fails") or 0),
        iteration_duration_mean_ms=value("iteration_duration", "avg"),
        http_req_duration_p50_ms=value("http_req_duration", "med"),
        http_req_duration_p95_ms=value("http_req_duration", "p(95)"),
        vus_max=int(value("vus_max", "max") or 0),
        exit_code=exit_code,
    )
