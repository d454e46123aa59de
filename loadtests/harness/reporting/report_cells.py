"""A table of a report, and how its cells are written."""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.harness.analysis import words

QUESTIONS = {
    "capacity": "how much",
    "saturation": "with 1.5 times the VUs",
    "single": "one request",
    "large": "large file",
    "ramp": "ramp",
    "neighbours": "beside login and list",
    "raw": "raw",
    "journey": "journey",
    "bench": "benchmark",
}


@dataclass(frozen=True, slots=True)
class Table:
    """``first`` columns hold words, the rest numbers. Every cell is text, ready to print."""

    ident: str
    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    first: int = 1


def whole(value: int | None) -> str:
    """A count, or the sign for what was not measured."""
    return words.MISSING if value is None else f"{value:,}"
