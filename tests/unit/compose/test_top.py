"""`make top`: what is on the screen, that it fits, and what happens when something is missing."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from compose import view
from compose.prom import Prometheus, PrometheusGone
from compose.top import command
from compose.top.command import Clock, Watch
from compose.top.frame import Frame
from compose.top.processes import Part, by_service
from compose.top.rates import EXPRESSIONS, Rates, look
from tests.unit.compose.prometheus_stub import Answers, alert, serving

pytestmark = pytest.mark.unit

PARTS = [
    Part("gateway", "healthy", 0, 0.75, 60 << 20),
    Part("upload", "healthy", 2, 0.5, 61 << 20),
    *(Part(f"part-{number}", "healthy", 0, number / 100, 10 << 20) for number in range(14)),
    Part("files", "given-up", 5, 0.0, 0),
]


class Fixed:
    """Processes that do what a test says."""

    def __init__(self, *parts: Part) -> None:
        self.parts = list(parts)

    def look(self, now_s: float) -> list[Part]:
        return self.parts


class Time:
    """A clock that moves when somebody sleeps; a watching second costs 10 ms of CPU."""

    def __init__(self, interrupt_after: int = 1_000) -> None:
        self.now_s, self.left = 100.0, interrupt_after

    def sleep(self, seconds: float) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        self.now_s += seconds

    def clock(self) -> Clock:
        return Clock(lambda: self.now_s, lambda: self.now_s / 100, self.sleep, lambda: "12:00:00")


def screen() -> Console:
    return Console(file=StringIO(), width=80, height=24, color_system=None)


def text(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.fixture
def answers() -> Iterator[Answers]:
    with serving() as made:
        yield made


@pytest.fixture
def prometheus(answers: Answers) -> Iterator[Prometheus]:
    with Prometheus(answers.url) as client:
        yield client


def loaded(answers: Answers) -> None:
    answers.series = {
        EXPRESSIONS["uploads"]: [({"method": "proxy"}, 41.26), ({"method": "multipart"}, 58.0)],
        EXPRESSIONS["failed"]: [({"method": "multipart"}, 0.4)],
        EXPRESSIONS["open"]: [({"method": "proxy"}, 12)],
        EXPRESSIONS["p50"]: [({"method": "proxy"}, 0.123), ({"method": "single"}, float("nan"))],
        EXPRESSIONS["p95"]: [({"method": "proxy"}, 0.456)],
        EXPRESSIONS["requests"]: [({"service": "gateway"}, 300.0)],
        EXPRESSIONS["errors"]: [({"service": "gateway"}, 1.5)],
        EXPRESSIONS["turn"]: [
            ({"run": "20260504-120000-stress-ci", "part": "compare", "arm": "proxy-chunked"}, 1)
        ],
    }
    answers.alerts = [
        alert("CpuWarning", "pending", "warning", "gateway uses 85 % of a core"),
        alert("ErrorsCritical", summary="files: 3 % of requests fail with 5xx"),
    ]


def test_one_frame_says_it_all_on_eighty_columns_and_twenty_four_lines(
    answers: Answers, prometheus: Prometheus
) -> None:
    loaded(answers)
    console = screen()
    command.once(Watch(Fixed(*PARTS), prometheus, Time().clock()), console)
    lines = text(console).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert rows["proxy-chunked"] == ["proxy-chunked", "41.3", "0.123", "0.456", "0.0", "12"]
    assert rows["direct-multipart"] == ["direct-multipart", "58.0", "-", "-", "0.4", "0"]
    assert rows["direct-single"] == ["direct-single", "0.0", "-", "-", "0.0", "0"]
    assert rows["gateway"] == ["gateway", "healthy", "0.75", "60", "300.0", "1.5"]
    assert rows["upload"] == ["upload", "healthy", "(2x)", "0.50", "61"]
    assert rows["7"] == ["7", "more", "0.21", "70"]
    assert rows["files"] == ["files", "given-up", "(5x)", "0.00", "0"]
    assert lines[0] == "vaultbench  12:00:00  compare: proxy-chunked, run 20260504-120000-stress-ci"
    assert [line for line in lines if line.startswith(("firing", "pending"))] == [
        "firing ErrorsCritical: files: 3 % of requests fail with 5xx",
        "pending CpuWarning: gateway uses 85 % of a core",
    ]
    assert "this view itself 0.010" in lines[-1]


@pytest.mark.parametrize(("width", "height"), [(60, 18), (45, 24), (32, 16), (200, 50)])
def test_a_smaller_screen_says_less_and_all_of_it_whole(
    answers: Answers, prometheus: Prometheus, width: int, height: int
) -> None:
    loaded(answers)
    console = Console(file=StringIO(), width=width, height=height, color_system=None)
    watch = Watch(Fixed(*PARTS), prometheus, Time().clock())
    watch.frame()
    console.print(watch.frame().draw(width, height))
    lines = text(console).splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert rows["proxy-chunked"][1] == "41.3"
    assert "0.75" in rows["gateway"]
    assert ("0.456" in rows["proxy-chunked"]) == (width >= 40)
    assert any(line.startswith("firing ErrorsCritical") for line in lines)
    assert not any("…" in cell for name in ("proxy-chunked", "gateway") for cell in rows[name])


def test_more_alerts_than_fit_are_counted(answers: Answers, prometheus: Prometheus) -> None:
    answers.alerts = [alert(f"Alert{number}") for number in range(6)]
    console = screen()
    command.once(Watch(Fixed(*PARTS), prometheus, Time().clock()), console)
    lines = text(console).splitlines()
    assert len(lines) <= 24
    assert [line for line in lines if "lert" in line] == [
        "firing Alert0",
        "firing Alert1",
        "... and 4 more alerts: make status",
    ]


def test_without_prometheus_the_processes_stay_and_what_is_missing_is_said() -> None:
    with serving() as gone:
        url = gone.url
    console = screen()
    command.once(Watch(Fixed(*PARTS), Prometheus(url), Time().clock()), console)
    shown = " ".join(text(console).split())
    assert "no uploads, latencies, errors, alerts and turns: no answer from Prometheus" in shown
    assert "gateway healthy 0.75 60" in shown
    assert "no alerts" not in text(console)


def test_a_refusal_of_prometheus_is_told(answers: Answers, prometheus: Prometheus) -> None:
    answers.error = "parse error"
    with pytest.raises(PrometheusGone, match="refuses: parse error"):
        prometheus.query("1 +")


def test_an_answer_after_a_restart_of_prometheus_is_taken(answers: Answers, prometheus: Prometheus) -> None:
    client = prometheus
    assert client.alerts() == []
    with serving() as second:
        client._connection.port = int(second.url.rpartition(":")[2])
        client._connection.close()
        assert client.alerts() == []
        assert len(second.connections) == 1


def test_prometheus_is_asked_every_other_second_over_one_connection(
    answers: Answers, prometheus: Prometheus
) -> None:
    watch = Watch(Fixed(*PARTS), prometheus, Time().clock())
    for _ in range(10):
        watch.frame()
        watch.clock.sleep(1.0)
    assert len(answers.asked) == 5 * len(EXPRESSIONS)
    assert len(answers.connections) == 1


def test_ctrl_c_ends_the_live_view_in_order(answers: Answers, prometheus: Prometheus) -> None:
    console = screen()
    command.live(Watch(Fixed(*PARTS), prometheus, Time(interrupt_after=3).clock()), console)
    assert text(console).count("vaultbench  12:00:00") == 4


def test_ctrl_c_gives_the_terminal_back(
    answers: Answers, prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")  # a terminal that can do it, wherever the tests run
    console = Console(file=StringIO(), width=80, height=24, force_terminal=True, color_system=None)
    command.live(Watch(Fixed(*PARTS), prometheus, Time(interrupt_after=3).clock()), console)
    assert text(console).count("vaultbench  12:00:00") == 4
    assert text(console).index("\x1b[?1049h") < text(console).rindex("\x1b[?1049l")


def test_a_testbed_that_stops_meanwhile_is_said() -> None:
    console = screen()
    console.print(Frame("12:00:00", [], Rates(missing="gone"), None, 2).draw())
    assert "nothing runs; make up starts it" in text(console)


def test_every_expression_names_metrics_that_exist() -> None:
    names = {"testbed_turn_active"}
    for package in ("gateway", "services.auth", "services.upload", "services.files"):
        registry = importlib.import_module(f"{package}.metrics").Metrics().registry
        for family in registry.collect():
            names |= {sample.name for sample in family.samples} | {family.name, f"{family.name}_total"}
            names |= {f"{family.name}_bucket"}
    for expression in EXPRESSIONS.values():
        used = set(re.findall(r"\b[a-z]+(?:_[a-z]+){2,}\b", expression)) - {"histogram_quantile"}
        assert used <= names, expression


def test_not_a_number_is_no_value(answers: Answers, prometheus: Prometheus) -> None:
    loaded(answers)
    assert [one.p50_s for one in look(prometheus).strategies] == [0.123, None, None]


class TestAlertsInStatus:
    def test_red_when_firing_yellow_when_pending(self, answers: Answers) -> None:
        loaded(answers)
        console = Console(file=StringIO(), width=120, force_terminal=True, color_system="standard")
        view.print_alerts(console, answers.url)
        red, yellow = text(console).splitlines()
        assert red.startswith("\x1b[1;31m")
        assert "firing ErrorsCritical: files: 3 %" in red
        assert yellow.startswith("\x1b[33m")
        assert "pending CpuWarning" in yellow

    def test_none_unknown_and_off_are_told_apart(self, answers: Answers) -> None:
        console = screen()
        view.print_alerts(console, answers.url)
        view.print_alerts(console, "")
        answers.error = "out of order"
        view.print_alerts(console, answers.url)
        assert text(console).splitlines() == [
            "alerts    none",
            "alerts    unknown: Prometheus is off",
            "alerts    unknown: Prometheus refuses: out of order",
        ]


def test_a_frame_of_a_running_testbed_has_no_own_cost_at_first() -> None:
    frame = Watch(Fixed(*PARTS), Prometheus("http://127.0.0.1:9"), Time().clock()).frame()
    assert frame.own_cores is None
    console = screen()
    console.print(replace(frame, rates=Rates()).draw())
    assert "this view" not in text(console)


def test_containers_show_the_same_alerts_without_python(answers: Answers) -> None:
    loaded(answers)
    script = 'PROMETHEUS_PORT=1; say() { echo "$*"; }; in_compose() { printf "%s" "$GIVEN"; }; . "$1"; alerts'
    command = ["sh", "-eu", "-c", script, "sh", str(Path(view.__file__).parent / "docker" / "eyes.sh")]

    def said(given: dict[str, object]) -> list[str]:
        env = {"PATH": os.environ["PATH"], "GIVEN": json.dumps(given, separators=(",", ":"))}
        return subprocess.run(
            command, env=env, capture_output=True, text=True, check=True
        ).stdout.splitlines()

    assert said(answers.answer("/api/v1/alerts")) == [
        "alerts    pending CpuWarning: gateway uses 85 % of a core",
        "alerts    firing ErrorsCritical: files: 3 % of requests fail with 5xx",
    ]
    answers.alerts = []
    assert said(answers.answer("/api/v1/alerts")) == ["alerts    none"]


def test_processes_of_a_service_are_one_line_with_the_worst_state() -> None:
    found = by_service(
        [
            Part("pg-upload", "healthy", 0, 0.1, 1),
            Part("upload", "healthy", 1, 0.5, 10),
            Part("upload-2", "restarting", 2, 0.25, 20),
            Part("upload-3", "unhealthy", 0, 0.25, 30),
            Part("files", "healthy", 0, 0.1, 5),
            Part("files-2", "given-up", 5, None, 0),
        ]
    )
    assert found == [
        Part("pg-upload", "healthy", 0, 0.1, 1),
        Part("upload", "restarting", 3, 1.0, 60, 3),
        Part("files", "given-up", 5, None, 5, 2),
    ]
    frame = Frame("12:00:00", found, Rates(requests={"upload": 7.0}), None, 2)
    console = Console(file=StringIO(), width=80)
    console.print(frame.draw())
    (line,) = [line for line in console.file.getvalue().splitlines() if line.startswith("upload x")]  # type: ignore[attr-defined]
    assert line.split()[:3] == ["upload", "x3", "restarting"]
    assert line.split()[-4:] == ["1.00", "0", "7.0", "0.0"]
