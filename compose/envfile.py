"""Files of KEY=VALUE lines, and `${NAME}` in text."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from dotenv import set_key
from dotenv.parser import parse_stream

KEY = re.compile(r"[A-Z][A-Z0-9_]*=")  # what the start-up in sh reads too: no `export`, no space
NAME = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


class EnvError(Exception):
    """One or more problems with settings; `problems` lists them all."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read(path: Path) -> dict[str, str]:
    """The values of a file; names in them stay as they are."""
    values: dict[str, str] = {}
    problems = []
    with path.open(encoding="utf-8") as file:
        for one in parse_stream(file):
            text = one.original.string.lstrip()
            if one.key and one.value is not None and KEY.match(text):
                values[one.key] = one.value
            elif one.key or one.error:
                before = one.original.string[: -len(text)]
                number = one.original.line + before.count("\n")
                problems.append(f"{path.name}, line {number}: not KEY=VALUE")
    if problems:
        raise EnvError(problems)
    return values


def add_secrets(path: Path, values: Mapping[str, str]) -> None:
    """Adds to a file, or makes it, atomically; nobody else can read it at any moment (mode 0600)."""
    beside = path.with_name(f"{path.name}.tmp")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(path.read_text(encoding="utf-8") if path.exists() else "")
    for key, value in values.items():
        set_key(beside, key, value, quote_mode="auto")
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
