"""Series by arm under promtool: levels and sizes of an arm are the arm, two arms stay two."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from grafana.dashboards import DASHBOARDS
from grafana.expressions import Span
from tests.unit.rules.test_rules import promtools

pytestmark = pytest.mark.unit

SPAN = Span(rate_window_s=20, range_s=60)
PANELS = {panel.title: panel for panel in DASHBOARDS[0].panels()}
STICK = {query.legend: query for query in PANELS["Time of an upload over uploads at once"].queries}
# Uploads in 5 s, and the seconds that they took together, of each arm as k6 calls it.
PUSHED = {
    "proxy-chunked": (50, 10), "proxy-chunked 24 VU": (25, 15), "proxy-chunked 1.5 MiB": (25, 5),
    "proxy-single": (5, 5), "A": (10, 5), "A 64 KiB": (10, 5),
}  # fmt: skip


def samples(values: dict[str, float], *, of: bool = True) -> list[dict[str, object]]:
    return [
        {"labels": f'{{arm="{arm}", of="{arm}"}}' if of else "{}", "value": value}
        for arm, value in values.items()
    ]


def test_by_arm(tmp_path: Path) -> None:
    promtool = next(promtools(), None)
    if promtool is None:
        pytest.skip("no promtool: PROMTOOL_BIN is not set and no Prometheus with one is installed")
    series = [
        {"series": f'{name}{{arm="{arm}", testid="r", {more}}}', "values": f"0+{value}x12"}
        for arm, (uploads, time_s) in PUSHED.items()
        for name, more, value in (
            ("k6_uploads_total", 'result="acknowledged"', uploads),
            ("k6_upload_time_sum", "", time_s),
        )
    ]
    wanted = [
        (PANELS["Uploads by arm"].queries[0].expr, samples({"proxy-chunked": 20, "proxy-single": 1, "A": 4})),
        (
            PANELS["Time of an upload by arm, mean"].queries[0].expr,
            samples({"proxy-chunked": 0.3, "proxy-single": 1, "A": 0.5}),
        ),
        (
            PANELS["Uploads at once by arm"].queries[0].expr,
            samples({"proxy-chunked": 6, "proxy-single": 1, "A": 2}),
        ),
        (STICK["proxy-chunked"].expr, samples({"": 0.3}, of=False)),
        (STICK["proxy-chunked"].x, samples({"": 6}, of=False)),
        (STICK["A"].expr, samples({"": 0.5}, of=False)),
        (STICK["B"].expr, []),
    ]
    test = {
        "interval": "5s",
        "input_series": series,
        "promql_expr_test": [
            {"expr": SPAN.fill(expr), "eval_time": "60s", "exp_samples": found} for expr, found in wanted
        ],
    }
    file = tmp_path / "by_arm.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    done = subprocess.run(
        [str(promtool), "test", "rules", str(file)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
