"""Files of KEY=VALUE lines, and `${NAME}` in text."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

LINE = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)")
NAME = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


class EnvError(Exception):
    """One or more problems with settings; `problems` lists them all."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read(path: Path) -> dict[str, str]:
    """The lines of a file, values as written; comments and empty lines are skipped."""
    values: dict[str, str] = {}
    problems = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = LINE.fullmatch(text)
        if match:
            values[match[1]] = match[2]
        else:
            problems.append(f"{path.name}, line {number}: not KEY=VALUE")
    if problems:
        raise EnvError(problems)
    return values


def write_secret(path: Path, values: Mapping[str, str]) -> None:
    """Replaces a file atomically; nobody else can read it at any moment (mode 0600)."""
    beside = path.with_name(f"{path.name}.tmp")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{key}={value}\n" for key, value in values.items())
    beside.replace(path)


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replaces every `${NAME}`; a missing name is a `KeyError`."""
    return NAME.sub(lambda match: values[match[1]], text)


def resolve(defaults: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    """Defaults under overrides, with names inside defaults replaced by values in effect.

    Overrides are taken as they are: a `$` in them means itself. An empty override counts as none.
    """
    values = {key: overrides.get(key) or text for key, text in defaults.items()}
    fixed = {key for key in defaults if overrides.get(key)}
    for _ in defaults:  # names may refer to names
        before = dict(values)
        values = {key: text if key in fixed else expand(text, before) for key, text in values.items()}
        if values == before:
            break
    return values
