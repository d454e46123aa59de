"""The report in a real browser, without network: it shows its charts, on a desk and on a phone."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from docs import sample_run
from loadtests.harness.panels.page import render_panels
from loadtests.harness.report.page import view_of
from loadtests.harness.report.template import html
from tests.browser import chromium
from tests.unit.loadtests import fabricate

pytestmark = pytest.mark.browser

CHARTS = {
    "size-speed", "size-cpu", "speed", "price", "blocks", "levels", "neighbours", "sizes", "timeline"
}  # fmt: skip
SCREENS = {1280: 800, 390: 844}
SMALLEST_LETTERS_PX = 9.0
BETWEEN = (800, 1130, 1350)  # where panels.html changes how many stand side by side
SMALLEST_OF_PANELS_PX = 11.0
# Added to a copy of the page: what the browser made of it, left in the title for --dump-dom.
PROBE = """<script>addEventListener('load', () => {
  if (location.hash === '#all') document.querySelectorAll('.all input').forEach((i) => { i.checked = true; });
  const box = (e) => { const r = e.getBoundingClientRect(); return [r.width, r.height]; };
  parent.document.title = JSON.stringify({
    charts: Object.fromEntries([...document.querySelectorAll('figure')].map(
      (f) => [f.id, box(f.querySelector('svg'))])),
    drawn: [...document.querySelectorAll('figure svg')].map((s) => s.querySelectorAll('path, use').length),
    loaded: performance.getEntriesByType('resource').length,
    overflow: Math.max(document.documentElement.scrollWidth - innerWidth,
      ...[...document.querySelectorAll('td')].map((t) => {  // to the left, where nobody can scroll
        const r = document.createRange(); r.selectNodeContents(t);
        const inside = r.getBoundingClientRect();
        return inside.width ? Math.floor(t.getBoundingClientRect().left - inside.left) : 0; }),
      ...[...document.querySelectorAll('.table, .plain')].map((t) => t.scrollWidth - t.clientWidth)),
    answered: Math.max(...[...document.querySelectorAll('header *')].map(
      (e) => e.getBoundingClientRect().bottom)),
    pictured: [...document.querySelectorAll('header + .charts svg')].map(
      (s) => s.getBoundingClientRect().bottom),
    letters: Math.min(...[...document.querySelectorAll('figure svg text')].map((t) =>
      parseFloat(getComputedStyle(t).fontSize) * t.ownerSVGElement.getScreenCTM().a)),
    columns: document.querySelectorAll('#table-rates th').length,
    shown: [...document.querySelectorAll('#table-rates tbody tr:first-child td')].filter(
      (t) => t.getBoundingClientRect().height > 0).length,
    width: innerWidth,
    background: getComputedStyle(document.body).backgroundColor,
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
    result = fabricate.result(warnings=(fabricate.warn(),))
    plan = fabricate.plan(result, claims=(fabricate.CLAIM,))
    path = tmp_path_factory.mktemp("browser") / "report.html"
    path.write_text(html(view_of(result, plan, fabricate.manifest(result))), encoding="utf-8")
    return path


SCHEMES = {"dark": 0, "light": 1}  # as blink numbers them
PAPER = {"dark": "rgb(20, 24, 28)", "light": "rgb(255, 255, 255)"}


def probed(
    program: str, report: Path, folder: Path, width: int, *, scheme: str = "light", fragment: str = ""
) -> dict[str, Any]:
    """What the browser made of the page in a frame so wide: its own window cannot be as narrow as a phone."""
    text = report.read_text(encoding="utf-8").replace("<details", "<details open")
    (folder / "probe.html").write_text(text.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(
        f'<iframe src="probe.html{fragment}" style="width:{width}px;height:900px;border:0"></iframe>'
    )
    dom = chromium.run(
        program, folder / "profile", "--window-size=1400,1000", "--allow-file-access-from-files",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", "--dump-dom", frame.as_uri(),
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert title is not None
    value: dict[str, Any] = json.loads(unescape(title[1]))
    return value


@pytest.mark.parametrize("width", SCREENS)
@pytest.mark.parametrize("scheme", PAPER)
def test_opens_without_network_and_shows_its_charts(
    program: str, report: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    seen = probed(program, report, tmp_path, width, scheme=scheme)
    assert (seen["width"], seen["background"]) == (width, PAPER[scheme])
    boxes = seen["charts"]
    assert set(boxes) == {f"chart-{name}" for name in CHARTS}
    assert all(box[0] > 250 and box[1] > 60 for box in boxes.values())
    assert min(seen["drawn"]) > 5
    assert (seen["loaded"], seen["dead"]) == (0, 0)
    assert seen["overflow"] <= 0
    assert seen["letters"] >= SMALLEST_LETTERS_PX


@pytest.mark.parametrize("width", SCREENS)
def test_the_first_screen_answers(program: str, report: Path, tmp_path: Path, width: int) -> None:
    """Validity, answer and price without scrolling; on a laptop with the pictures, on a phone with one."""
    seen = probed(program, report, tmp_path, width)
    assert seen["answered"] <= SCREENS[width]
    pictures = sorted(seen["pictured"])
    assert pictures[-1 if width == 1280 else 0] <= SCREENS[width]


@pytest.mark.parametrize("width", SCREENS)
def test_columns_on_demand_need_no_scrolling_either(
    program: str, report: Path, tmp_path: Path, width: int
) -> None:
    few, all_of_them = (probed(program, report, tmp_path, width, fragment=one) for one in ("", "#all"))
    assert few["shown"] < all_of_them["shown"] == all_of_them["columns"]
    assert all_of_them["overflow"] <= 0


@pytest.mark.parametrize("width", SCREENS)
def test_six_ways_to_choose_from_need_no_scrolling(program: str, tmp_path: Path, width: int) -> None:
    arms = tuple(
        fabricate.arm(f"{way} at {rtt} ms", strategy=way)
        for rtt in (0, 20, 80)
        for way in (fabricate.PROXY, fabricate.SINGLE)
    )
    result = fabricate.result(arms)
    assert result.decision is not None
    page = tmp_path / "report.html"
    page.write_text(html(view_of(result, fabricate.plan(result), fabricate.manifest(result))))
    assert probed(program, page, tmp_path, width)["overflow"] <= 0


@pytest.mark.parametrize("width", [*SCREENS, *BETWEEN])
def test_panels_can_be_read(program: str, tmp_path: Path, width: int) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(sample_run.BUNDLE, bundle)
    seen = probed(program, render_panels(bundle), tmp_path, width)
    assert seen["letters"] >= SMALLEST_OF_PANELS_PX
    assert (seen["width"], seen["dead"]) == (width, 0)
    assert seen["overflow"] <= 0


def test_what_is_painted_is_no_empty_page(program: str, report: Path, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    chromium.run(
        program, tmp_path / "profile", "--window-size=1280,2400", "--blink-settings=preferredColorScheme=1",
        f"--screenshot={shot}", report.as_uri(),
    )  # fmt: skip
    with Image.open(shot) as image:
        colours = image.convert("RGB").getcolors(maxcolors=1 << 22)
    assert colours is not None
    painted = {colour for count, colour in colours if count > 400}
    multipart, single, gateway, white = (
        (0x1D, 0x4E, 0xD8),
        (0x0F, 0x76, 0x6E),
        (0, 0x72, 0xB2),
        (255, 255, 255),
    )
    assert {multipart, single, gateway, white} <= painted
