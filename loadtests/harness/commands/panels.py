"""``make panels``: the dashboards of a run without Grafana; and where they are with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import aiohttp
from rich.console import Console

from grafana.dashboards import DASHBOARDS
from loadtests.harness.panels.page import render_panels
from loadtests.harness.panels.recorder import PrometheusGone, record_panels
from loadtests.harness.panels.recording import write_recording
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.testbeds.connections import read_environment
from loadtests.harness.testbeds.system import ROOT, System, open_testbed
from loadtests.harness.testbeds.testbed import serves

OK = 200
AROUND_S = 5.0  # one scrape before and after, so that the first and last turn are seen whole


def panels(path: Path, console: Console) -> int:
    """Draw the panels of a bundle again. Raises ``BundleError`` if it holds no recording."""
    console.print(f"Panels   {render_panels(path)}", markup=False, highlight=False, soft_wrap=True)
    return 0


async def keep_panels(system: System, path: Path, environ: Mapping[str, str], console: Console) -> None:
    """Record and draw what Prometheus knows of a run that just ended; without it a run has no panels."""
    async with open_testbed(system) as testbed:
        there = await serves(testbed, "prometheus")
    if not there:
        console.print("Prometheus does not run, so no panels were recorded.", style="dim")
        return
    found = Bundle(path).manifest()
    begin, end = found.started_at - AROUND_S, (found.ended_at or found.started_at) + AROUND_S
    try:
        async with aiohttp.ClientSession() as http:
            recording = await record_panels(http, system.prometheus_url, start=begin, end=end, run=found.run)
    except PrometheusGone as error:
        console.print(f"No panels were recorded: {error}", style="yellow", markup=False, highlight=False)
        return
    write_recording(path, recording)
    panels(path, console)
    settings = read_environment(ROOT, environ)
    url = settings.get("GRAFANA_URL")
    # People open the published address; inside the network of the containers it would be ourselves.
    asked = f"http://grafana:{settings.get('GRAFANA_PORT')}" if settings.get("BENCH_PROJECT") else url
    if url and asked and grafana_answers(asked):
        link = deep_link(url, found.run, begin, end)
        console.print(f"Grafana  {link}", markup=False, highlight=False, soft_wrap=True)


def deep_link(grafana_url: str, run: str, begin: float, end: float) -> str:
    """The first dashboard in Grafana with this run and its span of time."""
    first, *_ = DASHBOARDS
    asked = urlencode({"var-run": run, "from": round(begin * 1000), "to": round(end * 1000)})
    return f"{grafana_url.rstrip('/')}/d/{first.uid}?{asked}"


def grafana_answers(url: str) -> bool:
    """Whether a Grafana is there, so that no link to nowhere is printed."""
    try:
        with urlopen(f"{url}/api/health", timeout=2) as answer:  # noqa: S310  # an address of our own settings
            return bool(answer.status == OK)
    except (URLError, OSError):
        return False
