"""The last two questions before "ready": does the gateway find everything well, does Prometheus see all?"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from compose.stack import StackError

GATEWAY_TIMEOUT_S, TARGETS_TIMEOUT_S, POLL_S = 20.0, 20.0, 0.2
JOB = "vaultbench"
UNTRIED = "unknown"  # what Prometheus calls a target before its first scrape


def gateway_well(env: Mapping[str, str]) -> None:
    """Waits for a good `/health/detailed`; raises `StackError` with the checks that are not."""
    end = time.monotonic() + GATEWAY_TIMEOUT_S
    while True:
        status, answer = fetch(f"{env['GATEWAY_URL']}/health/detailed")
        if status == 200:
            return
        if time.monotonic() > end:
            bad = [name for name, check in answer.get("checks", {}).items() if not check.get("ok")]
            raise StackError(f"the gateway is not well (status {status}): {', '.join(bad) or 'no answer'}")
        time.sleep(POLL_S)


def targets(env: Mapping[str, str]) -> dict[str, str]:
    """Health of each scrape target (up, down, unknown) by job and service; {} when nobody answers."""
    _, answer = fetch(f"{env['PROMETHEUS_URL']}/api/v1/targets?state=active")
    found = answer.get("data", {}).get("activeTargets", [])
    health: dict[str, str] = {}
    for one in found:
        name = "/".join(_labels(one))
        health[f"{name} {one['labels']['instance']}" if name in health else name] = one["health"]
    return health


def _labels(target: Mapping[str, Any]) -> list[str]:
    labels = target["labels"]
    return [labels["job"], *(labels[name] for name in ("service", "database") if name in labels)]


def wait_targets(env: Mapping[str, str]) -> None:
    """Waits until Prometheus has scraped all processes of ours, and has tried every other target once."""
    end = time.monotonic() + TARGETS_TIMEOUT_S
    while True:
        found = targets(env)
        ours = {name: health for name, health in found.items() if name.startswith(JOB)}
        if ours and set(ours.values()) == {"up"} and UNTRIED not in found.values():
            return
        if time.monotonic() > end:
            late = {name for name, health in found.items() if health == UNTRIED}
            bad = [f"{name} {found[name]}" for name in found if name in late or ours.get(name, "up") != "up"]
            raise StackError(f"Prometheus does not see all targets: {', '.join(bad) or 'none known'}")
        time.sleep(POLL_S)


def fetch(url: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of an answer; (0, {}) without one. Never through a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return answer.status, _json(answer.read())
    except urllib.error.HTTPError as exc:
        return exc.code, _json(exc.read())
    except (OSError, ValueError):
        return 0, {}


def _json(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body)
    return found
