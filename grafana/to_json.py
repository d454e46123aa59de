"""The panel list as Grafana's dashboard JSON: the classic schema, which every Grafana from 10 to 13 reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from grafana.model import ANYTHING, COLUMNS, DATASOURCE_UID, Annotation, Dashboard, Panel, Row, Variable
from grafana.to_json_panel import Json, panel_json

SCHEMA_VERSION = 41
TAG = "vaultbench"
# The data source is chosen by a variable whose value is the provisioned one.
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
REPORT_URL = "/public/results/${run}/report.html"  # the folder of runs, served beside Grafana's own files


def text_of(dashboard: Dashboard) -> str:
    """The file's content: the same dashboard gives the same bytes."""
    return json.dumps(dashboard_json(dashboard), indent=1, ensure_ascii=False) + "\n"


def dashboard_json(dashboard: Dashboard) -> Json:
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.answers,
        "tags": [TAG],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "timezone": "browser",
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timepicker": {"refresh_intervals": ["5s", "10s", "30s", "1m"]},
        "templating": {"list": [_datasource(), *map(_variable, dashboard.variables)]},
        "annotations": {"list": [_annotation(one) for one in dashboard.annotations]},
        "links": [_others(), _report()],
        "panels": list(_placed(dashboard)),
    }


def _placed(dashboard: Dashboard) -> Iterator[Json]:
    """Panels from left to right and row by row; the first row needs no heading."""
    ident, y = 1, 0
    for index, row in enumerate(dashboard.rows):
        if index:
            yield _heading(ident, y, row)
            ident, y = ident + 1, y + 1
        x = tallest = 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            yield panel_json(panel, ident, DATASOURCE) | {"gridPos": _position(panel, x, y)}
            ident, x, tallest = ident + 1, x + panel.width, max(tallest, panel.height)
        y += tallest


def _position(panel: Panel, x: int, y: int) -> Json:
    return {"x": x, "y": y, "w": panel.width, "h": panel.height}


def _heading(ident: int, y: int, row: Row) -> Json:
    where = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
    return {
        "id": ident,
        "type": "row",
        "title": row.title,
        "collapsed": False,
        "gridPos": where,
        "panels": [],
    }


def _datasource() -> Json:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": "vaultbench", "value": DATASOURCE_UID},
        "hide": 2,
        "refresh": 1,
        "regex": "",
        "multi": False,
        "includeAll": False,
        "options": [],
    }


def _variable(variable: Variable) -> Json:
    found: Json = {"name": variable.name, "label": variable.label, "hide": 0, "options": [], "multi": True}
    everything: Json = {
        "includeAll": True,
        "allValue": ANYTHING,  # not only what is listed: what nobody thought of is shown too
        "current": {"text": ["All"], "value": ["$__all"]},
    }
    if variable.fixed:
        return found | everything | {"type": "custom", "query": variable.query}
    found |= {
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"qryType": 1, "query": variable.query, "refId": variable.name},
        "refresh": 2,
        "regex": "",
    }
    if variable.name == "run":  # one run, the newest first: the link to its report needs exactly one
        return found | {"multi": False, "includeAll": False, "sort": 2}
    return found | everything | {"sort": 1}


def _annotation(annotation: Annotation) -> Json:
    return {
        "name": annotation.name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": annotation.colour,
        "target": {"refId": "annotation", "expr": annotation.expr, "interval": "5s"},
        "titleFormat": annotation.title,
        "textFormat": annotation.text,
    }


def _link(**more: Any) -> Json:
    return {
        "icon": "external link",
        "tooltip": "",
        "keepTime": True,
        "includeVars": True,
        "asDropdown": False,
        "tags": [],
        "targetBlank": False,
        "url": "",
    } | more


def _others() -> Json:
    return _link(title="Dashboards", type="dashboards", tags=[TAG], asDropdown=True, icon="dashboard")


def _report() -> Json:
    return _link(
        title="Report of the run",
        type="link",
        url=REPORT_URL,
        targetBlank=True,
        keepTime=False,
        includeVars=False,
        tooltip="The verdict of the chosen run, with its evidence",
        icon="doc",
    )
