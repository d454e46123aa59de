"""Short ways to write the expressions that recur, so that each rate and each percentile is taken alike."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

# Written by ``python -m docs.generate`` from the processes' own declarations.
BUCKETS = Path(__file__).with_name("buckets.json")
WINDOW = "$__rate_interval"  # Grafana's: at least four scrapes
# What stands behind the name of an arm that a run has several times: "A 24 VU", "A 1.5 MiB", "A at 80 %", "A
# with a kill". Anything else is a name of its own: "2 connections", "proxy at 20 ms".
LEVEL = "( [0-9.]+ ([KMG]i)?[A-Z]+| at [0-9.]+ %| with a kill)?"


def rate(selector: str) -> str:
    """How fast a counter grows, per second."""
    return f"rate({selector}[{WINDOW}])"


def per_s(selector: str, *by: str) -> str:
    """The same, summed over everything but ``by``."""
    return total(rate(selector), *by)


def total(expr: str, *by: str) -> str:
    return f"sum by ({', '.join(by)}) ({expr})" if by else f"sum({expr})"


def by_arm(expr: str) -> str:
    """Summed by arm of the question: "proxy-chunked 24 VU", a level of an arm, is "proxy-chunked"."""
    of = f'label_replace({expr}, "of", "$1", "arm", "(.+?){LEVEL}")'
    return f'label_replace({total(of, "of")}, "arm", "$1", "of", "(.*)")'


def or_zero(expr: str) -> str:
    """A sum over everything that is 0 where there is nothing to add up. In brackets: ``or`` binds last."""
    return f"({expr} or vector(0))"


def over(above: str, below: str, *, on: str = "") -> str:
    """A quotient that is absent, not infinite, where there is nothing to divide by."""
    return f"{above} / {on}{' ' if on else ''}({below} > 0)"


def quantile(q: float, metric: str, selector: str = "", *by: str) -> str:
    """A percentile, estimated inside the bucket that holds it."""
    labels = ", ".join(("le", *by))
    return f"histogram_quantile({q}, sum by ({labels}) ({rate(f'{metric}_bucket{selector}')}))"


def mean(metric: str, selector: str = "", *by: str) -> str:
    """Exact, whatever the buckets are."""
    return over(per_s(f"{metric}_sum{selector}", *by), per_s(f"{metric}_count{selector}", *by))


@cache
def _buckets() -> dict[str, list[float]]:
    found: dict[str, list[float]] = json.loads(BUCKETS.read_text(encoding="utf-8"))
    return found


def bounds(metric: str) -> tuple[float, ...]:
    """Upper bounds of a histogram's buckets, as its process declares them."""
    if metric not in _buckets():
        raise LookupError(f"no process has a histogram {metric}; a new one needs: python -m docs.generate")
    return tuple(_buckets()[metric])


def error_of(metric: str) -> str:
    """What a percentile of this histogram is worth, in words for its description."""
    known = ", ".join(_seconds(bound) for bound in bounds(metric))
    return f"Estimated from buckets ending at {known}: the true value lies in the same bucket."


def _seconds(value: float) -> str:
    return f"{value:g} s" if value >= 1 else f"{value * 1000:g} ms"
