"""Code of another revision, in a folder of its own with the packages that its lock names.

Nothing in the checkout changes, not even git's own records: files are taken out of the history, or copied
from the working tree as it is, so that later edits do not reach a comparison that runs.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compose.settings import ROOT

LOCK = "requirements-bench.lock"
RUNS = ("services", "gateway", LOCK)  # what decides how a revision runs
MARKER = "complete"


class RevisionError(Exception):
    """There is no such revision, or it cannot be made to run; the text says why."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A revision's code. Equal `digest`, equal code; `commit` is empty for the working tree."""

    folder: Path
    python: str
    commit: str
    digest: str


def commit_of(revision: str) -> str:
    """The full name of a revision. Raises `RevisionError`."""
    asked = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RevisionError(f"there is no revision {revision} in this repository")
    return done.stdout.strip()


def take(revision: str, folder: Path, venvs: Path, say: Callable[[str], None]) -> Tree:
    """The code of a revision in `folder`, which must not exist, ready to run. Raises `RevisionError`."""
    folder.mkdir(parents=True)
    commit = commit_of(revision) if revision else ""
    if commit:
        _take_out(commit, folder)
    else:
        _copy_working_tree(folder)
    if missing := [name for name in RUNS if not (folder / name).exists()]:
        raise RevisionError(f"{revision}: has no {', '.join(missing)}, so its services cannot run here")
    python = _python(folder / LOCK, venvs, say)
    # Compiled now: the first start of a process must not take longer than the others.
    subprocess.run(
        [python, "-m", "compileall", "-q", *RUNS[:2]], cwd=folder, check=False, capture_output=True
    )
    return Tree(folder, python, commit, _digest(folder))


def _take_out(commit: str, folder: Path) -> None:
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        raise RevisionError(f"git archive {commit}: {archive.stderr.decode(errors='replace').strip()}")
    # Not tarfile: its safe way is younger than the oldest Python that we run on.
    done = subprocess.run(
        ["tar", "-x", "-C", str(folder)], input=archive.stdout, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise RevisionError(f"{commit} cannot be unpacked: {done.stderr.decode(errors='replace').strip()}")


def _copy_working_tree(folder: Path) -> None:
    """Everything but what git ignores: changed and new files too."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RevisionError(f"git ls-files: {done.stderr.strip()}")
    for name in filter(None, done.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():  # else it was deleted, or is a link to a folder
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _python(lock: Path, venvs: Path, say: Callable[[str], None]) -> str:
    """The interpreter with the packages of a lock: ours where the lock is ours."""
    if lock.read_bytes() == (ROOT / LOCK).read_bytes():
        return sys.executable
    build = f"{sys.version_info[:2]} {sys.base_prefix}".encode()
    venv = venvs / hashlib.sha256(lock.read_bytes() + build).hexdigest()[:16]
    python = venv / "bin" / "python"
    if (venv / MARKER).exists():
        return str(python)
    say("its packages differ: making a virtual environment for them, usually 30 s")
    shutil.rmtree(venv, ignore_errors=True)
    venvs.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(venv)])
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "--require-hashes", "-r", str(lock)])
    (venv / MARKER).touch()
    return str(python)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise RevisionError(f"its packages could not be installed:\n{last}")


def _digest(folder: Path) -> str:
    """Names the content of what runs."""
    found = hashlib.sha256()
    files = [path for name in RUNS for path in (folder / name, *(folder / name).rglob("*"))]
    for path in sorted(one for one in files if one.is_file() and one.suffix != ".pyc"):
        found.update(f"{path.relative_to(folder)}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
