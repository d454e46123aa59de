"""A supervisor in a folder of its own, and parts to put into it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compose import control, life
from compose.part import Part

ENV = {"PATH": os.environ["PATH"]}
SLEEP = ("sleep", "600")


def within(holds: Callable[[], bool], timeout_s: float = 60.0) -> bool:
    """Polls; tests have no event of another process to wait for."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Bed:
    """A supervisor in a folder of its own."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def start(self, *parts: Part) -> None:
        self.run_dir.mkdir(exist_ok=True)
        life.launch(self.run_dir, parts, tied=True)

    def row(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = control.call(self.run_dir, "status")["parts"][name]
        return found

    def reaches(self, name: str, *states: str) -> dict[str, Any]:
        assert within(lambda: self.row(name)["state"] in states), self.row(name)
        return self.row(name)


def runs(name: str, *command: str, **more: Any) -> Part:
    return Part(name, command or SLEEP, ENV, **more)


def python(name: str, code: str, **more: Any) -> Part:
    return Part(name, (sys.executable, "-c", code), ENV, **more)
