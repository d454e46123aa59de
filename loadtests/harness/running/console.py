"""What k6 writes: lines while it runs, counts when it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loadtests.harness.records.model import K6Summary


def read_tail(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Every whole line from ``offset`` on, and the offset after it; a torn last line is not there yet."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    lines = [json.loads(line) for line in data[:end].splitlines() if line.startswith(b"{")]
    return lines, offset + end


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
        iteration_duration_mean_ms=value("iteration_duration", "avg"),
        http_req_duration_p50_ms=value("http_req_duration", "med"),
        http_req_duration_p95_ms=value("http_req_duration", "p(95)"),
        exit_code=exit_code,
    )
