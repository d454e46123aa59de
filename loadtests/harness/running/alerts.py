"""Which alerts fired while a run went on, asked of Prometheus once at its end.

Prometheus keeps the history of every alert as the series ``ALERTS``; so nothing has to poll during the
run. Each stretch of firing becomes an event, and one event more says whether anybody watched at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import aiohttp

from loadtests.harness.records.model import Event

STEP_S = 5.0  # as often as rules are evaluated
POINTS_MAX = 10_000  # of one answer; Prometheus refuses more than 11,000
LIMIT_S = 5.0
FIRED, WATCHED = "alert", "alerts"
_OWN_LABELS = frozenset({"__name__", "alertname", "alertstate", "severity"})


async def fired(http: aiohttp.ClientSession, url: str | None, since: float, until: float) -> list[Event]:
    """Events of the time between; never raises, because a run is not lost for them."""
    if not url:
        return [_watched(until, reason="there is no Prometheus")]
    step_s = max(STEP_S, (until - since) / POINTS_MAX)
    query = {
        "query": 'ALERTS{alertstate="firing"}',
        "start": str(since),
        "end": str(until),
        "step": str(step_s),
    }
    try:
        series = (await _get(http, f"{url}/api/v1/query_range", query))["result"]
        rules = await _get(http, f"{url}/api/v1/rules", {"type": "alert"})
        known = [rule for group in rules["groups"] for rule in group["rules"]]
        if not known:
            return [_watched(until, reason="Prometheus has no alert rules")]
        events = sorted(_events(series, known, step_s, until), key=lambda event: event.at)
        return [*events, _watched(until, rules=len(known), fired=len(events))]
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
        return [_watched(until, reason=f"Prometheus did not answer ({type(error).__name__})")]


def _watched(at: float, **detail: Any) -> Event:
    return Event(at=at, kind=WATCHED, detail={"watched": "reason" not in detail, **detail})


async def _get(http: aiohttp.ClientSession, url: str, query: Mapping[str, str]) -> Any:
    async with http.get(url, params=query, timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as answer:
        return (await answer.json())["data"]


def _events(
    series: Iterable[Mapping[str, Any]], rules: Iterable[Mapping[str, Any]], step_s: float, until: float
) -> Iterator[Event]:
    meaning = {rule["name"]: rule.get("annotations", {}).get("description", "") for rule in rules}
    for one in series:
        labels = one["metric"]
        where = {name: value for name, value in sorted(labels.items()) if name not in _OWN_LABELS}
        for first, last in stretches([float(at) for at, _ in one["values"]], step_s):
            yield Event(
                at=first,
                kind=FIRED,
                detail={
                    "name": labels["alertname"],
                    "severity": labels.get("severity", ""),
                    "where": where,
                    "meaning": meaning.get(labels["alertname"], ""),
                    "firing_s": round(last - first + step_s, 3),
                    "still": last + step_s >= until,
                },
            )


def stretches(points: Iterable[float], step_s: float) -> Iterator[tuple[float, float]]:
    """First and last point of every run of points that follow each other."""
    first = last = None
    for at in points:
        if first is None or last is None:
            first = at
        elif at - last > 1.5 * step_s:
            yield first, last
            first = at
        last = at
    if first is not None and last is not None:
        yield first, last
