"""Programs from Debian packages, without root: downloaded by apt (which checks its signed index), unpacked
by dpkg into the tool's folder."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from compose.installer.cache import ToolError
from compose.installer.command import Job
from compose.installer.recipe import Recipe

LAUNCHER = """#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
for folder in "$here"/../lib/*-linux-gnu*; do
    LD_LIBRARY_PATH=$folder${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
done
export LD_LIBRARY_PATH
exec "$here/real/{name}" "$@"
"""
OS_RELEASE = Path("/etc/os-release")


def available() -> bool:
    """Whether this host can fetch and unpack Debian packages."""
    return bool(shutil.which("apt-get") and shutil.which("dpkg-deb"))


def codename() -> str:
    """The host's release, because the same package name means another version there."""
    text = OS_RELEASE.read_text() if OS_RELEASE.exists() else ""
    match = re.search(r'^VERSION_CODENAME="?(\w+)', text, re.MULTILINE)
    return match[1] if match else "unknown"


def install(recipe: Recipe, tree: Path, job: Job) -> str:
    """Unpacks the packages into `tree`; their versions and checksums."""
    if not available():
        raise ToolError(
            f"{recipe.package} comes as a Debian package, and this machine has no apt-get and dpkg-deb"
        )
    apt = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]
    packages = recipe.package.split()
    try:
        files = [_download(names, apt, job) for names in packages]
    except ToolError:  # no package lists here: read them into a state of our own
        apt += _private_state(job.work)
        job.run("reading the Debian package lists", [*apt, "update"])
        files = [_download(names, apt, job) for names in packages]
    for file in files:
        job.run(f"unpacking {file.name}", ["dpkg-deb", "-x", str(file), str(tree)])
    if len(files) > 1:
        _wrap(tree / recipe.program)
    return ", ".join(f"{one.stem} sha256:{hashlib.sha256(one.read_bytes()).hexdigest()}" for one in files)


def _download(names: str, apt: list[str], job: Job) -> Path:
    """The file of the first of these names that the host's release knows."""
    *others, last = names.split("|")
    for name in others:
        try:
            return _downloaded(name, apt, job)
        except ToolError:
            continue
    return _downloaded(last, apt, job)


def _downloaded(name: str, apt: list[str], job: Job) -> Path:
    job.run(f"fetching the Debian package {name}", [*apt, "download", name], cwd=job.work)
    files = list(job.work.glob(f"{name}_*.deb"))
    if len(files) != 1:
        raise ToolError(f"apt-get downloaded {len(files)} files for {name}, expected one")
    return files[0]


def _wrap(program: Path) -> None:
    """Puts a script in a program's place: its libraries are beside it, for this process only."""
    real = program.parent / "real" / program.name  # the name stays: it is how the process is known
    real.parent.mkdir()
    shutil.copy2(program, real)  # what a link leads to: Redis' programs are one file that looks at its name
    program.unlink()
    program.write_text(LAUNCHER.format(name=program.name))
    program.chmod(0o755)


def _private_state(work: Path) -> list[str]:
    for name in ("state/lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    places = {
        "Dir::State": work / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": work / "cache",
    }
    return [word for name, place in places.items() for word in ("-o", f"{name}={place}")]
