"""The report: one file, the same bytes every time, every number the result's, every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from io import StringIO
from math import nan
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape
from rich.console import Console

from loadtests.harness.claims import ending
from loadtests.harness.commands.report import finish
from loadtests.harness.records.bundle import (
    APPENDED,
    OF_A_WHOLE_RUN,
    Bundle,
    BundleError,
    BundleWriter,
)
from loadtests.harness.records.plan import NOBODY, PartKind
from loadtests.harness.records.result import Comparison, Result
from loadtests.harness.records.samples import Counted, Event, LoadSummary, Warn
from loadtests.harness.records.vocabulary import Severity, Validity
from loadtests.harness.report.charts import plain_figure, to_svg
from loadtests.harness.report.charts_answers import faster_first
from loadtests.harness.report.charts_evidence import charts, parts_in_time
from loadtests.harness.report.conditions import facts, revision
from loadtests.harness.report.page import read_result, view_of, write_report
from loadtests.harness.report.table import Table, without_equal
from loadtests.harness.report.tables import summary, tables
from loadtests.harness.report.template import html, markdown
from loadtests.harness.report.terminal import answers, print_result
from loadtests.harness.sentences import told
from loadtests.harness.wording import capital, with_interval
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests import switchback

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
CHARTS = ("size-speed", "size-cpu", "speed", "price", "blocks", "levels", "neighbours", "sizes", "timeline")


def page_of(result: Result, **of_plan: object) -> str:
    return html(view_of(result, make.plan(result, **of_plan), make.manifest(result)))


def printed(result: Result, width: int = 80, **of_plan: object) -> str:
    out = StringIO()
    path, console = Path("results") / result.run, Console(file=out, width=width)
    print_result(result, make.plan(result, **of_plan), path, console)
    return out.getvalue()


class Page(HTMLParser):
    """Collects what a page links to, loads and names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: set[str] = set()
        self.loads: list[str] = []
        self.svgs = 0
        self.feed(text)

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
def result() -> Result:
    return make.result(warnings=(make.warn(),))


@pytest.fixture(scope="module")
def text(result: Result) -> str:
    return page_of(result)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


class TestPage:
    def test_one_file_that_loads_nothing(self, page: Page, text: str) -> None:
        assert page.loads == []
        assert "@import" not in text and "url(http" not in text

    def test_ids_are_unique_and_every_link_leads_somewhere(self, page: Page) -> None:
        assert len(page.ids) == len(set(page.ids))
        assert all(target.startswith("#") for target in page.targets)
        assert {target[1:] for target in page.targets} <= set(page.ids)

    def test_every_sentence_links_to_its_evidence(self, page: Page, result: Result) -> None:
        assert {f"#{sentence.evidence}" for sentence in result.sentences} <= page.targets

    def test_the_answer_then_speed_and_price_by_size_then_the_rest(self, text: str, page: Page) -> None:
        order = (
            '<ul class="answers">', 'id="chart-size-speed"', 'id="chart-size-cpu"', "<table",
            'id="chart-speed"', 'id="chart-price"', 'id="chart-blocks"',
            'id="question-levels"', 'id="question-neighbours"', 'id="question-sizes"', 'id="chart-timeline"',
            'id="glossary"',
        )  # fmt: skip
        places = [text.index(piece) for piece in order]
        assert places == sorted(places)
        assert {f"chart-{name}" for name in CHARTS} <= set(page.ids) and page.svgs == len(CHARTS)

    def test_values_are_escaped(self, result: Result) -> None:
        shown = page_of(result.model_copy(update={"asks": "<script>alert(1)</script>"}))
        assert "<script" not in shown and "&lt;script&gt;" in shown

    def test_every_warning_is_shown(self, text: str, result: Result) -> None:
        assert all(warn.code in text for warn in result.warnings)

    def test_dark_pages_colour_the_pictures_too(self, text: str) -> None:
        svg = text[text.index("<svg") : text.index("</svg>")]
        assert "prefers-color-scheme: dark" in text
        assert "var(--ink)" in svg and not re.search("#1f2933|#5b6770|#c2410c", svg)

    def test_claimed_measured_why(self, result: Result) -> None:
        shown = page_of(result, claims=(make.CLAIM,), expected="Less than that.")
        claim = shown[shown.index('id="claim"') :]
        lines = ending(make.plan(result, claims=(make.CLAIM,), expected="Less than that."), result)
        assert [name for name, _ in lines][:3] == ["claimed (A source)", "measured", "verdict"]
        twin = markdown(view_of(result, make.plan(result, claims=(make.CLAIM,)), make.manifest(result)))
        said = printed(result, width=400, claims=(make.CLAIM,), expected="Less than that.")
        for name, text in lines:
            assert f"{capital(name)}</dt><dd>{escape(text)}" in claim
            assert " ".join(text.split()) in " ".join(said.split()) or name.startswith(
                "expected before measuring"
            )
            assert f"- {capital(name)}: {text}" in twin or name.startswith("expected before measuring")

    def test_arms_that_go_by_a_name_say_once_what_they_are(self) -> None:
        arms = tuple(
            make.arm(name, title=f"PASSWORD_HASH={name}", asked={"PASSWORD_HASH": name})
            for name in ("bcrypt", "sha256")
        )
        made = make.result(arms)
        assert facts(made)[0] == ("arms", "bcrypt is PASSWORD_HASH=bcrypt; sha256 is PASSWORD_HASH=sha256")
        assert "bcrypt" in made.headline and "PASSWORD_HASH" not in made.headline
        assert "arms" not in dict(facts(make.result()))

    def test_arms_with_networks_of_their_own_say_each_one_s(self) -> None:
        def network(*own: dict[str, str], **conditions: object) -> str:
            arms = tuple(
                make.arm(f"{way} at {at}", strategy=name, asked=asked)
                for at, asked in enumerate(own)
                for way, name in (("proxy", make.PROXY), ("direct", make.SINGLE))
            )
            found = make.result(arms, conditions=make.conditions(**conditions))
            shown = dict(facts(found))["network"]
            view = view_of(found, make.plan(found), make.manifest(found))
            assert f"<dd>{escape(shown)}</dd>" in html(view) and f"- Network: {shown}" in markdown(view)
            return shown

        assert network({"RTT_MS": "0"}, {"RTT_MS": "20"}, {"RTT_MS": "80", "BANDWIDTH_MBIT": "2"}) == (
            "the machine's own (proxy and direct at 0); 20 ms round trip (proxy and direct at 1); 80 ms "
            "round trip and 2 Mbit/s (proxy and direct at 2)"
        )
        assert network({"RTT_MS": "40"}, {}, words={"RTT_MS": "10"}) == (
            "40 ms round trip (proxy and direct at 0); 10 ms round trip (proxy and direct at 1)"
        )
        assert network({}, {}, bandwidth_mbit=2.0) == "2 Mbit/s"
        assert network({"RTT_MS": "20"}, {"RTT_MS": "20"}) == "20 ms round trip"
        assert network({}, {}) == "the machine's own"

    def test_the_steps_between_numbers_of_clients_have_a_table(self, result: Result) -> None:
        table = tables(result)["gains"]
        assert table.columns[-1] == "gain of 10 %"
        assert [row[:2] for row in table.rows] == [("4", "1"), ("12", "4"), ("24", "12"), ("48", "24")]
        assert [row[-1] for row in table.rows] == ["yes", "yes", "no", "no"]
        assert table.rows[2][2] == "1.02 (0.99 to 1.05)"
        section = page_of(result)
        section = section[section.index('id="question-levels"') : section.index('id="question-neighbours"')]
        assert '<tr id="knee">' in section

    def test_offered_rates_have_a_picture_and_a_table(self, result: Result) -> None:
        offered = told(result.model_copy(update={"offers": make.offers()}))
        shown = page_of(offered)
        assert 'id="question-rates"' in shown and 'id="chart-offers"' in shown
        table = tables(offered)["offers"]
        assert len(table.rows) == len(offered.offers.cells) if offered.offers else False
        assert table.rows[1][1:3] == ("300 %", "300")
        assert "50 %" in table.rows[1]
        assert "chart-offers" not in page_of(result)

    def test_an_invalid_run_says_so_first(self) -> None:
        made = make.result(
            validity=Validity.INVALID, exit_code=2, exit_reason="k6 ended with code 1",
            next_command="make doctor",
        )  # fmt: skip
        shown = page_of(made)
        begin = shown[shown.index('<ul class="answers">') :]
        assert re.match(r'<ul class="answers">\s*<li class="invalid">', begin)
        assert "<code>make doctor</code>" in begin[: begin.index("</li>")]

    def test_the_markdown_twin_says_the_same(self, result: Result) -> None:
        twin = markdown(view_of(result, make.plan(result), make.manifest(result)))
        assert all(sentence.text in twin for sentence in result.sentences)
        assert all(f"### {table.title}" in twin for table in tables(result).values())


class TestHead:
    """What stands before the first picture."""

    def head(self, text: str) -> str:
        return text[text.index("<header>") : text.index("</header>")]

    def test_the_first_line_has_the_file_size(self, text: str) -> None:
        first = self.head(text)[: self.head(text).index("<ul")]
        assert "Files of 1 MiB, 16 clients at once, 2 cores" in first

    def test_answer_and_price(self, text: str, result: Result) -> None:
        head = self.head(text)
        assert head.index('<li class="first">') < head.index('<li class="detail">')
        assert all(f'href="#{one.evidence}"' in head for one in result.sentences[:2])

    def test_who_acknowledges_early_is_a_warning(self) -> None:
        early = make.comparison(early=[make.PROXY])
        shown = self.head(page_of(make.result(compare=early, ledger=make.ledger(early=5))))
        (warned,) = re.findall(r'<li class="warned">(.*?)</li>', shown, re.DOTALL)
        assert "acknowledges before the file is durable" in re.sub(r"<[^>]+>", "", warned)

    def test_what_is_not_the_default_is_named(self, result: Result) -> None:
        assert "Not the default" not in self.head(page_of(result))
        found = make.result(conditions=make.conditions(not_default=["VUS=64", "2 of upload"]))
        assert "Not the default: VUS=64; 2 of upload." in self.head(page_of(found))
        assert "Not the default: VUS=64; 2 of upload" in printed(found)

    @pytest.mark.parametrize(("things", "shown"), [(4, "unusual few"), (5, "unusual")])
    def test_much_that_is_not_the_default_is_folded_into_one_line(self, things: int, shown: str) -> None:
        """A few things are so on a phone only."""
        unusual = [f"WORD_{at}=1" for at in range(things)]
        head = self.head(page_of(make.result(conditions=make.conditions(not_default=unusual))))
        assert f'<details class="sub {shown}"><summary>Not the default: {things} things</summary>' in head
        assert "WORD_0=1; WORD_1=1; " in head

    def test_the_badge_leads_to_the_cautions(self, text: str) -> None:
        assert re.search(r'class="badge \w+" href="#warnings">[^<]*\(1\)<', self.head(text))

    @pytest.mark.parametrize(
        ("warned", "before", "after"),
        [
            ({"code": "slip"}, 'id="question-neighbours"', 'id="chart-neighbours"'),
            ({"part": "compare"}, "</header>", 'id="question-compare"'),
            ({"code": "noisy-host"}, "</header>", 'id="question-compare"'),
        ],
    )
    def test_a_caution_stands_beside_what_it_touches(
        self, warned: dict[str, Any], before: str, after: str
    ) -> None:
        shown = page_of(make.result(warnings=(make.warn(**warned),)))
        place = shown.index('<li class="caution">')
        assert shown.index(before) < place < shown.index(after)
        assert shown.count('<li class="caution">') == 1


class TestTables:
    def test_a_column_of_one_value_is_said_once(self) -> None:
        table = Table("t", "T", "Words.", ("arm", "file", "rate", "clients"),
                      (("a", "1 MiB", "1", "16"), ("b", "1 MiB", "2", "16")), first=2)  # fmt: skip
        told = without_equal(table)
        assert told.columns == ("arm", "rate")
        assert told.rows == (("a", "1"), ("b", "2")) and told.first == 1
        assert told.caption == "Words. The same in every row: file 1 MiB; clients 16."

    def test_a_single_row_keeps_its_columns(self) -> None:
        table = Table("t", "T", "", ("arm", "file"), (("a", "1 MiB"),))
        assert without_equal(table) is table

    def test_equal_limits_are_one_row_that_every_link_finds(self, result: Result, page: Page) -> None:
        table = tables(result)["limits"]
        assert len(table.rows) == 1
        assert {one.id for one in result.limits} <= set(page.ids)
        assert all(make.TITLES[one.arm] in table.rows[0][-1] for one in result.limits)


def test_how_sure_has_the_ratios_of_the_headline() -> None:
    slower = make.ratio(make.SINGLE, make.PROXY, 0.8)
    turned = faster_first(slower)
    assert (turned.arm, turned.base) == (make.SINGLE, make.PROXY)
    assert turned.ratio.value == pytest.approx(1.25)
    assert turned.blocks == pytest.approx([1 / block for block in slower.blocks])
    assert faster_first(turned) is turned


def test_parts_in_time_are_apart_where_the_load_stood_still() -> None:
    turns = (("a", "x", 0.0, 1.5), ("a", "y", 1.5, 3.0), ("a", "x", 8.0, 9.5), ("b", "x", 9.5, 11.0))
    course = make.timeline().model_copy(update={"turns": turns})
    assert parts_in_time(course) == [("a", 0.0, 3.0), ("a", 8.0, 9.5), ("b", 9.5, 11.0)]


class TestOneFigureHasOneValue:
    def test_the_same_cpu_per_upload_everywhere(self, result: Result, text: str) -> None:
        assert result.compare is not None
        shown = printed(result)
        for one in result.compare.arms:
            value = f"{(one.cpu_s_per_upload.value or 0) * 1000:#.3g}"
            assert value in shown and value in text
            assert any(value in sentence.text for sentence in result.sentences)

    def test_the_same_rates_in_picture_and_table(self, result: Result) -> None:
        assert result.compare is not None
        picture = charts(result)["speed"].svg
        table = summary(result)
        assert table is not None
        for one, row in zip(result.compare.arms, table.rows, strict=True):
            assert with_interval(one.uploads_per_s) == row[1]
            assert row[1] in picture

    def test_rows_are_as_long_as_their_table_is_wide(self, result: Result) -> None:
        for table in tables(result).values():
            assert {len(row) for row in table.rows} == {len(table.columns)}, table.ident
            assert table.anchors == () or len(table.anchors) == len(table.rows), table.ident


class TestTerminal:
    @pytest.mark.parametrize("width", [60, 80, 160])
    def test_table_then_sentences_then_report_and_next(self, width: int) -> None:
        made = make.result(next_command="make stress PROFILE=full")
        shown = printed(made, width)
        lines = shown.splitlines()
        head = next(line for line in lines if "uploads/s" in line)
        assert max(map(len, lines[: lines.index(head) + 8])) <= min(width, 80)
        flat = " ".join(shown.split())
        places = [flat.index(sentence.text) for sentence in made.sentences]
        assert places == sorted(places) and flat.index("uploads/s") < places[0]
        assert flat.index("report.html") < flat.index("make stress PROFILE=full")

    def test_whether_to_believe_it_comes_before_every_long_table(self, result: Result) -> None:
        flat = " ".join(printed(result, claims=(make.CLAIM,), expected="Less than that.").split())
        order = (
            result.sentences[-1].text, f"Validity {result.validity.value}", result.warnings[0].message,
            "Claimed, measured, why", "A million uploads", "Report results/",
        )  # fmt: skip
        places = [flat.index(piece) for piece in order]
        assert places == sorted(places)

    def test_why_a_run_has_cautions(self, result: Result) -> None:
        noisy = [Warn(code="slip", severity=Severity.CAUTION, message=f"late {n}") for n in (1, 2)]
        shown = printed(result.model_copy(update={"warnings": tuple(noisy)}), 140)
        assert "late 1, and 1 more of this kind" in shown and "late 2" not in shown


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle"))


class TestOfABundle:
    """What the analysis makes of records, reported."""

    def test_the_files_are_written_and_read_back(self, path: Path) -> None:
        out = StringIO()
        code = finish(path, Console(file=out, width=100))
        result = read_result(path)
        assert code == result.exit_code and result.headline in " ".join(out.getvalue().split())
        assert "is the faster for files of 977 KiB here" in result.headline
        page = Page((path / "report.html").read_text(encoding="utf-8"))
        assert {target[1:] for target in page.targets} <= set(page.ids)
        assert len(page.ids) == len(set(page.ids))

    def test_each_answer_is_said_when_its_part_has_ended(self, path: Path) -> None:
        out = StringIO()
        bundle = Bundle(path)
        say = answers(Console(file=out, width=400))
        for part in bundle.plan().parts:
            out.seek(0)
            out.truncate()
            say(bundle, part)
            said = out.getvalue()
            assert ("is the faster for" in said) is (part.kind is PartKind.COMPARE)
            assert ("until between 2 and 4 at once: 4 bring" in said) is (part.kind is PartKind.LEVELS)
            assert bool(said) is (part.kind is not PartKind.NEIGHBOURS)  # the last: the whole follows

    def test_two_processes_write_identical_bytes(self, path: Path) -> None:
        code = (
            "import sys, pathlib; from loadtests.harness.report.page import write_report; "
            "write_report(pathlib.Path(sys.argv[1]))"
        )
        written = []
        names = ("report.html", "report.md", "analysis.json")
        for seed in ("1", "2"):
            environ = {"PYTHONHASHSEED": seed, "HOME": str(path)}
            subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=ROOT, env=environ)
            written.append([(path / name).read_bytes() for name in names])
        assert written[0] == written[1]


def write_bundle(folder: Path) -> Path:
    """A bundle of a switchback of A and B, of levels and of neighbours, with B a fifth faster."""
    arm, part = switchback.arm, switchback.part
    pair = part(arm("A"), arm("B", colour="#654321", asked={"FINALISE": "detached"}))
    levels = part(
        *(arm(f"A {vus} VU", of="A", vus=vus) for vus in (2, 4, 8, 16)), name="levels", kind=PartKind.LEVELS
    )
    beside = part(arm(NOBODY), arm("A", rate_per_s=20.0), name="neighbours", kind=PartKind.NEIGHBOURS)
    rates = {"A": 40.0, "B": 48.0, "A 2 VU": 20.0, "A 4 VU": 40.0, "A 8 VU": 40.0, "A 16 VU": 40.0}
    world = switchback.World(rates=rates, noise=0.02)
    for own, blocks in ((pair, 8), (levels, 6), (beside, 6)):
        world.play(own, blocks)
    made = switchback.bundle(world, pair, levels, beside)
    writer = BundleWriter(folder / "r1")
    writer.write_plan(made.plan())
    writer.write_manifest(made.manifest())
    for stretch in made.stretches():
        writer.append_stretch(stretch)
    writer.append_uploads(list(made.uploads()))
    writer.append_steps(list(made.steps()))
    writer.append_looks(list(made.looks()))
    for table in made.ledgers():
        writer.append_ledger(table)
    writer.append_counted([Counted(stack="", stretches=(), uploads={}, statements={}, store_requests={})])
    writer.append_events([Event(at=switchback.T0, kind="stretch-start")])
    writer.write_warnings(made.warnings())
    writer.write_load(LoadSummary(exit_code=0, requests=1))
    return writer.path


@pytest.mark.parametrize("name", OF_A_WHOLE_RUN)
def test_where_records_are_gone_nothing_else_is_found(tmp_path: Path, name: str) -> None:
    path = write_bundle(tmp_path)
    whole = (path / name).read_bytes()
    (path / name).write_bytes(b"")
    with pytest.raises(BundleError, match=rf"lacks {name}: "):
        write_report(path)
    if name in APPENDED:
        (path / name).write_bytes(whole[: len(whole) - 1])
        with pytest.raises(BundleError, match=rf"{name} is damaged: it stops in the middle"):
            write_report(path)
    (path / name).write_bytes(whole)
    write_report(path)


def test_what_a_killed_run_tore_is_left_out(tmp_path: Path) -> None:
    path = write_bundle(tmp_path)
    BundleWriter(path).write_manifest(Bundle(path).manifest().model_copy(update={"ended_at": None}))
    with (path / "events.jsonl").open("ab") as file:
        file.write(b'{"at":1')
    (path / "warnings.json").unlink()
    assert write_report(path).exit_reason == "the run was cut off before its end"


def of_stacks() -> Comparison:
    arms = (make.arm("A", title="main"), make.arm("B", title="the working tree"))
    return make.comparison(arms, rates=[make.ratio("A", "B", 1.02, unit="instance")])


NOTHING_ELSE: dict[str, object] = {
    "knees": (), "neighbours": None, "sizes": None, "limits": ()
}  # fmt: skip
CUT: dict[str, object] = {"interrupted": True, "exit_code": 3, "exit_reason": "the run was interrupted"}
UNSEEN = make.timeline().model_copy(update={"at_s": (), "cores": {}})


@pytest.mark.parametrize(
    "given",
    [
        {"profile": "smoke"},
        {"compare": None, **NOTHING_ELSE, **CUT},
        {"compare": None, **CUT},
        {"compare": of_stacks(), **NOTHING_ELSE},
        {"knees": (make.knee(make.PROXY, None, None),)},
        {"ledger": make.ledger(early=5), "timeline": UNSEEN},
    ],
    ids=["smoke", "nothing ran", "cut before the comparison", "stacks", "no knee", "early, nobody looked"],
)
def test_any_result_can_be_shown(given: dict[str, Any]) -> None:
    made = make.result(**given)
    page = Page(page_of(made))
    assert {target[1:] for target in page.targets} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert made.validity.value in printed(made)


def test_every_chart_has_words_for_who_cannot_see_it(result: Result) -> None:
    drawn = charts(result)
    assert tuple(drawn) == CHARTS
    for chart in drawn.values():
        assert chart.alt and chart.caption and chart.svg.startswith("<svg")


def test_ids_in_charts_do_not_collide(result: Result) -> None:
    ids = [found for chart in charts(result).values() for found in re.findall(r'\bid="([^"]+)"', chart.svg)]
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
    monkeypatch.setattr("loadtests.harness.report.charts._slim", lambda text: text)
    long = drawn()
    assert len("".join(short)) < 0.8 * len("".join(long))
    for one, other in zip(short, long, strict=True):
        assert [one.count("M"), one.count("z")] == [other.count("M"), other.count("z")]
        assert points(one) == pytest.approx(points(other), abs=0.15)


def test_a_report_is_replaced_and_never_written_over(tmp_path: Path) -> None:
    """A full disk or a kill in the middle leaves the earlier one whole."""
    path = write_bundle(tmp_path)
    write_report(path)
    for name in ("report.html", "report.md"):
        (tmp_path / name).hardlink_to(path / name)
    write_report(path)
    assert not any((path / name).samefile(tmp_path / name) for name in ("report.html", "report.md"))


def test_write_report_needs_nothing_but_the_folder(tmp_path: Path) -> None:
    path = write_bundle(tmp_path)
    moved = path.rename(tmp_path / "elsewhere")
    assert write_report(moved).run == "r1"


def test_arms_of_two_revisions_are_told_with_theirs() -> None:
    def told(**revisions: str) -> str:
        return revision(make.result(conditions=make.conditions(revisions=revisions)))

    assert told(A="1" * 40, B="2" * 40) == f"A {'1' * 12}, B {'2' * 12}"
    assert told(A="1" * 40, B="") == f"A {'1' * 12}, B the working tree"
    assert told(A="", B="") == "0" * 12
