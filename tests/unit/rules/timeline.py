"""Time lines for promtool: a system that is well, then not, then well again; who fires, and when.

promtool's `ALERTS` series stand for the state of every alert, so one expression asks for a state at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

STEP_S = 5
WELL_S, ILL_S, AFTER_S = 300, 780, 420  # longer than the longest `for` and window together
WINDOW_S = 60

Values = Callable[[bool], float]  # by "is it ill now"


@dataclass(frozen=True, slots=True)
class Series:
    """One input series: a level, or a counter that grows by so much a second."""

    name: str
    labels: Mapping[str, str]
    well: float
    ill: float
    counter: bool = False

    def render(self) -> dict[str, str]:
        """As promtool reads it."""
        seconds = range(0, WELL_S + ILL_S + AFTER_S, STEP_S)
        values: Iterable[float] = (
            self.ill if WELL_S <= second < WELL_S + ILL_S else self.well for second in seconds
        )
        if self.counter:
            values = accumulate(value * STEP_S for value in values)
        inside = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        return {"series": f"{self.name}{{{inside}}}", "values": " ".join(f"{value:g}" for value in values)}


def firing(alert: str, at_s: float, labels: Mapping[str, str] | None) -> dict[str, Any]:
    """That this alert fires then with these labels, or (None) that it does not."""
    by = ", ".join(("alertname", "severity", *(labels or {})))
    expected = "" if labels is None else ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return {
        "expr": f'sum by ({by}) (ALERTS{{alertname="{alert}", alertstate="firing"}})',
        "eval_time": f"{at_s:g}s",
        "exp_samples": [] if labels is None else [{"labels": f"{{{expected}}}", "value": 1}],
    }


def unit_test(series: Iterable[Series], asked: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One entry of a promtool test file."""
    return {
        "interval": f"{STEP_S}s",
        "input_series": [one.render() for one in series],
        "promql_expr_test": list(asked),
    }
