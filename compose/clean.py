"""Deleting what the start-up made, and nothing else: it names folder and size first and follows no link."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from compose import behind, credentials, envfile, life, postgres, room, run_folder
from compose.installer import cache, golang
from compose.installer.programs import Installer
from compose.settings import Settings

Say = Callable[[str], None]
MB = 1_000_000
# By these a folder of the cache is known as a tool that the installer made.
OF_A_TOOL = {"name", "version", "source", "program", "sha256"}
BESIDE_TOOLS = (".build", ".logs")


class NotOurs(Exception):
    """What should be deleted carries no mark of ours."""


def clean(settings: Settings, *, everything: bool, say: Say) -> None:
    """Stops all and deletes the data; `everything` also deletes the secrets. Raises `NotOurs`."""
    behind.end(settings.run_dir)
    life.stop(settings.run_dir)
    folder, elsewhere = settings.run_dir, postgres.home(settings.run_dir)
    if folder.is_dir() and any(folder.iterdir()):
        if not run_folder.is_ours(folder):
            mark = run_folder.MARK
            raise NotOurs(f"{folder} carries no mark of a testbed ({mark}), so nothing in it was deleted")
        say(f"deleting {folder} ({_mb(run_folder.ours_in(folder)):.0f} MB)")
        if left := run_folder.remove(folder):
            say(f"kept {folder}: {run_folder.shown(left)} not ours")
    elif not elsewhere.is_dir():
        say("no data to delete")
    if elsewhere.is_dir() and not elsewhere.is_symlink():
        say(f"deleting {elsewhere} ({_mb([elsewhere]):.0f} MB)")
        shutil.rmtree(elsewhere)
    if everything and settings.secrets_file.exists():
        _clean_secrets(settings.secrets_file, say)


def _clean_secrets(file: Path, say: Say) -> None:
    """Somebody may keep more in the file than our secrets: then it stays."""
    if others := [name for name in envfile.read(file) if name not in credentials.SIZES]:
        say(f"kept {file}: {run_folder.shown(others)} not ours")
        return
    say(f"deleting {file}")
    file.unlink()


def clean_tools(settings: Settings, *, say: Say) -> None:
    """Deletes the tools in the cache, and what their installation left."""
    folder = cache.root_folder(settings.env, settings.root)
    with contextlib.ExitStack() as locks:  # held to the end: whoever installs meanwhile waits
        names = _names_of_locks(settings, folder)
        held = {name: lock for name in names if (lock := cache.taken(folder, name))}
        for lock in held.values():
            locks.enter_context(lock)
        if busy := [name for name in names if name not in held]:
            raise cache.ToolError(f"{', '.join(busy)}: being installed in {folder} now; nothing was deleted")
        _delete_tools(folder, say)


def _names_of_locks(settings: Settings, folder: Path) -> list[str]:
    """Also of what was never installed: its installation may begin while we delete."""
    if not folder.is_dir():
        return []
    with Installer(settings.env, echo=str) as installer:
        known = installer.names()
    found = (lock.name.removeprefix(".lock-") for lock in folder.glob(".lock-*"))
    return sorted({*known, *golang.LOCKS, *found})


def _delete_tools(folder: Path, say: Say) -> None:
    # The locks last: until then they keep others out.
    entries = [*_tools(folder), *(folder / name for name in BESIDE_TOOLS), *folder.glob(".lock-*")]
    entries = [entry for entry in entries if entry.exists()]
    say(f"deleting the tools in {folder} ({_mb(entries):.0f} MB)")
    for entry in entries:
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for parent in {entry.parent for entry in entries} - {folder}:
        if not any(parent.iterdir()):
            parent.rmdir()


def _tools(folder: Path) -> Iterator[Path]:
    for file in folder.glob("*/*/manifest.json"):
        try:
            record = json.loads(file.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and record.keys() >= OF_A_TOOL and record["name"] == file.parts[-3]:
            yield file.parent


def _mb(paths: list[Path]) -> float:
    return sum(map(room.size_bytes, paths)) / MB
