"""What Prometheus answered to every expression of every panel, as one file of the bundle.

Expressions stand in it as the dashboards have them, so a panel finds its answers by its own text; values
lie on one grid of times. The same answers give the same bytes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loadtests.harness.records.bundle import BundleError

FILE = "panels.json.gz"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one label set from the grid's place ``first`` on; ``None`` where there was none."""

    labels: Mapping[str, str]
    first: int
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    start: float
    end: float
    step_s: float
    rate_window_s: float
    prometheus: str  # its version
    answers: Mapping[str, tuple[Series, ...]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)  # expression -> what Prometheus said

    def seconds(self, series: Series) -> list[float]:
        """When each value was, in seconds since the start."""
        return [(series.first + place) * self.step_s for place in range(len(series.values))]


def write_recording(bundle: Path, recording: Recording) -> Path:
    text = json.dumps({"format": FORMAT, **asdict(recording)}, sort_keys=True, separators=(",", ":"))
    draft = bundle / f".{FILE}"
    draft.write_bytes(gzip.compress(text.encode(), mtime=0))
    return draft.replace(bundle / FILE)


def read_recording(bundle: Path) -> Recording:
    """Raises ``BundleError`` when the run recorded none."""
    try:
        value: dict[str, Any] = json.loads(gzip.decompress((bundle / FILE).read_bytes()))
    except FileNotFoundError:
        raise BundleError(
            f"{bundle} holds no {FILE}: Prometheus did not run, or the run ended before it was asked"
        ) from None
    if value.pop("format") != FORMAT:
        raise BundleError(f"{bundle / FILE} has another format than {FORMAT}")
    answers = {
        expr: tuple(Series(one["labels"], one["first"], tuple(one["values"])) for one in series)
        for expr, series in value.pop("answers").items()
    }
    return Recording(**value, answers=answers)
