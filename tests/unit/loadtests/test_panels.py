"""Panels without Grafana: asked once, kept in the bundle, drawn from there to the same bytes."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from math import nan
from pathlib import Path
from xml.etree import ElementTree

import aiohttp
import pytest
from aiohttp import web

from grafana.dashboards import DASHBOARDS
from grafana.model import Kind, Panel, Query, Threshold, Unit
from grafana.parts import PAIR_COLOURS
from grafana.strategies import strategies
from loadtests.harness.panels import draw as drawing
from loadtests.harness.panels import page
from loadtests.harness.panels.curves import MOST_CURVES, amount, curves_of
from loadtests.harness.panels.draw import alone, draw, runs
from loadtests.harness.panels.poster import poster, single
from loadtests.harness.panels.recorder import PrometheusGone, record_panels
from loadtests.harness.panels.recording import FILE, Recording, Series, read_recording, write_recording
from loadtests.harness.records.bundle import Bundle, BundleError, BundleWriter
from loadtests.harness.records.plan import Stretch
from tests.unit.loadtests import fabricate

pytestmark = pytest.mark.unit

FIRST = DASHBOARDS[0]
BY_TITLE = {panel.title: panel for dashboard in DASHBOARDS for panel in dashboard.panels()}
GOODPUT = BY_TITLE["Goodput"]
STICK = next(panel for panel in FIRST.panels() if panel.kind is Kind.CURVE)
START = 1_000_000.0


def recording(answers: Mapping[str, tuple[Series, ...]], **more: Mapping[str, str]) -> Recording:
    whole = {expr: () for panel in all_panels() for expr in expressions(panel)}
    return Recording(START, START + 300, 5, 10, "3.0.0", whole | dict(answers), **more)


def all_panels() -> list[Panel]:
    return [panel for dashboard in DASHBOARDS for panel in dashboard.panels()]


def expressions(panel: Panel) -> list[str]:
    return [expr for query in panel.queries for expr in (query.expr, query.x) if expr]


def words(svg: str) -> list[str]:
    texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314  # our own
    return ["".join(one.itertext()) for one in texts]


def by_method(expr: str, *values: float | None) -> dict[str, tuple[Series, ...]]:
    return {expr: tuple(Series({"method": one.method}, 2, values) for one in strategies())}


@pytest.fixture(scope="module")
def some() -> Recording:
    """The first row's curves, and nothing else."""
    answers = by_method(GOODPUT.queries[0].expr, 1.0, None, 3.0, 2.0)
    for query in STICK.queries:
        answers |= {query.expr: (Series({}, 2, (0.1, 0.2, 0.9)),), query.x: (Series({}, 3, (4.0, 9.0)),)}
    return recording(answers)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, some: Recording) -> Path:
    path = fabricate.bundle(tmp_path_factory.mktemp("panels"))
    first = fabricate.STARTED_AT
    (part,) = Bundle(path).plan().parts
    order = tuple(arm.name for arm in part.arms) * 2
    stretch = Stretch(
        stretch="s001", part=part.name, t0=first, period_s=3.0, washout_s=0.7, order=order,
        blocks=(0,) * len(order),
    )  # fmt: skip
    BundleWriter(path).append_stretch(stretch)
    write_recording(path, replace(some, start=first - 5, end=first + 295))
    return path


@pytest.fixture(scope="module")
def text(bundle: Path) -> str:
    return page.render_panels(bundle).read_text(encoding="utf-8")


class TestAsking:
    @pytest.fixture
    async def prometheus(self) -> AsyncIterator[str]:
        async def answer(request: web.Request) -> web.Response:
            asked = await request.post()
            expr, start = str(asked["query"]), float(str(asked["start"]))
            assert "$" not in expr.replace('"$1"', ""), expr  # of label_replace
            if "http_in_flight_requests" in expr:
                return web.json_response({"status": "error", "error": "parse error: here"}, status=400)
            values = [[start + 5, "1.23456789"], [start + 10, "NaN"], [start + 20, "4"]]
            return web.json_response({"status": "success", "data": {"result": [
                {"metric": {"method": "b"}, "values": values}, {"metric": {"method": "a"}, "values": values},
            ]}})  # fmt: skip

        async def build(_: web.Request) -> web.Response:
            return web.json_response({"data": {"version": "2.42.0"}})

        app = web.Application()
        app.router.add_post("/api/v1/query_range", answer)
        app.router.add_get("/api/v1/status/buildinfo", build)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()

    async def test_every_expression_is_kept_on_one_grid(self, prometheus: str) -> None:
        async with aiohttp.ClientSession() as http:
            found = await record_panels(http, prometheus, start=START, end=START + 60, run="r")
        wanted = {expr for panel in all_panels() for expr in expressions(panel)}
        assert set(found.answers) | set(found.refused) == wanted
        assert set(found.refused.values()) == {"parse error: here"}
        first, second = found.answers[GOODPUT.queries[0].expr]
        assert (first.labels, second.labels) == ({"method": "a"}, {"method": "b"})
        assert first.first == 1
        assert first.values == (1.23457, None, None, 4.0)
        assert found.seconds(first) == [5, 10, 15, 20]
        assert (found.prometheus, found.step_s, found.rate_window_s) == ("2.42.0", 5, 10)

    async def test_a_long_run_takes_larger_steps(self, prometheus: str) -> None:
        async with aiohttp.ClientSession() as http:
            found = await record_panels(http, prometheus, start=START, end=START + 7200, run="r")
        assert (found.step_s, found.rate_window_s) == (10, 10)

    async def test_nobody_there_is_said_in_a_sentence(self) -> None:
        async with aiohttp.ClientSession() as http:
            with pytest.raises(PrometheusGone, match="did not answer"):
                await record_panels(http, "http://127.0.0.1:1", start=START, end=START + 60, run="r")


class TestKeeping:
    def test_what_is_written_is_read_and_always_the_same(self, tmp_path: Path, some: Recording) -> None:
        first = write_recording(tmp_path, some).read_bytes()
        assert read_recording(tmp_path) == some
        assert write_recording(tmp_path, read_recording(tmp_path)).read_bytes() == first
        assert [path.name for path in tmp_path.iterdir()] == [FILE]

    def test_a_run_without_one_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="Prometheus did not run"):
            read_recording(tmp_path)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "damaged"),
            (b"no gzip", "damaged: Not a gzipped file"),
            (gzip.compress(b"{}", mtime=0)[:-4], "damaged"),
            (gzip.compress(b'{"format": 9}', mtime=0), "another format than 1"),
            (gzip.compress(b'{"format": 1, "answers": {}, "odd": 1}', mtime=0), "another version .*odd"),
        ],
        ids=["empty", "no gzip", "cut", "another format", "an odd member"],
    )
    def test_a_recording_that_cannot_be_read_is_told(self, tmp_path: Path, content: bytes, said: str) -> None:
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(BundleError, match=rf"panels\.json\.gz .*{said}"):
            read_recording(tmp_path)


class TestCurves:
    def test_strategies_have_their_names_colours_and_order(self, some: Recording) -> None:
        shown = curves_of(GOODPUT, some).shown
        assert [(one.name, one.colour) for one in shown] == [(one.arm, one.colour) for one in strategies()]
        assert shown[0].xs == (5 / 60, 15 / 60, 20 / 60)  # in the middle of the ten seconds they look back
        assert shown[0].ys == (1.0, 3.0, 2.0)

    def test_an_arm_of_any_name_has_its_report_s_colour(self) -> None:
        panel, (strategy, *_) = BY_TITLE["Uploads by arm"], strategies()
        names = ("few clients", "2 connections", "A", strategy.arm)
        series = tuple(Series({"arm": name}, 2, (1.0, 2.0)) for name in names)
        arms = {"few clients": "#101010", "2 connections": "#202020"}
        shown = curves_of(panel, recording({panel.queries[0].expr: series}), arms).shown
        assert {one.name: one.colour for one in shown} == {
            **arms, "A": PAIR_COLOURS["A"], strategy.arm: strategy.colour,
        }  # fmt: skip

    def test_what_does_not_look_back_stands_at_its_own_moment(self) -> None:
        panel = Panel("t", "d", Unit.COUNT, (Query("q", "{{name}}"),))
        (curve,) = curves_of(panel, recording({"q": (Series({"name": "n"}, 2, (1.0,)),)})).shown
        assert curve.xs == (10 / 60,)

    def test_lines_at_zero_are_only_counted_beside_others(self) -> None:
        panel = Panel("t", "d", Unit.COUNT, (Query("q", "{{name}}"),))
        series = tuple(Series({"name": name}, 0, (0.0, value)) for name, value in (("a", 0.0), ("b", 2.0)))
        found = curves_of(panel, recording({"q": series}))
        assert ([one.name for one in found.shown], found.at_zero, found.left_out) == (["b"], 1, 0)
        quiet = curves_of(panel, recording({"q": series[:1]}))
        assert ([one.name for one in quiet.shown], quiet.at_zero) == (["a"], 0)

    def test_a_hockey_stick_joins_equal_moments(self, some: Recording) -> None:
        for curve in curves_of(STICK, some).shown:
            assert curve.xs == (4.0, 9.0)
            assert curve.ys == (0.2, 0.9)

    def test_the_smallest_of_many_are_left_out(self) -> None:
        panel = Panel("t", "d", Unit.COUNT, (Query("q", "{{name}}"),))
        series = tuple(Series({"name": f"n{i:02}"}, 0, (i + 1.0,)) for i in range(MOST_CURVES + 4))
        found = curves_of(panel, recording({"q": series}))
        assert found.left_out == 4
        assert [one.name for one in found.shown] == [f"n{i:02}" for i in range(4, MOST_CURVES + 4)]
        assert len({one.colour for one in found.shown}) == MOST_CURVES

    @pytest.mark.parametrize(
        ("value", "unit", "text"),
        [(0.0123, Unit.SECONDS, "12.3 ms"), (2.5, Unit.SECONDS, "2.50 s"), (0.5, Unit.SHARE, "50 %"),
         (3 << 20, Unit.BYTES_PER_S, "3 MiB/s"), (1234.4, Unit.COUNT, "1,234"), (0, Unit.PER_S, "0/s")],
    )  # fmt: skip
    def test_values_are_for_people(self, value: float, unit: Unit, text: str) -> None:
        assert amount(value, unit) == text


class TestScales:
    @pytest.mark.parametrize(
        ("unit", "top", "first"),
        [(Unit.BYTES_PER_S, 57 << 20, 16 << 20), (Unit.BYTES, 900, 256), (Unit.BYTES, 0.5, 1)],
    )
    def test_marks_of_bytes_are_round(self, unit: Unit, top: float, first: float) -> None:
        marks = list(drawing.amounts(unit, top).tick_values(0, top))
        assert next(mark for mark in marks if mark > 0) == first

    def test_marks_of_other_units_are_decimal(self) -> None:
        marks = drawing.amounts(Unit.PER_S, 45.0).tick_values(0, 45.0)
        assert list(marks[:3]) == [0, 10, 20]

    @pytest.mark.parametrize(("minutes", "step_s"), [(1.4, 15), (8, 120), (31, 300), (600, 7200)])
    def test_marks_of_time_are_round_and_few(self, minutes: float, step_s: int) -> None:
        marks = drawing.times(minutes).tick_values(0, minutes)
        inside = [mark for mark in marks if 0 <= mark <= minutes]
        assert len(inside) <= drawing.MOST_TIMES + 1
        assert round((inside[1] - inside[0]) * 60) == step_s

    def test_bands_are_apart_where_nothing_was_measured(self) -> None:
        assert runs([1.0, 2.0, 4.0, 7.0, 8.0], 1.5) == [[1.0, 2.0], [4.0], [7.0, 8.0]]
        assert runs([], 1.5) == []

    def test_a_value_without_neighbours_is_a_dot(self) -> None:
        assert alone([1.0, nan, 2.0, 3.0, nan, 4.0]) == [0, 5]
        assert alone([1.0, 2.0]) == []

    def test_a_line_at_zero_leaves_its_limits_in_sight(self) -> None:
        limits = (Threshold(0.001, "#d9a21b"), Threshold(0.01, "#b3261e"))
        panel = Panel("t", "d", Unit.SHARE, (Query("q", "errors"),), thresholds=limits)
        svg = draw(panel, recording({"q": (Series({}, 0, (0.0, 0.0)),)}), (), "p") or ""
        assert all(limit.colour in svg for limit in limits)
        marks = [label for label in words(svg) if label.endswith("%")]
        assert marks[0] == "0 %"
        assert len(set(marks)) == len(marks) > 3

    def test_a_mark_is_minutes_and_seconds(self) -> None:
        assert [drawing.clock(one) for one in (0, 0.25, 1.5, 12)] == ["0:00", "0:15", "1:30", "12:00"]


class TestPage:
    def test_drawn_again_it_is_the_same(self, bundle: Path, text: str) -> None:
        assert page.render_panels(bundle).read_text(encoding="utf-8") == text

    def test_every_panel_has_its_words(self, text: str) -> None:
        plain = text.replace("&#39;", "'").replace("&gt;", ">").replace("&lt;", "<")
        assert all(f"{panel.title} (" in plain for panel in all_panels() if panel not in (GOODPUT, STICK))
        for panel in (GOODPUT, STICK):
            assert f"<h4>{panel.title}</h4>" in plain
            assert re.sub(r"`([^`]+)`", r"<code>\1</code>", panel.description) in plain
        assert "`" not in plain

    def test_it_loads_nothing_and_names_everything_once(self, text: str) -> None:
        assert not re.findall(r"<(?:script|link|img|iframe)\b|src=", text)
        ids = re.findall(r'\bid="([^"]+)"', text)
        assert len(set(ids)) == len(ids)
        assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)

    def test_empty_panels_say_why_and_take_no_tile(self, text: str) -> None:
        assert "(no request failed)" in text
        assert "(no data, though some was expected)" in text  # the fabricated run recorded two panels only
        assert text.count("<figure") == text.count("<svg") == 2

    def test_the_first_dashboard_is_open_and_the_others_behind_their_names(self, text: str) -> None:
        assert f'<h2 id="{FIRST.uid}">' in text[: text.index("<details>")]
        assert text.count("<details>") == len(DASHBOARDS) - 1

    def test_an_older_run_has_no_answer_to_a_newer_panel(self, some: Recording) -> None:
        old = replace(some, answers={}, refused={STICK.queries[0].expr: "bad"})
        assert page.picture(GOODPUT, old, [], "n").reason.startswith("not recorded")
        assert page.picture(STICK, old, [], "n").reason == "Prometheus refused the expression: bad"

    def test_curves_have_the_colours_of_the_arms_above_them(self) -> None:
        colours = {"few clients": "#101010", "many clients": "#202020"}
        arms = tuple(fabricate.arm(name, colour=colour) for name, colour in colours.items())
        own = page.arms_of(fabricate.plan(fabricate.result(arms)))
        assert own == colours
        series = tuple(Series({"arm": name}, 2, (1.0, 2.0)) for name in colours)
        some = recording({BY_TITLE["Uploads by arm"].queries[0].expr: series})
        (drawn,) = [one for one in page.sections(some, [], own)[0].pictures() if one.svg]
        assert [colour for colour in colours.values() if colour not in (drawn.svg or "")] == []

    def test_questions_are_behind_the_curves(self, bundle: Path) -> None:
        (question,) = page.shades(Bundle(bundle), read_recording(bundle))
        (stretch,) = Bundle(bundle).stretches()
        assert question.name == stretch.part
        assert (question.end - question.begin) * 60 == pytest.approx(len(stretch.order) * stretch.period_s)

    def test_parts_that_follow_each_other_differ_and_a_part_stays_the_same(self) -> None:
        first, second, again = page.of_parts([("a", 0, 60), ("b", 60, 90), ("a", 90, 120)])
        assert first.colour == again.colour != second.colour
        assert (second.begin, second.end) == (1.0, 1.5)

    def test_a_dashboard_is_one_picture(self, some: Recording) -> None:
        section = page.sections(some, [])[0]
        for text in (poster(section), single(next(section.pictures()))):
            root = ElementTree.fromstring(text)  # noqa: S314  # our own
            ids = [one.get("id") for one in root.iter() if one.get("id")]
            assert len(set(ids)) == len(ids)
        assert STICK.title in poster(section)
