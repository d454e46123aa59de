"""The rules under promtool: each alert fires, not before its time, stays silent beside it, and clears."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose.installer.programs import Installer
from compose.scraping import RULES
from tests.unit.rules.cases import CASES, FILES, breaker, latency, pool, queue, requests
from tests.unit.rules.timeline import ILL_S, STEP_S, WELL_S, WINDOW_S, Series, firing, unit_test

pytestmark = pytest.mark.unit
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((RULES / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
SECONDS = {"s": 1, "m": 60}
LONGEST_S = WINDOW_S + 2 * STEP_S  # until a rate over the window has seen only the new state


def promtools() -> Iterator[Path]:
    """PROMTOOL_BIN (several, like a PATH), the one that came with Prometheus, the one on the PATH."""
    yield from map(Path, filter(None, os.environ.get("PROMTOOL_BIN", "").split(os.pathsep)))
    with Installer(os.environ, echo=str) as installer:
        found = installer.find("prometheus")
    for prometheus in (found.path if found else None, shutil.which("prometheus")):
        if prometheus and (beside := Path(prometheus).with_name("promtool")).exists():
            yield beside


PROMTOOLS: list[Path | None] = [*dict.fromkeys(promtools())] or [None]


@pytest.fixture(scope="module", params=PROMTOOLS, ids=str)
def promtool(request: pytest.FixtureRequest) -> Path:
    """Every promtool there is."""
    if request.param is None:
        pytest.skip("no promtool: Debian's Prometheus brings one, PROMTOOL_BIN names another")
    found: Path = request.param
    return found


def duration_s(text: str) -> float:
    match = re.fullmatch(r"(\d+)([sm])", text)
    assert match, text
    return int(match[1]) * SECONDS[match[2]]


def tried(promtool: Path, folder: Path, tests: Iterable[Mapping[str, Any]]) -> None:
    """Runs these unit tests against the rule files as they are."""
    file = folder / "test.yml"
    rules = [str(RULES / name) for name in ("recording.yml", "alerts.yml")]
    content = {"rule_files": rules, "evaluation_interval": f"{STEP_S}s", "tests": list(tests)}
    file.write_text(json.dumps(content), encoding="utf-8")
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_files_are_valid(promtool: Path) -> None:
    files = sorted(RULES.glob("*.yml"))
    done = subprocess.run([promtool, "check", "rules", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(files)


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == set(ALERTS)


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_in_time_and_clears(alert: str, promtool: Path, tmp_path: Path) -> None:
    case, rule = CASES[alert], ALERTS[alert]
    labels = {"alertname": alert, "severity": rule["labels"]["severity"], **case.labels}
    wait_s = duration_s(rule["for"])
    asked = [
        firing(alert, WELL_S - STEP_S, None),
        firing(alert, WELL_S + wait_s - STEP_S, None),  # not before its time
        firing(alert, WELL_S + LONGEST_S + wait_s, labels),
        firing(alert, WELL_S + ILL_S - STEP_S, labels),
        firing(alert, WELL_S + ILL_S + LONGEST_S, None),
    ]
    tried(promtool, tmp_path, [unit_test(case.ill, asked)])


@pytest.mark.parametrize("alert", CASES)
def test_what_is_only_near_it_never_fires(alert: str, promtool: Path, tmp_path: Path) -> None:
    moments = range(0, WELL_S + ILL_S + LONGEST_S, 30)
    tried(promtool, tmp_path, [unit_test(CASES[alert].near, [firing(alert, at, None) for at in moments])])


@pytest.mark.parametrize(("alert", "cores"), [("CpuCritical", 0.95), ("CpuWarning", 0.85)])
def test_a_process_that_begins_to_work_hard_after_a_restart_is_seen(
    alert: str, cores: float, promtool: Path, tmp_path: Path
) -> None:
    """As the provocation does it: the counter begins again at nothing."""
    rule = ALERTS[alert]
    name = ", ".join(f'{key}="{value}"' for key, value in FILES.items())
    well, steps = WELL_S // STEP_S - 1, ILL_S // STEP_S
    restarted = {
        "series": f"process_cpu_seconds_total{{{name}}}",
        "values": f"100+{0.1 * STEP_S}x{well} 0+{cores * STEP_S}x{steps}",
    }
    labels = {"alertname": alert, "severity": rule["labels"]["severity"], **CASES[alert].labels}
    due_s = WELL_S + LONGEST_S + duration_s(rule["for"])
    asked = [firing(alert, WELL_S, None), firing(alert, due_s, labels)]
    tried(promtool, tmp_path, [{**unit_test([], asked), "input_series": [restarted]}])


def test_a_breaker_that_opens_again_and_again_is_seen_between_two_scrapes(
    promtool: Path, tmp_path: Path
) -> None:
    """It stands half-open at every scrape."""
    rule = ALERTS["BreakerOpen"]
    labels = {
        "alertname": "BreakerOpen",
        "severity": rule["labels"]["severity"],
        **CASES["BreakerOpen"].labels,
    }
    due_s = WELL_S + LONGEST_S + duration_s(rule["for"])
    tried(promtool, tmp_path, [unit_test(breaker(1, 0.05), [firing("BreakerOpen", due_s, labels)])])


def test_a_cache_that_goes_on_without_redis_is_seen_too(promtool: Path, tmp_path: Path) -> None:
    rule = ALERTS["RedisGone"]
    failed = Series("cache_lookups_total", {**FILES, "result": "failed"}, 0, 2, counter=True)
    labels = {"alertname": "RedisGone", "severity": rule["labels"]["severity"], "service": "files"}
    due_s = WELL_S + LONGEST_S + duration_s(rule["for"])
    tried(promtool, tmp_path, [unit_test([failed], [firing("RedisGone", due_s, labels)])])


def test_a_quiet_system_fires_nothing(promtool: Path, tmp_path: Path) -> None:
    """No requests at all: ratios and percentiles of nothing are nothing, not zero and not infinite."""
    still = [Series(one.name, one.labels, 0, 0) for case in CASES.values() for one in case.ill if one.counter]
    asked = [firing(alert, at, None) for alert in CASES for at in (600, 1200)]
    tried(promtool, tmp_path, [unit_test(still, asked)])


def value(expr: str, expected: float, labels: str = '{service="files"}', at_s: int = 600) -> dict[str, Any]:
    return {"expr": expr, "eval_time": f"{at_s}s", "exp_samples": [{"labels": labels, "value": expected}]}


def test_recorded_values(promtool: Path, tmp_path: Path) -> None:
    instance = f'{{instance="{FILES["instance"]}", job="vaultbench", service="files"%s}}'
    full, slow = "instance:queue_fill:ratio + 0", "service:http_request_duration_seconds:p95_1m"
    ratio = requests({"200": (100, 75), "500": (0, 25)})
    tried(
        promtool,
        tmp_path,
        [
            unit_test(ratio, [value("round(service:http_errors:ratio_rate1m, 0.0001) + 0", 0.25)]),
            unit_test(ratio, [value("service:http_errors:ratio_rate1m + 0", 0, at_s=240)]),
            # 10 % between 1 and 2.5 s: the 95th percentile is halfway up that bucket.
            unit_test(
                latency(0.1, "2.5"),
                [value(f"round({slow}, 0.001) + 0", 1.75)],
            ),
            unit_test(pool(5), [value("instance:db_pool_fill:ratio + 0", 0.25, instance % "")]),
            unit_test(queue(50), [value(full, 0.5, instance % ', queue="finalise"')]),
        ],
    )


def test_alerts_say_what_to_look_at() -> None:
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in {"critical", "warning"}, name
        assert "{{ $labels.service }}" in rule["annotations"]["summary"], name
        assert len(rule["annotations"]["description"]) > 40, name
