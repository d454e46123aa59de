"""Clocks that a test sets: the library that stands between a process and its time of day."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from compose.installer.cache import ToolError
from compose.installer.programs import Installer


def library(say: Callable[[str], object] = print) -> Path | None:
    """The library, installed when missing; None where it cannot be had, and ``say`` is told why."""
    try:
        with Installer(os.environ, echo=say) as tools:
            program = Path(tools.locate(["faketime"])["FAKETIME_BIN"])
    except (ToolError, KeyError) as error:
        say(f"no clock that a test can set: {str(error).splitlines()[0]}")
        return None
    return next(program.parent.parent.rglob("libfaketime.so.1"), None)
