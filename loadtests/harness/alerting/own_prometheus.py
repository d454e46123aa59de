"""A Prometheus of our own beside the testbed's: the same program and targets, but rules we may change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from loadtests.harness import background
from loadtests.harness.alerting.provocations import seconds_of
from loadtests.harness.running.rig import Rig
from loadtests.harness.testbeds.testbed import SystemNotUp

READY_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0
TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that is not inactive. ``active_at`` is when its condition was first seen."""

    name: str
    firing: bool
    active_at: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Watchtower:
    """The running Prometheus."""

    http: aiohttp.ClientSession
    url: str
    scrape_s: float

    async def alerts(self) -> list[Alert]:
        """Every alert that is pending or firing."""
        async with self.http.get(f"{self.url}/api/v1/alerts", timeout=TIMEOUT) as answer:
            found = (await answer.json())["data"]["alerts"]
        return [_alert(one) for one in found]

    async def highest(self, expr: str, last_s: float) -> float | None:
        """The greatest value that an expression had, of all its series; nothing where it had none."""
        query = f"max(max_over_time(({expr})[{max(1, round(last_s))}s:{self.scrape_s:g}s]))"
        url = f"{self.url}/api/v1/query"
        async with self.http.get(url, params={"query": query}, timeout=TIMEOUT) as answer:
            found = (await answer.json())["data"]["result"]
        return float(found[0]["value"][1]) if found else None


def _alert(raw: Mapping[str, Any]) -> Alert:
    at = datetime.fromisoformat(raw["activeAt"]).timestamp()
    labels = {name: value for name, value in raw["labels"].items() if name != "alertname"}
    return Alert(raw["labels"]["alertname"], raw["state"] == "firing", at, labels)


@asynccontextmanager
async def watching(rig: Rig, recording: Path, alerts: str) -> AsyncIterator[Watchtower]:
    """Run it with these rules until the block ends.

    Raises:
        SystemNotUp: the testbed has no Prometheus, or it runs in a container.
    """
    program = await _program(rig)
    config = await _configuration(rig)
    folder = rig.work_dir / "own-prometheus"
    folder.mkdir()
    (folder / "alerts.yml").write_text(alerts, encoding="utf-8")
    config["rule_files"] = [str(recording), str(folder / "alerts.yml")]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{background.free_port()}"
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={address}", stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        tower = Watchtower(rig.http, f"http://{address}", seconds_of(config["global"]["scrape_interval"]))
        if not await background.answers(rig.http, f"{tower.url}/-/ready", process, READY_LIMIT_S):
            said = (folder / "log").read_text(encoding="utf-8", errors="replace")[-600:].strip()
            raise SystemNotUp(f"A second Prometheus did not start: {said}")
        yield tower
    finally:
        await background.end(process, STOP_LIMIT_S)


async def _program(rig: Rig) -> str:
    """The very program that the testbed runs."""
    found = [one for one in await rig.hold.testbed.watched() if one.name == "prometheus"]
    if rig.system.project or not found:
        raise SystemNotUp(
            "This needs the testbed's own Prometheus, as a process. Start it with: make up RUNTIME=native"
        )
    return f"/proc/{found[0].pid}/exe"


async def _configuration(rig: Rig) -> dict[str, Any]:
    url = f"{rig.system.prometheus_url}/api/v1/status/config"
    async with rig.http.get(url, timeout=TIMEOUT) as answer:
        found: dict[str, Any] = yaml.safe_load((await answer.json())["data"]["yaml"])
    return found
