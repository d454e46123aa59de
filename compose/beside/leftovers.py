"""What a comparison made in the run folder, and what a killed one left behind.

Each comparison has a folder whose lock it holds while it lives. A folder whose lock nobody holds is nobody's:
whatever bears its word goes.
"""

from __future__ import annotations

import asyncio
import fcntl
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compose import life, settings
from compose.beside import base as bases
from compose.beside import data
from compose.stack import Stack

FOLDER, LOCK, OWN_BASE = "ab", "owner.lock", "base"


@contextmanager
def owned_folder(run_dir: Path) -> Iterator[Path]:
    """A new folder, ours until the block ends. Its name is the comparison's word; the block empties it."""
    folder = run_dir / FOLDER / f"vb_ab_{secrets.token_hex(3)}"
    folder.mkdir(parents=True)
    draft = folder / f"{LOCK}.draft"
    with draft.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        draft.rename(folder / LOCK)  # under its name only once it is held
        yield folder


def stale(run_dir: Path) -> list[Path]:
    """Folders of comparisons whose process is gone."""
    found = [lock.parent for lock in (run_dir / FOLDER).glob(f"*/{LOCK}") if not life.held(lock)]
    return sorted(found)


def remove_all(now: settings.Settings) -> list[str]:
    """Takes away what killed comparisons left; one line for each, also for what has to stay for now."""
    return [line for folder in stale(now.run_dir) for line in _remove(now, folder)]


def _remove(now: settings.Settings, folder: Path) -> list[str]:
    end_stacks(folder)
    own = (folder / OWN_BASE).exists()
    base = None if own else bases.found(now)
    if not own and base is None:
        word = folder.name
        return [f"a killed comparison left databases and buckets {word}*; once the testbed runs they can go"]
    gone = [] if base is None else take_away(base, folder.name)
    if own:
        Stack(folder / OWN_BASE, {}).destroy()
    shutil.rmtree(folder)
    named = ", ".join(gone) or "processes and files"
    return [f"removed what a killed comparison left: {named}"]


def end_stacks(folder: Path) -> None:
    """Ends all processes of a comparison's stacks and deletes their folders."""
    for run_dir in sorted(folder.glob("stack-*")):
        Stack(run_dir, {}).destroy()


def take_away(base: bases.Base, word: str) -> list[str]:
    """Databases, buckets and keys of a comparison; their names."""
    client, gone = data.root_client(base.env), list[str]()
    for bucket in data.buckets(client, word):
        names = data.Names(bucket.replace("-", "_"))
        multiparts = asyncio.run(data.open_multiparts(base.env, names))
        data.remove_bucket(client, bucket, multiparts)
        gone.append(bucket)
    gone += asyncio.run(data.drop_databases(base.env, word))
    data.take_keys(base.env, word)
    return gone
