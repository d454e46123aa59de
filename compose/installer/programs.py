"""The one door to external programs: the user's own, the cached one, one on PATH, or a freshly installed one.

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
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Self

from compose.installer import cache, debian, golang, recipe, wheel
from compose.installer.cache import Echo, ToolError
from compose.installer.command import Job
from compose.installer.recipe import Recipe
from compose.settings import ROOT

VERSION = re.compile(r"RELEASE\.[\w-]+|\d+\.\d+(?:\.\d+)?")
VERSION_TIMEOUT_S = 20
OWN, ON_PATH = "your own", "on PATH"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a program is and where it came from; `path` is None while it is not installed."""

    recipe: Recipe
    path: Path | None
    version: str
    source: str

    @property
    def recorded(self) -> str:
        """The version as results show it: one that we did not install may be built in another way."""
        foreign = self.source in (OWN, ON_PATH)
        return f"{self.version} ({self.source})" if foreign else self.version


class Installer:
    """Finds and installs programs. Close it (or use it in `with`): Go's caches go then."""

    def __init__(self, environ: Mapping[str, str], *, echo: Echo) -> None:
        self._environ, self._echo = environ, echo
        self._toolchain, self._recipes = recipe.load()
        self.cache = cache.root_folder(environ, ROOT)
        self._workshop = golang.Workshop(self.cache, self._toolchain, echo)
        self._stop = Event()

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
        """A program as it is now, without installing it; None when settings turn it off.

        Raises `ToolError` when somebody's own one is not that program.
        """
        choices = self.candidates(name)
        if not choices:
            return None
        for variable in choices[0].variables:
            if self._environ.get(variable):
                return self._own(choices, variable)
        for choice in choices:
            folder = self.folder(choice)
            if cache.complete(folder):
                record = cache.manifest(folder)
                return Found(choice, folder / choice.program, record["version"], record["source"])
        return self._on_path(choices) or Found(choices[0], None, choices[0].version, choices[0].kind)

    def _own(self, choices: Sequence[Recipe], variable: str) -> Found:
        one, value = choices[0], self._environ[variable]
        path = Path(value, "postgres") if one.name == "postgres" else Path(shutil.which(value) or value)
        try:
            version = _asked(path.absolute(), one)
        except ToolError as exc:
            raise ToolError(f"{variable}={value!r}: must be {one.name} {one.version}. {exc}") from exc
        nearest = next((each for each in choices if each.fits(version)), one)
        return Found(nearest, path.absolute(), version, OWN)

    def _on_path(self, choices: Sequence[Recipe]) -> Found | None:
        """The first program of that name, if it is of the version that we would install.

        Not Postgres: its programs need the files around them, and installing them is a matter of seconds.
        """
        name = Path(choices[0].program).name
        path = shutil.which(name, path=self._environ.get("PATH"))
        if path is None or choices[0].name == "postgres":
            return None
        try:
            version = _asked(Path(path), choices[0])
        except ToolError:  # something else of that name
            return None
        fitting = [one for one in choices if one.fits(version)]
        return Found(fitting[0], Path(path).absolute(), version, ON_PATH) if fitting else None

    def folder(self, one: Recipe) -> Path:
        """Where a recipe's result is or would be."""
        where = debian.codename() if one.kind == "debian" else ""
        return self.cache / one.name / recipe.folder_name(one, self._toolchain, where)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Which of these are not here. `ToolError` with all that is wrong about somebody's own ones."""
        found, problems = [], []
        for name in names:
            try:
                one = self.find(name)
            except ToolError as exc:
                problems.append(str(exc))
            else:
                found += [name] if one and one.path is None else []
        if problems:
            raise ToolError("\n".join(problems))
        return found

    def locate(self, names: Iterable[str], *, optional: Iterable[str] = ()) -> dict[str, str]:
        """Settings that name the programs and their versions; installs what is missing, all of it at once.

        What of `optional` cannot be had is told and left out.
        """
        wanted = list(dict.fromkeys(names))
        missing = self.missing(wanted)
        more = {name: lacking for name in optional if (lacking := self._lacks(name)) is not None}
        self._install_all(missing, [name for name, lacking in more.items() if lacking])
        located: dict[str, str] = {}
        for name in (*wanted, *more):
            found = self.find(name)
            if found and found.path:
                self._mention(found)
                path = found.path.parent if name == "postgres" else found.path
                located |= {found.recipe.variable: str(path), f"{name.upper()}_VERSION": found.recorded}
        return located

    def _lacks(self, name: str) -> bool | None:
        """Whether an optional program is missing; None, and told, when somebody's own one is another."""
        try:
            return bool(self.missing([name]))
        except ToolError as exc:
            self._leave_out(name, exc)
            return None

    def _leave_out(self, name: str, why: ToolError) -> None:
        self._echo(f"{name}: left out, its figures will be missing ({str(why).splitlines()[0]})")

    def _mention(self, found: Found) -> None:
        """What was chosen by hand is told; and when nobody has tried that version, that too."""
        if found.source not in (OWN, ON_PATH):
            return
        fits = found.recipe.fits(found.version)
        doubt = "" if fits else f"; tested is {found.recipe.version}, results name yours"
        self._echo(f"{found.recipe.name} {found.version}: {found.source}, {found.path}{doubt}")

    def hand_on(self) -> None:
        """Another process builds next: closing leaves it what it can use."""
        self._workshop.hand_on()

    def _refuse_offline(self, names: Sequence[str]) -> None:
        if names and self._environ.get("VAULTBENCH_OFFLINE") == "1":
            lacking = [self.candidates(name)[0] for name in names]
            told = "; ".join(f"{one.name} {one.version} ({one.variables[0]})" for one in lacking)
            raise ToolError(
                f"Not in {self.cache}, and VAULTBENCH_OFFLINE=1 forbids fetching it: {told}. "
                "Run `make tools` with a network, or name programs of your own by the words in brackets."
            )

    def _install_all(self, names: Sequence[str], optional: Sequence[str]) -> None:
        """Builds beside downloads; the first failure ends the others, but not one of `optional`."""
        self._refuse_offline(names)
        with ThreadPoolExecutor(golang.builds_at_once()) as builders, ThreadPoolExecutor(1) as fetchers:
            tasks = []
            for name in (*names, *optional):
                workers = builders if self.candidates(name)[0].kind == "go" else fetchers
                tasks.append(workers.submit(self._try if name in optional else self._install, name))
            try:
                for task in as_completed(tasks):
                    task.result()
            except BaseException:
                self._stop.set()
                for task in tasks:
                    task.cancel()
                raise

    def _try(self, name: str) -> None:
        try:
            self._refuse_offline([name])
            self._install(name)
        except ToolError as exc:
            if not self._stop.is_set():
                self._leave_out(name, exc)

    def _install(self, name: str) -> None:
        """Tries the candidates in order; the last one's failure is the answer."""
        *others, last = self.candidates(name)
        for choice in others:
            try:
                return self._make(choice)
            except ToolError as exc:
                self._echo(f"{name}: {exc}\n{name}: trying another source")
        try:
            return self._make(last)
        except ToolError as exc:
            way_out = ", PROMETHEUS_SOURCE=off goes without it" if name == "prometheus" else ""
            raise ToolError(
                f"{exc}\nThe same command goes on from here. {last.variables[0]}=/path/to/{name} takes a "
                f"program of your own{way_out}."
            ) from exc

    def _make(self, one: Recipe) -> None:
        final, log = self.folder(one), self.cache / ".logs" / f"{one.name}.log"
        with cache.lock(self.cache, one.name, self._echo, self._stop):
            if cache.complete(final):
                return  # somebody else made it while we waited
            if cache.forbids_programs(self.cache):
                raise ToolError(
                    f"no program can run from {self.cache}: its file system is mounted with noexec. "
                    "Set VAULTBENCH_TOOLS to a folder on another one."
                )
            work = cache.workplace(self.cache, one.name)
            try:
                took_s = self._made(one, work, log)
            finally:  # a failed one fills the very disk that it failed on
                shutil.rmtree(work, ignore_errors=True)
            self._echo(f"{one.name} {one.version}: ready after {took_s:.0f} s")

    def _made(self, one: Recipe, work: Path, log: Path) -> float:
        """Makes a program in a folder and publishes it; how many seconds it took."""
        tree = work / "tree"
        tree.mkdir()
        log.unlink(missing_ok=True)
        expected = self._expected(one)
        self._echo(f"{one.name} {one.version}: installing, {expected}; log: {log}")
        job = Job(one.name, expected, work, log, self._echo, self._stop)
        methods = {"go": self._workshop.build, "wheel": wheel.install, "debian": debian.install}
        source = methods[one.kind](one, tree, job)
        took_s = round(time.monotonic() - job.began, 1)
        cache.publish(tree, self.folder(one), _record(one, tree, source, took_s))
        return took_s

    def _expected(self, one: Recipe) -> str:
        """How long it took last here, in any version; else how long it takes on two cores."""
        records = map(cache.manifest, filter(cache.complete, (self.cache / one.name).glob("*")))
        last = max((each for each in records if each["program"] == one.program), key=_made_at, default=None)
        return f"{last['took_s']:.0f} s last time" if last else f"usually {one.usual_s} s"


def _made_at(record: Mapping[str, str]) -> str:
    return record["made_at"]


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
    """The version that a program reports; `ToolError` when it is another program."""
    asked = [str(program), *one.version_arguments]
    try:
        done = subprocess.run(
            asked, capture_output=True, text=True, errors="replace", timeout=VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ToolError(f"{program} does not run: {exc}") from exc
    said = f"{done.stdout}\n{done.stderr}".strip()
    if done.returncode != 0 or one.says not in said:
        first = said.partition("\n")[0][:120]
        raise ToolError(f"{' '.join(asked)} (exit {done.returncode}) says {first!r}, not {one.says!r}")
    found = VERSION.search(said.partition(one.says)[2])
    return found[0] if found else "unknown"
