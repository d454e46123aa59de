"""What a bundle may hold beside trials and samples, typed on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadtests.harness.records.base import Record

GENERATOR = "generator"
TARGETS = "bench.json"


class Ceiling(Record):
    """What the load generator can do by itself with one script and one file size."""

    file_size_bytes: int
    uploads_per_s: float
    floor_ms: float  # median time of an upload that nobody works on


class Target(Record):
    """One line of the benchmark's table: a measured value, what it must reach, and what would be better."""

    quantity: str
    value: float | None
    must: float | None
    stretch: float | None
    more_is_better: bool
    unit: str
    reached: str  # "stretch", "must", "missed", or empty where nothing must be reached


def ceilings(notes: Mapping[str, Any]) -> dict[str, Ceiling]:
    """By strategy; empty where nothing was calibrated."""
    return {name: Ceiling.model_validate(values) for name, values in notes.get(GENERATOR, {}).items()}
