"""The one door to external programs: the user's own, the cached one, or a freshly installed one.

    with Installer(environ, echo=print) as tools:
        tools.locate(["postgres", "minio"])   # {"MINIO_BIN": …, "MINIO_VERSION": …, …}

All network access of the start-up is behind this module; VAULTBENCH_OFFLINE=1 turns it off.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from compose.installer import cache, debian, golang, recipe, wheel
from compose.installer.cache import Echo, ToolError
from compose.installer.command import Job
from compose.installer.recipe import Recipe
from compose.settings import ROOT


@dataclass(frozen=True, slots=True)
class Found:
    """Where a program is and where it came from; `path` is None while it is not installed."""

    recipe: Recipe
    path: Path | None
    version: str
    source: str


class Installer:
    """Finds and installs programs. Close it (or use it in `with`): Go's caches go then."""

    def __init__(self, environ: Mapping[str, str], *, echo: Echo) -> None:
        self._environ, self._echo = environ, echo
        self._toolchain, self._recipes = recipe.load()
        self.cache = cache.root_folder(environ, ROOT)
        self._workshop = golang.Workshop(self.cache, self._toolchain, echo)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._workshop.close()

    def names(self) -> list[str]:
        """Every program there is a recipe for on this host."""
        recipes = [one for one in self._recipes.values() if one.kind != "debian" or debian.available()]
        return list(dict.fromkeys(one.name for one in recipes))

    def candidates(self, name: str) -> list[Recipe]:
        """Recipes for a program under the settings in effect, the preferred one first."""
        if name != "prometheus":
            return [self._recipes[name]]
        package, source = self._recipes["prometheus-debian"], self._recipes["prometheus-go"]
        chosen = {"debian": [package], "go": [source], "off": []}
        auto = [package, source] if debian.available() else [source]
        return chosen.get(self._environ.get("PROMETHEUS_SOURCE") or "auto", auto)

    def find(self, name: str) -> Found | None:
        """A program as it is now, without installing it; None when settings turn it off."""
        choices = self.candidates(name)
        if not choices:
            return None
        own = self._environ.get(choices[0].variable)
        if own:
            path = Path(own) / "postgres" if name == "postgres" else Path(own)
            return Found(choices[0], path, _asked(path, choices[0]), "user")
        for choice in choices:
            folder = self.folder(choice)
            if cache.complete(folder):
                record = cache.manifest(folder)
                return Found(choice, folder / choice.program, record["version"], record["source"])
        return Found(choices[0], None, choices[0].version, choices[0].kind)

    def folder(self, one: Recipe) -> Path:
        """Where a recipe's result is or would be."""
        where = debian.codename() if one.kind == "debian" else ""
        return self.cache / one.name / recipe.folder_name(one, self._toolchain, where)

    def locate(self, names: Iterable[str]) -> dict[str, str]:
        """Settings that name the programs and their versions; installs what is missing."""
        located: dict[str, str] = {}
        for name in names:
            found = self.find(name)
            if found and found.path is None:
                self._install(name)
                found = self.find(name)
            if found and found.path:
                path = found.path.parent if name == "postgres" else found.path
                located |= {found.recipe.variable: str(path), f"{name.upper()}_VERSION": found.version}
        return located

    def locate_optional(self, names: Iterable[str]) -> dict[str, str]:
        """As `locate`, but what cannot be had is told and left out."""
        located: dict[str, str] = {}
        for name in names:
            try:
                located |= self.locate([name])
            except ToolError as exc:
                self._echo(f"{name}: left out, its figures will be missing ({str(exc).splitlines()[0]})")
        return located

    def _install(self, name: str) -> None:
        """Tries the candidates in order; the last one's failure is the answer."""
        if self._environ.get("VAULTBENCH_OFFLINE") == "1":
            first = self.candidates(name)[0]
            raise ToolError(
                f"{name} {first.version} is not in {self.cache}, and VAULTBENCH_OFFLINE=1 forbids fetching "
                f"it. Run `make tools` with a network, or set {first.variable}."
            )
        *others, last = self.candidates(name)
        for choice in others:
            try:
                return self._make(choice)
            except ToolError as exc:
                self._echo(f"{name}: {exc}\n{name}: trying another source")
        try:
            return self._make(last)
        except ToolError as exc:
            way_out = " or PROMETHEUS_SOURCE=off to go without it" if name == "prometheus" else ""
            raise ToolError(
                f"{exc}\nThe next try starts afresh. Is the network there (`make doctor`)? "
                f"A program of your own is used with {last.variable}=…{way_out}."
            ) from exc

    def _make(self, one: Recipe) -> None:
        final, log = self.folder(one), self.cache / ".logs" / f"{one.name}.log"
        with cache.lock(self.cache, one.name, self._echo):
            if cache.complete(final):
                return  # somebody else made it while we waited
            work = cache.workplace(self.cache, one.name)
            tree = work / "tree"
            tree.mkdir()
            self._echo(f"{one.name} {one.version}: installing, usually {one.usual_s} s; log: {log}")
            began = time.monotonic()
            methods = {"go": self._workshop.build, "wheel": wheel.install, "debian": debian.install}
            source = methods[one.kind](one, tree, Job(one.name, one.usual_s, work, log, self._echo))
            took_s = round(time.monotonic() - began, 1)
            cache.publish(tree, final, _record(one, tree, source, took_s))
            shutil.rmtree(work)
            self._echo(f"{one.name} {one.version}: ready after {took_s:.0f} s")


def _record(one: Recipe, tree: Path, source: str, took_s: float) -> dict[str, object]:
    program = tree / one.program
    if not program.is_file():
        raise ToolError(f"{one.name}: {source} has no {one.program}")
    return {
        "name": one.name,
        "version": one.version if one.kind != "debian" else _asked(program, one),
        "source": source,
        "program": one.program,
        "sha256": hashlib.sha256(program.read_bytes()).hexdigest(),
        "made_at": datetime.now(UTC).isoformat(),
        "took_s": took_s,
    }


def _asked(program: Path, one: Recipe) -> str:
    """The version that a program reports about itself."""
    asked = [str(program), *one.version_arguments]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ToolError(f"{program} does not run: {exc}. Unset {one.variable} or correct it.") from exc
    match = re.search(r"RELEASE\.[\w-]+|\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
    return match[0] if match else "unknown"
