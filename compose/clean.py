"""Deleting what the start-up made, and nothing else: it names folder and size first and follows no link."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from compose import life
from compose.installer import cache
from compose.prepare import owned_folders
from compose.settings import Settings

Say = Callable[[str], None]
MB = 1_000_000


def clean(settings: Settings, *, everything: bool, say: Say) -> None:
    """Stops all and deletes the data; `everything` also deletes the secrets."""
    life.stop(settings.run_dir)
    folders = owned_folders(settings.run_dir)
    for folder in folders:
        say(f"deleting {folder} ({size_bytes(folder) / MB:.0f} MB)")
        shutil.rmtree(folder)
    secrets = settings.secrets_file
    if everything and secrets.exists():
        say(f"deleting {secrets}")
        secrets.unlink()
    if not folders:
        say("no data to delete")


def clean_tools(settings: Settings, *, say: Say) -> None:
    """Deletes the tool cache."""
    folder = cache.root_folder(settings.env, settings.root)
    entries = [entry for entry in folder.glob("*") if entry.name.startswith((".lock-", ".build", ".logs"))]
    entries += [entry for entry in folder.glob("*") if any(entry.glob("*/manifest.json"))]
    say(f"deleting the tools in {folder} ({sum(map(size_bytes, entries)) / MB:.0f} MB)")
    for entry in entries:
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def size_bytes(path: Path) -> int:
    """Bytes on disk of everything below a path; links count as themselves."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += (Path(folder) / name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue
    return total
