"""Programs from Debian packages, without root: downloaded by apt (which checks its signed index), unpacked
by dpkg into the tool's folder."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from compose.installer.cache import ToolError
from compose.installer.command import Job
from compose.installer.recipe import Recipe

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
    """Unpacks the package into `tree`; its version and checksum."""
    if not available():
        raise ToolError(
            f"{recipe.package} comes as a Debian package, and this machine has no apt-get and dpkg-deb"
        )
    apt = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]
    try:
        job.run("Debian package", [*apt, "download", recipe.package], cwd=job.work)
    except ToolError:  # no package lists here: read them into a state of our own
        apt += _private_state(job.work)
        job.run("Debian package lists", [*apt, "update"])
        job.run("Debian package", [*apt, "download", recipe.package], cwd=job.work)
    files = list(job.work.glob("*.deb"))
    if len(files) != 1:
        raise ToolError(f"apt-get downloaded {len(files)} files for {recipe.package}, expected one")
    subprocess.run(["dpkg-deb", "-x", str(files[0]), str(tree)], check=True)
    return f"{files[0].stem} sha256:{hashlib.sha256(files[0].read_bytes()).hexdigest()}"


def _private_state(work: Path) -> list[str]:
    for name in ("state/lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    places = {
        "Dir::State": work / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": work / "cache",
    }
    return [word for name, place in places.items() for word in ("-o", f"{name}={place}")]
