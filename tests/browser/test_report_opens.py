"""The report in a real browser, without network: it shows its charts, on a desk and on a phone."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest
from loadtests.harness.reporting.report import render_bundle
from PIL import Image

from tests.browser import chromium
from tests.unit.loadtests import fabricate

pytestmark = pytest.mark.browser

CHARTS = {"goodput", "noise", "ramp", "beside", "price", "distribution", "books", "timeline"}
# Added to a copy of the page: what the browser made of it, left in the title for --dump-dom.
PROBE = """<script>addEventListener('load', () => {
  const box = (e) => { const r = e.getBoundingClientRect(); return [r.width, r.height]; };
  document.title = JSON.stringify({
    charts: Object.fromEntries([...document.querySelectorAll('figure')].map(
      (f) => [f.id, box(f.querySelector('svg'))])),
    drawn: [...document.querySelectorAll('figure svg')].map((s) => s.querySelectorAll('path, use').length),
    loaded: performance.getEntriesByType('resource').length,
    overflow: document.documentElement.scrollWidth - innerWidth,
    width: innerWidth,
    dead: [...document.querySelectorAll('a[href^="#"]')].filter(
      (a) => !document.getElementById(a.getAttribute('href').slice(1))).length,
  });
});</script>"""


@pytest.fixture(scope="module")
def program() -> str:
    found = chromium.find()
    if found is None:
        pytest.skip("no Chromium: set CHROMIUM_BIN, or install one of " + ", ".join(chromium.NAMES))
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = fabricate.fabricate(tmp_path_factory.mktemp("browser"))
    render_bundle(path)
    return path / "report.html"


def probed(program: str, report: Path, folder: Path, width: int) -> dict[str, object]:
    copy = folder / "probe.html"
    text = report.read_text(encoding="utf-8")
    copy.write_text(text.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    dom = chromium.run(program, folder / "profile", f"--window-size={width},900", "--dump-dom", copy.as_uri())
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert title is not None
    value: dict[str, object] = json.loads(unescape(title[1]))
    return value


@pytest.mark.parametrize("width", [1280, 500])
def test_opens_without_network_and_shows_its_charts(
    program: str, report: Path, tmp_path: Path, width: int
) -> None:
    seen = probed(program, report, tmp_path, width)
    boxes = seen["charts"]
    assert isinstance(boxes, dict) and set(boxes) == {f"chart-{name}" for name in CHARTS}
    assert all(box[0] > 250 and box[1] > 60 for box in boxes.values())
    assert isinstance(seen["drawn"], list) and min(seen["drawn"]) > 5
    assert (seen["loaded"], seen["dead"]) == (0, 0)
    assert isinstance(seen["overflow"], int) and seen["overflow"] <= 0


def test_what_is_painted_is_no_empty_page(program: str, report: Path, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    chromium.run(
        program, tmp_path / "profile", "--window-size=1280,2400", f"--screenshot={shot}", report.as_uri()
    )
    with Image.open(shot) as image:
        colours = image.convert("RGB").getcolors(maxcolors=1 << 22)
    assert colours is not None
    painted = {colour for count, colour in colours if count > 400}
    proxy, direct, white = (0xC2, 0x41, 0x0C), (0x1D, 0x4E, 0xD8), (255, 255, 255)
    assert {proxy, direct, white} <= painted
