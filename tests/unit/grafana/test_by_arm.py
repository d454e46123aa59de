"""Series by arm under promtool: levels, sizes and rates of an arm are the arm, whatever it is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from grafana.dashboards import DASHBOARDS
from grafana.promql import LEVEL
from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.plan.planning import make_plan
from loadtests.harness.question import load_question, questions
from loadtests.harness.words import ASK, PROFILES, ProfileName, as_typed, read_question
from tests.unit.grafana.promtool import evaluate

pytestmark = pytest.mark.unit

PANELS = {panel.title: panel for panel in DASHBOARDS[0].panels()}
STICK = {query.legend: query for query in PANELS["Time of an upload over uploads at once"].queries}
# Uploads in 5 s, and the seconds that they took together, of each arm as k6 calls it.
PUSHED = {
    "proxy-chunked": (50, 10), "proxy-chunked 24 VU": (25, 15), "proxy-chunked 1.5 MiB": (25, 5),
    "proxy-single": (5, 5), "A": (10, 5), "A 64 KiB": (10, 5), "proxy-single-spooled": (10, 5),
    "2 connections": (5, 5), "2 connections at 80 %": (5, 5), "2 connections with a kill": (5, 5),
    "proxy at 20 ms": (5, 10),
}  # fmt: skip


def by_arm(values: Mapping[str, float]) -> dict[str, float]:
    return {f'{{arm="{arm}", of="{arm}"}}': value for arm, value in values.items()}


def test_by_arm(tmp_path: Path) -> None:
    series = {
        f'{name}{{arm="{arm}", testid="r", {more}}}': f"0+{value}x12"
        for arm, (uploads, time_s) in PUSHED.items()
        for name, more, value in (
            ("k6_uploads_total", 'result="acknowledged"', uploads),
            ("k6_upload_time_sum", "", time_s),
        )
    }
    uploads_per_s = {"proxy-chunked": 20, "proxy-single": 1, "A": 4, "proxy-single-spooled": 2,
                     "2 connections": 3, "proxy at 20 ms": 1}  # fmt: skip
    mean_s = {"proxy-chunked": 0.3, "proxy-single": 1, "A": 0.5, "proxy-single-spooled": 0.5,
              "2 connections": 1, "proxy at 20 ms": 2}  # fmt: skip
    at_once = {"proxy-chunked": 6, "proxy-single": 1, "A": 2, "proxy-single-spooled": 1,
               "2 connections": 3, "proxy at 20 ms": 2}  # fmt: skip
    evaluate(
        tmp_path,
        series,
        [
            (PANELS["Uploads by arm"].queries[0].expr, by_arm(uploads_per_s)),
            (PANELS["Time of an upload by arm, mean"].queries[0].expr, by_arm(mean_s)),
            (PANELS["Uploads at once by arm"].queries[0].expr, by_arm(at_once)),
            (STICK["proxy-chunked"].expr, {"{}": 0.3}),
            (STICK["proxy-chunked"].x, {"{}": 6}),
            (STICK["proxy-single"].x, {"{}": 1}),
            (STICK["A"].expr, {"{}": 0.5}),
            (STICK["B"].expr, {}),
        ],
    )


def test_one_arm_of_several_can_be_chosen(tmp_path: Path) -> None:
    series = {
        f'k6_uploads_total{{arm="{arm}", result="acknowledged"}}': "0+5x12"
        for arm in ("nginx", "nginx 24 VU", "nginx and new connections", "no nginx")
    }
    chosen = PANELS["Uploads by arm"].queries[0].expr.replace("$arm", "nginx")
    several = PANELS["Uploads by arm"].queries[0].expr.replace("$arm", "(no nginx|nginx and new connections)")
    others = {"no nginx": 1.0, "nginx and new connections": 1.0}
    evaluate(tmp_path, series, [(chosen, by_arm({"nginx": 2})), (several, by_arm(others))])


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", questions())
def test_names_of_every_prepared_question_are_taken_apart_as_its_plan_made_them(
    name: str, profile: ProfileName
) -> None:
    asked, strategies = load_question(name), load_strategies()
    words = read_question(
        {"PROFILE": profile}, ASK, strategies, as_typed(asked.arms), texts=asked.arms, load=asked.load
    )
    for part in make_plan("run", asked, words, strategies).parts:
        for arm in part.arms:
            apart = re.fullmatch(f"(.+?){LEVEL}", arm.name)
            assert apart is not None
            assert apart[1] == arm.of, arm.name
