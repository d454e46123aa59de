"""The report: one file, the same bytes every time, invalid said first, every term explained."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from math import nan
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.harness.analysis.analyse import analyse
from loadtests.harness.analysis.facts import read_facts
from loadtests.harness.analysis.model import Analysis
from loadtests.harness.records.bundle import Bundle, BundleWriter
from loadtests.harness.records.model import LedgerTable, Severity, Trial, Warn
from loadtests.harness.reporting.charts import plain_figure, to_svg
from loadtests.harness.reporting.charts_evidence import charts
from loadtests.harness.reporting.report import conditions, render_bundle
from loadtests.harness.reporting.terminal import print_result
from tests.unit.loadtests import fabricate as make

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
REPORTS = ("report.html", "report.md", "report.json")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make.fabricate(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def analysis(path: Path) -> Analysis:
    return render_bundle(path)


@pytest.fixture(scope="module")
def html(path: Path, analysis: Analysis) -> str:
    return (path / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def invalid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def alter(trial: Trial, ledger: LedgerTable) -> tuple[Trial, LedgerTable]:
        return make.with_process(trial, "upload", restarted=trial.plan.trial == "t002"), ledger

    recipe = make.recipe(pairs=2, ramp=(), single=False, large=False, neighbours=False, alter=alter)
    return make.fabricate(tmp_path_factory.mktemp("invalid"), recipe)


class Page(HTMLParser):
    """Collects what a page links to, loads and names."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: set[str] = set()
        self.loads: list[str] = []
        self.svgs = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.svgs += tag == "svg"
        if identifier := values.get("id"):
            self.ids.append(identifier)
        if (link := values.get("href")) and tag == "a":
            self.targets.add(link)
        if tag in ("script", "link", "iframe", "object", "img"):
            self.loads.append(tag)
        if source := values.get("src"):
            self.loads.append(source)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    parsed = Page()
    parsed.feed(html)
    return parsed


class TestHtml:
    def test_one_file_that_loads_nothing(self, page: Page, html: str) -> None:
        assert page.loads == []
        assert "@import" not in html and "url(http" not in html

    def test_ids_are_unique_and_every_link_leads_somewhere(self, page: Page) -> None:
        assert len(page.ids) == len(set(page.ids))
        assert all(target.startswith("#") for target in page.targets)
        assert {target[1:] for target in page.targets} <= set(page.ids)

    def test_a_chart_for_each_answer_and_the_evidence(self, page: Page) -> None:
        expected = {"goodput", "ramp", "beside", "price", "distribution", "noise", "books", "timeline"}
        assert {f"chart-{name}" for name in expected} <= set(page.ids)
        assert page.svgs == len(expected)

    def test_sentences_come_before_any_table_and_link_to_their_evidence(
        self, html: str, analysis: Analysis, page: Page
    ) -> None:
        assert html.index('<ul class="answers">') < html.index("<table")
        assert {f"#{sentence.evidence}" for sentence in analysis.sentences} <= page.targets

    def test_values_are_escaped(self, tmp_path: Path) -> None:
        path = make.fabricate(tmp_path, make.SMOKE)
        manifest = Bundle(path).manifest()
        tools = {**manifest.tools, "k6": "<script>alert(1)</script>"}
        BundleWriter(path).write_manifest(manifest.model_copy(update={"tools": tools}))
        render_bundle(path)
        text = (path / "report.html").read_text(encoding="utf-8")
        assert "<script" not in text and "&lt;script&gt;" in text

    def test_every_warning_is_shown(self, html: str, analysis: Analysis) -> None:
        assert all(warn.code in html for warn in analysis.warnings)


class TestInvalidRun:
    def test_said_first_in_red_with_one_command(self, invalid: Path) -> None:
        analysis = render_bundle(invalid)
        text = (invalid / "report.html").read_text(encoding="utf-8")
        first = text[text.index('<ul class="answers">') :]
        assert re.match(r'<ul class="answers">\s*<li class="invalid">', first)
        assert analysis.exit_code == 2
        assert first[: first.index("</li>")].count("<code>") == 1
        assert "<code>make logs</code>" in first

    def test_terminal_says_it_first_in_red(self, invalid: Path) -> None:
        out = StringIO()
        console = Console(file=out, force_terminal=True, width=120, color_system="standard")
        print_result(render_bundle(invalid), invalid, console)
        shown = out.getvalue()
        assert shown.lstrip().startswith("\x1b[1;31mThis run is invalid: restarted inside the window: upload")
        assert "make logs" in shown


def test_terminal_puts_the_sentences_before_the_table(path: Path, analysis: Analysis) -> None:
    out = StringIO()
    print_result(analysis, path, Console(file=out, width=140))
    shown = " ".join(out.getvalue().split())
    places = [shown.index(sentence.text) for sentence in analysis.sentences]
    assert places == sorted(places)
    assert places[-1] < shown.index("uploads/s TTA p50")
    assert "report.html" in shown and "faster" in shown


def test_two_processes_write_identical_bytes(tmp_path: Path) -> None:
    path = make.fabricate(tmp_path, make.recipe(pairs=2, ramp=(1, 2, 4)))
    code = (
        "import sys, pathlib; from loadtests.harness.reporting.report import render_bundle; "
        "render_bundle(pathlib.Path(sys.argv[1]))"
    )
    written = []
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, str(path)],
            check=True,
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "HOME": str(tmp_path)},
        )
        names = (*REPORTS, "analysis.json", "table.csv")
        written.append([(path / name).read_bytes() for name in names])
        for name in names:
            (path / name).unlink()
    assert written[0] == written[1]


def test_twins_say_the_same(path: Path, analysis: Analysis) -> None:
    text = (path / "report.md").read_text(encoding="utf-8")
    value = json.loads((path / "report.json").read_text(encoding="utf-8"))
    for sentence in analysis.sentences:
        assert sentence.text in text
    assert [s["text"] for s in value["sentences"]] == [s.text for s in analysis.sentences]
    assert value["verdict"] == analysis.verdict_line and analysis.verdict_line in text
    for table in value["tables"].values():
        assert f"### {table['title']}" in text
        assert all(len(row) == len(table["columns"]) for row in table["rows"])


@pytest.mark.parametrize(
    "recipe",
    [
        make.SMOKE,
        make.recipe(cut_after=0),
        make.recipe(cut_after=3),
        make.recipe(pairs=1, ramp=(1, 2), neighbours=False),
    ],
    ids=["smoke", "nothing ran", "cut in the ramp", "few"],
)
def test_any_bundle_can_be_rendered(tmp_path: Path, recipe: make.Recipe) -> None:
    path = make.fabricate(tmp_path, recipe)
    analysis = render_bundle(path)
    assert all((path / name).stat().st_size > 1000 for name in REPORTS)
    out = StringIO()
    print_result(analysis, path, Console(file=out, width=100))
    assert analysis.validity.value in out.getvalue()


def test_terminal_says_why_a_run_has_cautions(path: Path, analysis: Analysis) -> None:
    noisy = [
        Warn(code="noisy-host", severity=Severity.CAUTION, trial=trial, message=f"others used {share} %")
        for trial, share in (("t001", 31), ("t002", 71))
    ]
    out = StringIO()
    print_result(analysis.model_copy(update={"warnings": noisy}), path, Console(file=out, width=140))
    assert "others used 31 % (t001), and 1 more of this kind" in out.getvalue()
    assert "others used 71 %" not in out.getvalue()


def test_every_chart_has_words_for_who_cannot_see_it(analysis: Analysis) -> None:
    for chart in charts(analysis):
        assert chart.alt and chart.caption and chart.svg.startswith("<svg")


def test_ids_in_charts_do_not_collide(analysis: Analysis) -> None:
    ids = [found for chart in charts(analysis) for found in re.findall(r'\bid="([^"]+)"', chart.svg)]
    assert len(ids) == len(set(ids))


def points(data: str) -> list[complex]:
    """Where the corners of a path are, which is made of moves, lines and steps."""
    found: list[complex] = []
    for letter, x, y in re.findall(r"([MLl]) ?(-?[\d.]+) ?(-?[\d.]+)", data):
        found.append(complex(float(x), float(y)) + (found[-1] if letter == "l" else 0))
    return found


def test_a_shortened_picture_has_the_same_corners(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn() -> list[str]:
        with plain_figure(3, 2, (0, 0, 1, 1)) as (whole, axes):
            axes.plot([0, 1, 2, nan, 4, 5], [3, 1, 2, nan, 5, 4])
            axes.stackplot([0, 1, 2], [1, 2, 1], [2, 1, 2])
            axes.fill([0, 1, 1, nan, 3, 4, 4], [0, 0, 1, nan, 0, 0, 1])
            return re.findall(r'\bd="([^"]*)"', to_svg(whole, "n"))

    short = drawn()
    monkeypatch.setattr("loadtests.harness.reporting.charts._slim", lambda text: text)
    long = drawn()
    assert len("".join(short)) < 0.8 * len("".join(long))
    for one, other in zip(short, long, strict=True):
        assert [one.count("M"), one.count("z")] == [other.count("M"), other.count("z")]
        assert points(one) == pytest.approx(points(other), abs=0.15)


def test_scale_is_printed_beside_the_numbers(path: Path) -> None:
    facts = read_facts(Bundle(path))
    scaled = replace(facts, plan=facts.plan.model_copy(update={"scale": 0.5}))
    assert any("not comparable" in text for _, text in conditions(analyse(scaled)))


def test_a_benchmark_s_report_shows_its_numbers(tmp_path: Path) -> None:
    path = make.fabricate(tmp_path, make.SMOKE)
    rows = [
        {"quantity": "proxy: share of raw", "value": 0.5, "must": 0.45, "stretch": 0.6, "reached": "must"},
        {"quantity": "direct: share of raw", "value": 0.3, "must": 0.42, "stretch": 0.5, "reached": "missed"},
        {"quantity": "raw PUTs/s", "value": 248.0, "must": None, "stretch": None, "reached": ""},
    ]
    common = {"more_is_better": True, "unit": ""}
    (path / "bench.json").write_text(json.dumps([row | common for row in rows]))
    analysis = render_bundle(path)
    sentence = next(s for s in analysis.sentences if s.evidence == "targets")
    assert sentence.text == (
        "Reached are 1 of the 2 numbers that must be. Missed: direct: share of raw: 0.30 of 0.42."
    )
    page, text = (path / "report.html").read_text(), (path / "report.md").read_text()
    assert 'id="targets"' in page and "| raw PUTs/s | 248 | – | – |  |" in text
