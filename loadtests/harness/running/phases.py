"""The phases of a trial: shown to a person, and kept in the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loadtests.harness.running.progress import Progress
from loadtests.harness.running.rig import Rig


@dataclass(frozen=True, slots=True)
class Phases:
    """What is shown goes into the bundle's events too: they say where a run's time went."""

    progress: Progress
    rig: Rig
    trial: str

    def phase(self, name: str, length_s: float | None = None) -> None:
        self.rig.event("phase", self.trial, name=name)
        self.progress.phase(name, length_s)

    def load(self, console: Path) -> None:
        self.progress.load(console)
