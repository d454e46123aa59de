"""The lists of words and of what is inherited, as Python sees them."""

from __future__ import annotations

from compose.settings import ROOT

FOLDER = ROOT / "compose"


def takers() -> dict[str, set[str]]:
    """By word: the make targets that take it, or `every`, `containers`, `native`."""
    return {line[0]: set(line[1].split(",")) for line in _lines("words.list")}


def inherited() -> set[str]:
    """Variables that are taken over from the caller's environment, besides secrets."""
    return {line[0] for line in _lines("inherited.list")}


def _lines(name: str) -> list[list[str]]:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]
