"""What a manifest's notes may hold, typed on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadtests.harness.records.base import Record

GENERATOR = "generator"


class Ceiling(Record):
    """What the load generator can do by itself with one script and one file size."""

    file_size_bytes: int
    uploads_per_s: float
    floor_ms: float  # median time of an upload that nobody works on


def noted(found: Mapping[str, Ceiling]) -> dict[str, Any]:
    """Ceilings by strategy, as a manifest keeps them."""
    return {GENERATOR: {name: ceiling.model_dump() for name, ceiling in found.items()}}


def ceilings(notes: Mapping[str, Any]) -> dict[str, Ceiling]:
    """By strategy; empty where nothing was measured."""
    return {name: Ceiling.model_validate(values) for name, values in notes.get(GENERATOR, {}).items()}
