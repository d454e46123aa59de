"""What Prometheus answered to every expression of every panel, as one file of the bundle.

Expressions stand in it as the dashboards have them, so a panel finds its answers by its own text; values
lie on one grid of times. The same answers give the same bytes.
"""

from __future__ import annotations

import gzip
import json
import zlib
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
    """Raises ``BundleError`` when the run recorded none, or it cannot be read."""
    file = bundle / FILE
    try:
        value: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    except FileNotFoundError:
        raise BundleError(
            f"{bundle} holds no {FILE}: Prometheus did not run, or the run ended before it was asked"
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error, ValueError) as error:
        raise BundleError(f"{file} is damaged: {error}") from error
    if value.pop("format", None) != FORMAT:
        raise BundleError(f"{file} has another format than {FORMAT}")
    try:
        answers = {
            expr: tuple(Series(one["labels"], one["first"], tuple(one["values"])) for one in series)
            for expr, series in value.pop("answers").items()
        }
        return Recording(**value, answers=answers)
    except (KeyError, TypeError) as error:
        raise BundleError(
            f"{file} cannot be read; another version of the harness made it ({error})"
        ) from error
