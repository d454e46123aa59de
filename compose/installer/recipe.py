"""`tools.toml` as values, and the hash that names what a recipe produces.

The hash covers version, source, flags, Go version and, for Go, the module files, so that a changed recipe
is a new folder in the cache and nothing is ever overwritten.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).resolve().parent.parent
TOOLS = HERE / "tools.toml"
MODULES = HERE / "tools"
HASH_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Recipe:
    """One program. `program` is its path inside the tool's folder; `sha256` is by platform."""

    name: str
    kind: Literal["go", "wheel", "debian"]
    version: str
    program: str
    version_arguments: tuple[str, ...]
    usual_s: int
    size_bytes: int
    says: str
    word: str = ""
    package: str = ""
    ldflags: str = "-s -w"
    tags: str = ""
    requirement: str = ""
    python: str = ""
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def variable(self) -> str:
        """The setting that names the user's own program (for Postgres, its folder)."""
        return "POSTGRES_BIN_DIR" if self.name == "postgres" else f"{self.name.upper()}_BIN"

    @property
    def variables(self) -> tuple[str, ...]:
        """The same, the word behind a make target first, where there is one."""
        return tuple(filter(None, (self.word, self.variable)))

    def fits(self, version: str) -> bool:
        """Whether a version is the one that this project is tested with; patch levels of packages differ."""
        return version == self.version or version.startswith(f"{self.version}.")

    @property
    def module(self) -> Path:
        """Folder of the Go module that pins this program."""
        return MODULES / self.name


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The Go toolchain: what is needed, and the wheel it comes from when the host has none."""

    minimum: str
    host_minimum: str
    requirement: str
    build_bytes: int
    sha256: Mapping[str, str]


def load(path: Path = TOOLS) -> tuple[Toolchain, dict[str, Recipe]]:
    """The toolchain and all recipes by key (Prometheus has two)."""
    raw = tomllib.loads(path.read_text())
    toolchain = Toolchain(**raw.pop("go"))
    return toolchain, {key: _recipe(key, item) for key, item in raw.items()}


def _recipe(key: str, item: dict[str, Any]) -> Recipe:
    lists = {name: tuple(value) for name, value in item.items() if isinstance(value, list)}
    return Recipe(**{"name": key, **item, **lists})


def host() -> str:
    """Operating system and machine, as in the checksum tables: linux-x86_64, darwin-arm64, …"""
    return f"{platform.system().lower()}-{platform.machine().lower()}"


def folder_name(recipe: Recipe, toolchain: Toolchain, where: str = "") -> str:
    """`<version>-<os>-<arch>-<hash of recipe>`; `where` adds the distribution for packages."""
    content: dict[str, Any] = {
        "version": recipe.version,
        "source": [recipe.kind, recipe.package, recipe.requirement, recipe.keep, recipe.drop],
        "flags": [recipe.ldflags, recipe.tags],
        "sha256": recipe.sha256.get(host(), ""),
        "where": where,
    }
    if recipe.kind == "go":
        content["go"] = toolchain.minimum
        content["module"] = [(recipe.module / name).read_text() for name in ("go.mod", "go.sum")]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:HASH_DIGITS]
    return f"{re.sub(r'[^A-Za-z0-9.]+', '_', recipe.version)}-{host()}-{digest}"
