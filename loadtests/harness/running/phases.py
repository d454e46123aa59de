"""Who is told what a trial is doing: a person, and the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loadtests.harness.running.rig import Rig


class Watcher(Protocol):
    """Whoever shows a person what goes on."""

    def phase(self, name: str, length_s: float | None = None) -> None: ...
    def load(self, console: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """A watcher whose phases also go into the bundle's events: they say where a run's time went."""

    shown: Watcher
    rig: Rig
    trial: str

    def phase(self, name: str, length_s: float | None = None) -> None:
        self.rig.event("phase", self.trial, name=name)
        self.shown.phase(name, length_s)

    def load(self, console: Path) -> None:
        self.shown.load(console)
