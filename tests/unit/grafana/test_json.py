"""The committed dashboards: what the code writes, valid for Grafana, and readable by people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

import grafana.__main__ as written
from grafana.colours import ARM_COLOURS, PROCESS_COLOURS
from grafana.dashboards import DASHBOARDS
from grafana.model import ANYTHING, DATASOURCE_UID, Dashboard, Kind
from grafana.parts import GREY, PAIR_COLOURS, RED, YELLOW
from grafana.strategies import with_variants
from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.panels.curves import PALETTE

pytestmark = pytest.mark.unit

SCHEMAS = Path(written.__file__).with_name("schema")
PROVISIONING = Path(written.__file__).with_name("provisioning")
# Grafana's types say these are plug-in matters, or know them under the plug-in only.
NOT_IN_SCHEMA = {"target", "titleFormat", "textFormat"}
TARGET_MEMBERS = {"refId", "datasource", "editorMode", "expr", "legendFormat", "instant", "range"}
# Pixels of Grafana at 1440x900: one grid row with its gap, and the bars above the panels.
GRID_ROW_PX, HEAD_PX, SCREEN_PX = 38, 150, 900
Json = dict[str, Any]

every = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)


def load(dashboard: Dashboard) -> Json:
    found: Json = json.loads((written.FOLDER / f"{dashboard.uid}.json").read_text(encoding="utf-8"))
    return found


def panels(dashboard: Dashboard) -> Iterator[Json]:
    yield from (panel for panel in load(dashboard)["panels"] if panel["type"] != "row")


@cache
def validator(name: str, definition: str) -> Draft7Validator:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    wanted = schema["definitions"]["Checked"]["properties"][definition]
    return Draft7Validator({**wanted, "definitions": schema["definitions"]})


def problems(name: str, definition: str, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(name, definition).iter_errors(value)]


def test_committed_files_are_what_the_code_writes() -> None:
    assert written.stale() == [], "run python -m grafana"


@every
def test_grafanas_own_schema(dashboard: Dashboard) -> None:
    value = load(dashboard)
    for annotation in value["annotations"]["list"]:
        plain = {key: one for key, one in annotation.items() if key not in NOT_IN_SCHEMA}
        assert problems("dashboard", "annotation", plain) == []
    for variable in value["templating"]["list"]:
        assert problems("dashboard", "variable", variable) == []
    for link in value["links"]:
        assert problems("dashboard", "link", link) == []
    for panel in value["panels"]:
        row = panel["type"] == "row"
        assert problems("dashboard", "row" if row else "panel", panel) == []
        if not row:
            assert problems(panel["type"], "options", panel["options"]) == []
            custom = panel["fieldConfig"]["defaults"].get("custom")
            assert custom is None or problems(panel["type"], "custom", custom) == []
    value["annotations"]["list"] = []
    assert problems("dashboard", "dashboard", value) == []


def test_the_schema_would_notice() -> None:
    value = load(DASHBOARDS[0])
    value["panels"][0]["gridPos"] = {"x": 0}
    assert problems("dashboard", "dashboard", value)
    assert problems("timeseries", "options", {"legend": {"placement": "middle"}})


@every
def test_names_and_places_are_unique(dashboard: Dashboard) -> None:
    value = load(dashboard)
    ids = [panel["id"] for panel in value["panels"]]
    titles = [panel["title"] for panel in value["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in value["panels"]):
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not taken & cells
        assert place["x"] + place["w"] <= 24
        taken |= cells


@every
def test_every_panel_says_what_it_shows(dashboard: Dashboard) -> None:
    assert len(dashboard.answers) > 40
    for panel in panels(dashboard):
        assert len(panel["title"]) > 3
        assert len(panel["description"]) > 60, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert set(target) == TARGET_MEMBERS
            assert target["legendFormat"], panel["title"]
            assert target["instant"] != target["range"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)


@every
def test_no_data_source_is_written_down(dashboard: Dashboard) -> None:
    value = load(dashboard)
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels(dashboard):
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])
    variables = {variable["name"]: variable for variable in value["templating"]["list"]}
    assert variables["datasource"]["current"]["value"] == DATASOURCE_UID
    assert all(one["datasource"] == chosen for one in value["annotations"]["list"])
    without_variable = json.dumps({**value, "templating": None})
    assert DATASOURCE_UID not in without_variable


@every
def test_rates_look_back_as_far_as_grafana_says(dashboard: Dashboard) -> None:
    """A window written down would be wrong at another scrape interval or zoom."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            unquoted = re.sub(r'"[^"]*"', "", target["expr"])
            windows = set(re.findall(r"\[(.+?)\]", unquoted))
            assert windows <= {"$__rate_interval", "$__range", "$__range:5s", "6s:5s", "11s:5s"}, target[
                "expr"
            ]
            used = set(re.findall(r"\$([a-z_]\w*)", target["expr"])) - {"__rate_interval", "__range"}
            assert used <= {variable.name for variable in dashboard.variables}, target["expr"]


@every
def test_percentiles_of_buckets_say_so(dashboard: Dashboard) -> None:
    for panel in panels(dashboard):
        if any("histogram_quantile" in target["expr"] for target in panel["targets"]):
            assert "± its bucket" in panel["title"]
            assert "the true value lies in the same bucket" in panel["description"]


@every
def test_a_bucket_is_never_matched_by_its_text(dashboard: Dashboard) -> None:
    """Prometheus 3 stores le="1" as le="1.0"."""
    assert not re.search(r"\b(le|quantile)\s*=", json.dumps([list(panels(dashboard))]).replace("\\", ""))


@every
def test_one_finds_the_others_and_the_report(dashboard: Dashboard) -> None:
    value = load(dashboard)
    kinds = {link["type"]: link for link in value["links"]}
    assert set(kinds["dashboards"]["tags"]) <= set(value["tags"])
    assert kinds["link"]["url"] == "/public/results/${run}/report.html"
    assert "run" in {variable["name"] for variable in value["templating"]["list"]}
    names = [one["name"] for one in value["annotations"]["list"]]
    assert "Faults" in names
    assert "Questions" in names


def test_the_first_dashboard_is_one_screen_that_answers_the_question() -> None:
    first, *_ = DASHBOARDS
    above = list(panels(first))
    end = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in above)
    assert HEAD_PX + end * GRID_ROW_PX <= SCREEN_PX
    assert len(above) <= 12
    titles = " ".join(panel["title"] for panel in above).lower()
    assert all("method" not in target["expr"] for panel in above[:4] for target in panel["targets"])
    for word in (
        "uploads per second",
        "time to durable",
        "cpu of one upload",
        "gateway bytes per file byte",
        "failed",
    ):
        assert word in titles
    (stick,) = [panel for panel in above if panel["type"] == Kind.CURVE.value]
    columns = {target["legendFormat"] for target in stick["targets"]}
    for series in stick["options"]["series"]:
        assert series["x"]["matcher"]["options"] in columns
        assert series["y"]["matcher"]["options"] in columns


def test_dashboards_are_provisioned_by_file() -> None:
    assert len(DASHBOARDS) == 7
    sources = yaml.safe_load((PROVISIONING / "datasources/prometheus.yaml").read_text(encoding="utf-8"))
    (source,) = sources["datasources"]
    assert source["uid"] == DATASOURCE_UID
    assert source["url"] == "$PROMETHEUS_URL"
    providers = yaml.safe_load((PROVISIONING / "dashboards/vaultbench.yaml").read_text(encoding="utf-8"))
    (provider,) = providers["providers"]
    assert provider["options"]["path"] == "$GRAFANA_DASHBOARDS"
    assert not provider["allowUiUpdates"]


def test_a_colour_of_a_strategy_means_that_strategy() -> None:
    """Variants are strategies too; nothing else has their colours, nor two of them the same."""
    own = {one.arm: one.colour for one in with_variants()}
    assert own == {name: one.manifest.colour for name, one in load_strategies().items()}
    assert len(set(own.values())) == len(own)
    others = {*ARM_COLOURS, *PROCESS_COLOURS.values(), *PALETTE, GREY, RED, YELLOW}
    assert not set(own.values()) & others


def test_an_arm_has_one_colour_on_every_panel() -> None:
    """A strategy's and A's and B's are fixed; of any other name Grafana makes one."""
    seen = 0
    for panel in (panel for dashboard in DASHBOARDS for panel in panels(dashboard)):
        if "{{arm}}" not in {target["legendFormat"] for target in panel["targets"]}:
            continue
        seen += 1
        assert panel["fieldConfig"]["defaults"]["color"] == {"mode": "palette-classic-by-name"}
        fixed = {
            one["matcher"]["options"]: one["properties"][0]["value"]["fixedColor"]
            for one in panel["fieldConfig"]["overrides"]
        }
        known = {one.arm: one.colour for one in with_variants()} | PAIR_COLOURS
        assert fixed == {f"/^{arm}$/": colour for arm, colour in known.items()}, panel["title"]
    assert seen > 8


@every
def test_everything_chosen_is_every_value_and_the_arms_are_those_of_the_run(dashboard: Dashboard) -> None:
    variables = {one["name"]: one for one in load(dashboard)["templating"]["list"]}
    for name, one in variables.items():
        assert one.get("allValue") == (ANYTHING if one.get("includeAll") else None), name
    if "arm" in variables:
        assert 'run=~"$run"' in variables["arm"]["query"]["query"]
    first = dashboard is DASHBOARDS[0]
    assert ("arm" in variables) is first and ("strategy" not in variables or not first)


def test_rows_of_their_own_tell_of_overload_and_of_the_run_s_questions() -> None:
    rows = {row.title: row.panels for dashboard in DASHBOARDS for row in dashboard.rows}
    for title, words in (
        ("Overload", ("offered", "refused", "wait for a turn", "p95", "durable", "rate limits")),
        ("Questions", ("under way", "blocks done", "ratio of uploads", "ratio of cpu", "how sure")),
    ):
        titles = " ".join(panel.title for panel in rows[title]).lower()
        assert [word for word in words if word not in titles] == []
