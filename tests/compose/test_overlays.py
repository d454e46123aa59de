"""Each overlay comes up on a real Docker engine and passes the smoke test; replicas restart in turn."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compose.bed import UP_WITHIN_S, Bed, new_bed

pytestmark = [pytest.mark.docker, pytest.mark.timeout(UP_WITHIN_S)]
MIB = 1 << 20
SMOKE_WITHIN_S, ROLL_WITHIN_S, NOTICED_WITHIN_S = 600, 300, 60
PROXIES = {"gateway", "public-store", "auth", "upload", "files", "store", "pg-auth", "pg-upload", "pg-files"}


def running(daemon: str, without: str, overlay: str, **chosen: str) -> Iterator[Bed]:
    """A testbed with an overlay, after the smoke test."""
    with new_bed(daemon, WITHOUT=without, OVERLAYS=overlay, **chosen) as bed:
        bed.good("up", timeout_s=UP_WITHIN_S)
        assert "All checks passed" in bed.good("smoke", timeout_s=SMOKE_WITHIN_S)
        yield bed


@pytest.fixture
def scaled(daemon: str, without: str) -> Iterator[Bed]:
    yield from running(daemon, without, "scaled")


@pytest.fixture
def limited(daemon: str, without: str) -> Iterator[Bed]:
    yield from running(daemon, without, "limits", LIMITS="micro")


@pytest.fixture
def faulty(daemon: str, without: str) -> Iterator[Bed]:
    yield from running(daemon, without, "faults")


def test_two_of_each_work_and_restart_in_turn(scaled: Bed) -> None:
    for part in ("gateway-2", "upload-2", "files-2", "nginx", "pgbouncer"):
        assert scaled.facts(part)["State"]["Health"]["Status"] == "healthy"
    assert scaled.good("roll", timeout_s=ROLL_WITHIN_S).count("restarted") == 6
    assert "All checks passed" in scaled.good("smoke", timeout_s=SMOKE_WITHIN_S)


def test_limits_are_in_effect(limited: Bed) -> None:
    for part in ("gateway", "auth", "upload", "files"):
        facts = limited.facts(part)
        host = facts["HostConfig"]
        assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (10**9, 1024 * MIB, 1024 * MIB)
        assert {"MEMORY_SOFT_MB=800", "GC_THRESHOLDS=tight"} <= set(facts["Config"]["Env"])


def test_faults_stand_on_every_road(faulty: Bed) -> None:
    """Clients take both of theirs; one that is cut makes the gateway say so; opened again, it is well."""
    assert set(ask(faulty, "/proxies")) == PROXIES
    assert {"gateway", "public-store"} <= used(faulty)
    ready = f"http://127.0.0.1:{faulty.env['FAULTS_GATEWAY_PORT']}/health/detailed"
    assert answered(ready) == 200
    ask(faulty, "/proxies/upload", {"enabled": False})
    assert answered(ready, after=200) == 503
    ask(faulty, "/proxies/upload", {"enabled": True})
    assert answered(ready, after=503) == 200


def used(bed: Bed) -> set[str]:
    """Proxies through which bytes came, on connections that are closed by now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{bed.env['TOXIPROXY_PORT']}/metrics", timeout=10) as page:
        found = re.findall(
            r'toxiproxy_proxy_received_bytes_total\{.*proxy="([a-z-]+)".*\} (\S+)', page.read().decode()
        )
    return {name for name, count in found if float(count) > 0}


def ask(bed: Bed, path: str, change: dict[str, Any] | None = None) -> dict[str, Any]:
    """toxiproxy's control port."""
    body = None if change is None else json.dumps(change).encode()
    url = f"http://127.0.0.1:{bed.env['TOXIPROXY_PORT']}{path}"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read())
    return found


def answered(url: str, *, after: int = 0) -> int:
    """The status of a page; the first other one than ``after``, for which results may be kept a moment."""
    end = time.monotonic() + NOTICED_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
                status = int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                status = error.code
        if status != after or time.monotonic() > end:
            return status
        time.sleep(0.1)
