"""Asks Prometheus every expression of every panel over the span of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from grafana.dashboards import DASHBOARDS
from grafana.expressions import Span
from loadtests.harness.panels.recording import Recording, Series

SCRAPE_S = 5.0
MOST_POINTS = 720  # of one series: more than a panel has pixels for
# Two scrapes. Turns last seconds, and Grafana's four would show each lower than it was.
SCRAPES_OF_A_RATE = 2
DIGITS = 6
TIMEOUT = aiohttp.ClientTimeout(total=30)


class PrometheusGone(Exception):
    """Prometheus does not answer; the message says what was asked."""


async def record_panels(
    http: aiohttp.ClientSession, url: str, *, start: float, end: float, run: str
) -> Recording:
    """All panels' answers between two instants. Raises ``PrometheusGone``."""
    step_s = max(SCRAPE_S, math.ceil((end - start) / MOST_POINTS / SCRAPE_S) * SCRAPE_S)
    window_s = max(SCRAPES_OF_A_RATE * SCRAPE_S, step_s)
    span = Span(window_s, end - start, run)
    answers: dict[str, tuple[Series, ...]] = {}
    refused: dict[str, str] = {}
    for expr, instant in _expressions():
        first = end if instant else start
        try:
            found = await _ask(http, url, span.fill(expr), start=first, end=end, step_s=step_s)
        except ValueError as error:
            refused[expr] = str(error)
            continue
        answers[expr] = tuple(_series(one, first, step_s) for one in found)
    version = await _version(http, url)
    return Recording(start, end, step_s, window_s, version, answers, refused)


def _expressions() -> Sequence[tuple[str, bool]]:
    """Each expression once, and whether only its last value is shown."""
    found: dict[str, bool] = {}
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels():
            for query in panel.queries:
                found |= {expr: query.instant for expr in (query.expr, query.x) if expr}
    return list(found.items())


async def _ask(
    http: aiohttp.ClientSession, url: str, expr: str, *, start: float, end: float, step_s: float
) -> list[dict[str, Any]]:
    """Raises ``ValueError`` with Prometheus' own words when it does not take the expression."""
    asked = {"query": expr, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_s:g}"}
    try:
        async with http.post(f"{url}/api/v1/query_range", data=asked, timeout=TIMEOUT) as answer:
            content: Mapping[str, Any] = await answer.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise PrometheusGone(f"{url} did not answer to {expr}: {error!r}") from error
    if content.get("status") != "success":
        raise ValueError(str(content.get("error", "no reason given")))
    found: list[dict[str, Any]] = content["data"]["result"]
    return sorted(found, key=lambda one: sorted(one["metric"].items()))


def _series(found: Mapping[str, Any], start: float, step_s: float) -> Series:
    """One answer on the grid, without what is no number."""
    places = {round((float(at) - start) / step_s): _number(text) for at, text in found["values"]}
    first, last = min(places), max(places)
    return Series(found["metric"], first, tuple(places.get(place) for place in range(first, last + 1)))


def _number(text: str) -> float | None:
    value = float(text)
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


async def _version(http: aiohttp.ClientSession, url: str) -> str:
    try:
        async with http.get(f"{url}/api/v1/status/buildinfo", timeout=TIMEOUT) as answer:
            return str((await answer.json())["data"]["version"])
    except (aiohttp.ClientError, TimeoutError) as error:
        raise PrometheusGone(f"{url} did not say its version: {error!r}") from error
