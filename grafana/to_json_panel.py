"""One panel as Grafana's JSON: common members here, options by kind of panel."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Any

from grafana.colours import PROCESS_COLOURS
from grafana.model import Kind, Panel, Query
from grafana.parts import PAIR_COLOURS
from grafana.strategies import strategies, with_variants

Json = dict[str, Any]
LEGEND: Json = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}


def panel_json(panel: Panel, ident: int, datasource: Json) -> Json:
    """Everything but the place."""
    found: Json = {
        "id": ident,
        "type": panel.kind.value,
        "title": panel.title,
        "description": panel.description,
        "datasource": datasource,
        "targets": [_target(*one, datasource) for one in _references(panel)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": list(_overrides(panel))},
        "options": _options(panel),
    }
    if panel.kind is Kind.CURVE:  # one table: a column for each legend
        found["transformations"] = [{"id": "joinByField", "options": {"byField": "Time", "mode": "outer"}}]
    return found


def across(query: Query) -> str:
    """The legend of a query's other axis."""
    return f"{query.legend}, at once"


def _references(panel: Panel) -> Iterator[tuple[str, str, str, bool]]:
    """Reference, expression, legend and whether it is one value, of each query and of its other axis."""
    letters = iter(string.ascii_uppercase)
    for query in panel.queries:
        if query.x:
            yield next(letters), query.x, across(query), False
        yield next(letters), query.expr, query.legend, query.instant


def _target(ref: str, expr: str, legend: str, instant: bool, datasource: Json) -> Json:
    return {
        "refId": ref,
        "datasource": datasource,
        "editorMode": "code",
        "expr": expr,
        "legendFormat": legend,
        "instant": instant,
        "range": not instant,
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green" if panel.thresholds else "text", "value": None}]
    steps += [{"color": one.colour, "value": one.value} for one in panel.thresholds]
    # An arm may be called anything. By its name it has one colour, whichever others a panel shows.
    by_name = any("{{arm}}" in query.legend for query in panel.queries)
    found: Json = {
        "unit": panel.unit.value,
        "color": {"mode": "palette-classic-by-name" if by_name else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": [],
        "min": 0,
    }
    if panel.maximum is not None:
        found["max"] = panel.maximum
    if panel.decimals is not None:
        found["decimals"] = panel.decimals
    custom = _custom(panel)
    return found | ({"custom": custom} if custom else {})


def _custom(panel: Panel) -> Json:
    if panel.kind is Kind.LINES:
        return {
            "drawStyle": "line",
            "lineInterpolation": "linear",
            "lineWidth": 1 if panel.stacked else 2,
            "fillOpacity": 55 if panel.stacked else 0,
            "showPoints": "auto",
            "pointSize": 4,
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
        }
    if panel.kind is Kind.CURVE:
        return {"show": "points", "pointSize": {"fixed": 6}, "axisLabel": ""}
    return {}


def _overrides(panel: Panel) -> Iterator[Json]:
    """Colours that the report uses too; a method is shown under its strategy's name."""
    legends = {query.legend for query in panel.queries}
    if "{{method}}" in legends:
        for one in strategies():
            yield _override(one.method, one.colour, [("displayName", one.arm)])
    known = {one.arm: one.colour for one in with_variants()} | PAIR_COLOURS
    for name, colour in known.items():
        if "{{arm}}" in legends or name in legends:
            yield _override(name, colour, [])
    if legends & {"{{process}}", "{{service}}"}:
        for name, colour in PROCESS_COLOURS.items():
            yield _override(name, colour, [])
    for query in panel.queries:
        if query.colour and not query.x:
            yield _override(query.legend, query.colour, [])
    if panel.kind is Kind.CURVE:
        axis = {"matcher": {"id": "byRegexp", "options": "/, at once$/"}}
        yield axis | {"properties": [{"id": "unit", "value": "none"},
                                     {"id": "custom.axisLabel", "value": panel.x_title}]}  # fmt: skip


def _override(name: str, colour: str, more: list[tuple[str, str]]) -> Json:
    properties: list[Json] = [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]
    properties += [{"id": ident, "value": value} for ident, value in more]
    return {"matcher": {"id": "byRegexp", "options": f"/^{name}$/"}, "properties": properties}


def _options(panel: Panel) -> Json:
    tooltip = {"mode": "multi", "sort": "desc"}
    if panel.kind is Kind.LINES:
        return {"legend": LEGEND, "tooltip": tooltip}
    if panel.kind is Kind.CURVE:
        series = [_series(query) for query in panel.queries]
        return {"mapping": "manual", "series": series, "legend": LEGEND,
                "tooltip": {"mode": "single", "sort": "none"}}  # fmt: skip
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "vertical",
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "textMode": "value_and_name",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }


def _series(query: Query) -> Json:
    def column(name: str) -> Json:
        return {"matcher": {"id": "byName", "options": name}}

    return {
        "name": {"fixed": query.legend},
        "frame": {"matcher": {"id": "byIndex", "options": 0}},
        "x": column(across(query)),
        "y": column(query.legend),
    }
