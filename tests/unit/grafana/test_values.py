"""What panels about overload and about the run's questions make of series whose truth is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from grafana.dashboards import DASHBOARDS
from tests.unit.grafana.promtool import evaluate

pytestmark = pytest.mark.unit

PANELS = {panel.title: panel for dashboard in DASHBOARDS for panel in dashboard.panels()}
GATEWAY = 'service="gateway"'
SERVED = {f'http_requests_total{{{GATEWAY}, path="/api/upload/file", status="201"}}': "0+40x12"}
OVERLOADED = {
    **SERVED,
    f'http_requests_total{{{GATEWAY}, path="/api/upload/file", status="503"}}': "0+10x12",
    f'http_requests_total{{{GATEWAY}, path="/api/upload/file", status="429"}}': "0+5x12",
    f'http_requests_total{{{GATEWAY}, path="/ready", status="200"}}': "0+45x12",
    f'admission_rejected_total{{{GATEWAY}, reason="full"}}': "0+6x12",
    f'admission_rejected_total{{{GATEWAY}, reason="deadline"}}': "0+4x12",
    f'rate_limited_total{{{GATEWAY}, scope="ip", tier="none"}}': "0+5x12",
    'rate_limited_total{service="auth", scope="login", tier="none"}': "0+50x12",
}


def exprs(title: str) -> dict[str, str]:
    """By legend."""
    return {query.legend: query.expr for query in PANELS[title].queries}


def test_what_is_offered_is_admitted_or_refused(tmp_path: Path) -> None:
    said = exprs("Offered, admitted and refused")
    evaluate(
        tmp_path,
        OVERLOADED,
        [(said["offered"], {"{}": 11}), (said["admitted"], {"{}": 8}), (said["refused"], {"{}": 3})],
    )


def test_where_nobody_is_refused_all_is_admitted(tmp_path: Path) -> None:
    said = exprs("Offered, admitted and refused")
    evaluate(
        tmp_path,
        SERVED,
        [(said["offered"], {"{}": 8}), (said["admitted"], {"{}": 8}), (said["refused"], {"{}": 0})],
    )


@pytest.mark.parametrize(
    ("series", "server_errors", "limited"), [(OVERLOADED, 0.1, 0.05), (SERVED, 0, 0)], ids=["many", "none"]
)
def test_errors_are_a_share_of_all_answers(
    series: dict[str, str], server_errors: float, limited: float, tmp_path: Path
) -> None:
    said = exprs("Share of errors")
    evaluate(tmp_path, series, [(said["5xx"], {"{}": server_errors}), (said["429"], {"{}": limited})])


def test_how_far_a_question_is_and_how_sure(tmp_path: Path) -> None:
    ratio = 'testbed_ratio{run="r", part="compare", metric="%s", arm="B", over="A", bound="%s"}'
    series = {
        'testbed_blocks_done{run="r", part="compare"}': "3+0x12",
        'testbed_blocks_wanted{run="r", part="compare"}': "12+0x12",
        'testbed_half_width_wanted{run="r", part="compare"}': "0.05+0x12",
        **{ratio % ("uploads_per_s", bound): f"{value}+0x12"
           for bound, value in (("low", 1.0), ("middle", 1.25), ("high", 1.5))},
        ratio % ("cpu_s_per_upload", "middle"): "0.5+0x12",
    }  # fmt: skip
    rate, cpu, sure = map(exprs, ("Ratio of uploads per second", "Ratio of CPU of one upload",
                                  "How sure the ratio is"))  # fmt: skip
    pair, legend = '{arm="B", over="A"}', "{{arm}} / {{over}}"
    evaluate(
        tmp_path,
        series,
        [
            (exprs("Blocks done of those wanted")["{{part}}"], {'{part="compare"}': 0.25}),
            (rate[legend], {pair: 1.25}),
            (rate[f"{legend} at least"], {pair: 1.0}),
            (rate[f"{legend} at most"], {pair: 1.5}),
            (cpu[legend], {pair: 0.5}),
            (cpu[f"{legend} at least"], {}),
            (sure[legend], {pair: 0.2}),
            (sure["wanted"], {"{}": 0.05}),
        ],
    )
