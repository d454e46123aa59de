"""The upload strategies as dashboards show them: the services' ``method`` label, name and colour."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "loadtests" / "strategies"


@dataclass(frozen=True, slots=True)
class Shown:
    """One strategy: what arms call it, what the services' metrics call it, the report's colour."""

    arm: str
    method: str
    colour: str
    decides: bool  # whether it takes part in the verdict


@cache
def strategies() -> tuple[Shown, ...]:
    """Every folder of strategies, those that decide a verdict first."""
    found = []
    for path in sorted(FOLDER.glob("*/manifest.yaml")):
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        found.append(Shown(path.parent.name, told["method"], told["colour"], told["verdict"]))
    return tuple(sorted(found, key=lambda one: (not one.decides, one.method != "proxy")))


def colours() -> dict[str, str]:
    """Colours by method and by arm: a legend may hold either."""
    shown = strategies()
    return {one.method: one.colour for one in shown} | {one.arm: one.colour for one in shown}
