"""How the generators write: pages, the marked part of a page, records, and folders that stay small."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from loadtests.harness.records.base import Record

MOST_BYTES = 2_500_000  # of docs/answers, and of docs/sample: every clone of the repository carries them


def write(pages: Mapping[Path, str]) -> None:
    """Every page with its content, in folders that are made where they are missing."""
    for path, text in pages.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def filled(page: Path, begin: str, end: str, text: str) -> str:
    """The page with ``text`` between its two marks."""
    before, rest = page.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}{end}{after}"


def text_of(record: Record) -> str:
    """A record as a file that can be read in a diff."""
    return json.dumps(record.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def size_bytes(folder: Path) -> int:
    """Of everything in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def refuse_large(folder: Path) -> None:
    """Raises ``click.ClickException`` where a folder that every clone carries has become too large."""
    if (found := size_bytes(folder)) > MOST_BYTES:
        raise click.ClickException(f"docs/{folder.name} has {found:,} bytes, more than {MOST_BYTES:,}")
