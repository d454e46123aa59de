"""Alerts of a run: from Prometheus' history into the bundle, and from there into the report."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtests.harness.analysis.analyse import analyse
from loadtests.harness.analysis.facts import read_facts
from loadtests.harness.records.bundle import Bundle, BundleWriter
from loadtests.harness.records.model import Event
from loadtests.harness.reporting.report import conditions, render_bundle
from loadtests.harness.running import alerts
from loadtests.harness.running.alerts import fired, stretches
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests.fabricate_recipe import STARTED_AT

pytestmark = pytest.mark.unit

BEGAN = 1_000.0
RULE = {"name": "ErrorsCritical", "annotations": {"description": "Requests fail."}}


@dataclass(slots=True)
class Peer:
    """What Prometheus answers, and what it was asked."""

    series: list[dict[str, Any]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=lambda: [RULE])
    asked: list[dict[str, str]] = field(default_factory=list)
    status: int = 200

    async def range(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        return web.json_response({"status": "success", "data": {"result": self.series}}, status=self.status)

    async def groups(self, _: web.Request) -> web.Response:
        return web.json_response({"data": {"groups": [{"rules": self.rules}]}})


@asynccontextmanager
async def prometheus(peer: Peer) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/api/v1/query_range", peer.range)
    app.router.add_get("/api/v1/rules", peer.groups)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


def series(*at: float, **labels: str) -> dict[str, Any]:
    own = {
        "__name__": "ALERTS",
        "alertname": "ErrorsCritical",
        "alertstate": "firing",
        "severity": "critical",
    }
    return {"metric": {**own, **labels}, "values": [[moment, "1"] for moment in at]}


async def asked(peer: Peer, until: float = BEGAN + 600, since: float = BEGAN) -> list[Event]:
    async with prometheus(peer) as url, aiohttp.ClientSession() as http:
        return await fired(http, url, since, until)


async def test_each_stretch_of_firing_is_one_event() -> None:
    peer = Peer([series(1_010, 1_015, 1_020, 1_100, 1_105, service="files", job="vaultbench")])
    first, second, watched = await asked(peer)
    assert (first.kind, first.at, second.at) == ("alert", 1_010, 1_100)
    assert first.detail == {
        "name": "ErrorsCritical",
        "severity": "critical",
        "where": {"job": "vaultbench", "service": "files"},
        "meaning": "Requests fail.",
        "firing_s": 15,
        "still": False,
    }
    assert second.detail["firing_s"] == 10
    assert (watched.kind, watched.detail) == ("alerts", {"watched": True, "rules": 1, "fired": 2})
    assert peer.asked == [
        {"query": 'ALERTS{alertstate="firing"}', "start": "1000.0", "end": "1600.0", "step": "5.0"}
    ]


async def test_an_alert_that_does_not_end_is_marked() -> None:
    event, _ = await asked(Peer([series(1_590, 1_595)]))
    assert event.detail["still"]


async def test_a_day_is_asked_in_steps_that_prometheus_allows() -> None:
    peer = Peer()
    await asked(peer, until=BEGAN + 86_400)
    assert 86_400 / float(peer.asked[0]["step"]) <= 10_000


async def test_nobody_watching_is_not_silence() -> None:
    async with aiohttp.ClientSession() as http:
        (off,) = await fired(http, None, BEGAN, BEGAN + 1)
        (gone,) = await fired(http, "http://127.0.0.1:9", BEGAN, BEGAN + 1)
    (bare,) = await asked(Peer(rules=[]))
    (broken,) = await asked(Peer(series=[{"metric": {}}]))
    assert [one.detail["watched"] for one in (off, gone, bare, broken)] == [False] * 4
    assert off.detail["reason"] == "there is no Prometheus"
    assert gone.detail["reason"].startswith("Prometheus did not answer (Client")
    assert bare.detail["reason"] == "Prometheus has no alert rules"


@pytest.mark.parametrize(
    ("points", "found"),
    [([], []), ([5.0], [(5.0, 5.0)]), ([5.0, 10.0, 16.0, 30.0], [(5.0, 16.0), (30.0, 30.0)])],
)
def test_stretches(points: list[float], found: list[tuple[float, float]]) -> None:
    assert list(stretches(points, 5.0)) == found


class TestReport:
    @pytest.fixture
    def bundle(self, tmp_path: Path) -> Path:
        return make.fabricate(
            tmp_path, make.recipe(pairs=2, ramp=(), single=False, large=False, neighbours=False)
        )

    def told(self, bundle: Path, *events: Event) -> str:
        BundleWriter(bundle).append_events(events)
        analysis = analyse(read_facts(Bundle(bundle)))
        return dict(conditions(analysis)).get("alerts", "not said")

    def test_a_bundle_from_before_says_nothing(self, bundle: Path) -> None:
        assert self.told(bundle) == "not said"

    def test_nobody_watched_and_none_fired_differ(self, bundle: Path) -> None:
        off = Event(
            at=1.0, kind=alerts.WATCHED, detail={"watched": False, "reason": "there is no Prometheus"}
        )
        assert self.told(bundle, off) == "nobody watched: there is no Prometheus"
        on = Event(at=2.0, kind=alerts.WATCHED, detail={"watched": True, "rules": 12, "fired": 0})
        assert self.told(bundle, on) == "none of 12 rules fired"

    async def test_what_fired_stands_in_all_three_reports(self, bundle: Path) -> None:
        trial = Bundle(bundle).trials()[1]
        at = trial.started_at + 1.0
        found = await asked(Peer([series(at, at + 5, service="files")]), until=at + 600, since=STARTED_AT)
        BundleWriter(bundle).append_events(found)
        render_bundle(bundle)
        shown = json.loads((bundle / "report.json").read_text())
        assert shown["conditions"]["alerts"] == "1 fired: ErrorsCritical"
        (row,) = shown["tables"]["alerts"]["rows"]
        begun = f"{at - STARTED_AT:,.0f}"
        expected = [
            "ErrorsCritical",
            "critical",
            "service=files",
            trial.plan.trial,
            "Requests fail.",
            begun,
            "10",
        ]
        assert row == expected
        for name in ("report.html", "report.md"):
            text = (bundle / name).read_text(encoding="utf-8")
            assert "ErrorsCritical" in text
            assert "Requests fail." in text
