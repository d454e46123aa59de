"""Every dashboard in a real Grafana: no error banner, and no "No data" outside the panels that may be empty.

Needs a Grafana with data (GRAFANA_URL; ``make up`` with GRAFANA_HOME, or in containers, then ``make stress``)
and Chromium. Screenshots and pages stay in GRAFANA_SHOTS.
"""

from __future__ import annotations

import os
import re
from html import unescape
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from grafana.dashboards import DASHBOARDS
from grafana.model import Dashboard
from tests.browser import chromium

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
ERRORS = re.compile(
    r"panel plugin not found|datasource .{0,60} not found|status-error|An unexpected error", re.IGNORECASE
)
SPAN = "from=now-30m&to=now&kiosk"


@pytest.fixture(scope="module")
def grafana() -> str:
    url = os.environ.get("GRAFANA_URL", "")
    if not url:
        pytest.skip("no Grafana: set GRAFANA_URL to a running one (GRAFANA_HOME=… make up starts yours)")
    try:
        with urlopen(f"{url}/api/health", timeout=5):  # noqa: S310
            return url.rstrip("/")
    except (URLError, OSError) as error:
        pytest.fail(f"GRAFANA_URL={url} does not answer: {error}")


@pytest.fixture(scope="module")
def program() -> str:
    found = chromium.find()
    if found is None:
        pytest.skip("no Chromium: set CHROMIUM_BIN, or install one of " + ", ".join(chromium.NAMES))
    return found


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_opens_without_error_and_with_data(
    grafana: str, program: str, dashboard: Dashboard, tmp_path: Path
) -> None:
    shots = Path(os.environ.get("GRAFANA_SHOTS") or tmp_path)
    shots.mkdir(parents=True, exist_ok=True)
    url = f"{grafana}/d/{dashboard.uid}?{SPAN}"
    size = "--window-size=1440,4200"  # tall: panels out of sight are not loaded
    common = (size, "--virtual-time-budget=20000", "--host-resolver-rules=")
    chromium.run(program, tmp_path / "a", *common, f"--screenshot={shots / dashboard.uid}.png", url)
    dom = unescape(chromium.run(program, tmp_path / "b", *common, "--dump-dom", url))
    (shots / f"{dashboard.uid}.html").write_text(dom, encoding="utf-8")  # what this test has seen
    assert not ERRORS.search(dom)
    may_be_empty = {p.title for p in dashboard.panels() if any(query.empty for query in p.queries)}
    parts = re.split(r'data-testid="data-testid Panel header ', dom)[1:]
    shown = {part.split('"', 1)[0] for part in parts}
    assert shown >= {panel.title for panel in dashboard.panels()}
    empty = {part.split('"', 1)[0] for part in parts if re.search(r">No data<", part)}
    assert empty <= may_be_empty
