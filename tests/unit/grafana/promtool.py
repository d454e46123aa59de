"""Expressions of panels under promtool, as rules are tested."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import yaml

from grafana.expressions import Span
from tests.unit.rules.test_rules import promtools

SPAN = Span(rate_window_s=20, range_s=60)
Samples = Mapping[str, float]  # by labels


def evaluate(folder: Path, series: Mapping[str, str], wanted: Iterable[tuple[str, Samples]]) -> None:
    """Each expression has these values after a minute of the series, which have one every 5 s."""
    promtool = next(promtools(), None)
    if promtool is None:
        pytest.skip("no promtool: PROMTOOL_BIN is not set and no Prometheus with one is installed")
    test = {
        "interval": "5s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": SPAN.fill(expr),
                "eval_time": "60s",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in found.items()],
            }
            for expr, found in wanted
        ],
    }
    file = folder / "expressions.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    done = subprocess.run(
        [str(promtool), "test", "rules", str(file)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
