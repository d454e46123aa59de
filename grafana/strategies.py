"""The upload strategies as dashboards show them: the services' ``method`` label, name and colour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

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
    found = [Shown(name, told["method"], told["colour"], told["verdict"]) for name, told in _manifests()]
    return tuple(sorted(found, key=lambda one: (not one.decides, one.method != "proxy")))


@cache
def with_variants() -> tuple[Shown, ...]:
    """The strategies, then their variants, which the services count as what they are variants of."""
    variants = [
        Shown(f"{name}-{variant}", told["method"], own["colour"], decides=False)
        for name, told in _manifests()
        for variant, own in told.get("variants", {}).items()
    ]
    return (*strategies(), *variants)


def _manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FOLDER.glob("*/manifest.yaml")):
        yield path.parent.name, yaml.safe_load(path.read_text(encoding="utf-8"))


def colours() -> dict[str, str]:
    """Colours by method and by arm: a legend may hold either."""
    by_method = {one.method: one.colour for one in strategies()}
    return by_method | {one.arm: one.colour for one in with_variants()}
