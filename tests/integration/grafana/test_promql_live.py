"""Every expression of every panel, variable, annotation and rule, asked after a load of all strategies.

One load, two servers: the testbed's own Prometheus, and one of the other major version that scraped the
same targets meanwhile. An error fails; so does an empty answer for which nobody gave a reason.

The load is a whole ``make stress PROFILE=smoke``, so what such a run says and leaves is looked at here, too.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from compose.scraping import RULES
from grafana.dashboards import DASHBOARDS
from grafana.expressions import Span
from grafana.parts import NO_EXPORTER, NO_PUSH, NO_STORE_METRICS, NOBODY_LOGGED_IN, NOT_MEASURING
from loadtests.harness.analyse import analyse
from loadtests.harness.commands.panels import deep_link
from loadtests.harness.panels.page import HTML, render_panels
from loadtests.harness.panels.recording import FILE, read_recording
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.report.page import read_result
from loadtests.harness.testbeds.system import ROOT
from tests.expressions import Expression, all_expressions
from tests.integration.grafana import servers
from tests.stack import System, running_watched

# The first test waits for the load, which takes minutes on a busy machine.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SCRAPE_S, GRAFANAS_SCRAPES = 5.0, 4
NO_ALERT = "no alert fires"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A testbed after its load, and the servers that watched it, by major version."""

    urls: dict[str, str]
    bundle: Path
    output: str
    grafana: str
    exporters: bool
    env: dict[str, str]

    def span(self) -> tuple[float, float]:
        found = Bundle(self.bundle).manifest()
        assert found.ended_at is not None
        return found.started_at, found.ended_at


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("watched")
    with running_watched() as system, contextlib.ExitStack() as stack:
        own = system.stack.env["PROMETHEUS_URL"]
        urls = {servers.version(own).split(".")[0]: own}
        program = servers.third()
        if "3" not in urls and program is not None:
            urls["3"] = stack.enter_context(servers.beside(system.stack, program, folder))
        grafana = stack.enter_context(servers.healthy())
        output = stress(system, folder / "results", grafana)
        (bundle,) = (folder / "results").iterdir()
        exporters = "exporter-host" in system.stack.rows()
        yield Loaded(urls, bundle, output, grafana, exporters, dict(system.stack.env))


def stress(system: System, results: Path, grafana: str) -> str:
    """The smallest run of what it compares; each upload logs in, so that logins are counted too."""
    environ = {
        **os.environ,
        **system.stack.env,
        "VAULTBENCH_RUN_DIR": str(system.stack.run_dir),
        "VAULTBENCH_RESULTS": str(results),
        "GRAFANA_URL": grafana,
        "PROFILE": "smoke",
        "LOGIN": "each",
    }
    done = subprocess.run(
        [sys.executable, "-m", "loadtests", "stress"], cwd=ROOT, env=environ, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def rules() -> Iterator[Expression]:
    """The expressions of the rules; an alert has an answer only while it fires."""
    for path in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                yield Expression(f"rule {name}", rule["expr"], NO_ALERT if "alert" in rule else "", "rule")


@pytest.mark.parametrize("major", ["2", "3"])
def test_every_expression_is_answered(
    loaded: Loaded, major: str, record_property: Callable[[str, object], None]
) -> None:
    if major not in loaded.urls:
        pytest.skip(f"no Prometheus {major}: PROMETHEUS3_BIN is not set and the tool cache holds none")
    url, (start, end) = loaded.urls[major], loaded.span()
    span = Span(GRAFANAS_SCRAPES * SCRAPE_S, end - start)
    must_answer = {NO_PUSH, NOT_MEASURING, NOBODY_LOGGED_IN}
    must_answer |= {NO_EXPORTER} if loaded.exporters else set()
    must_answer |= (
        {NO_STORE_METRICS} if servers.ask(url, "query", query='up{job="minio"}')["result"] else set()
    )
    wrong, empty, asked = [], [], [*all_expressions(), *rules()]
    for one in asked:
        try:
            found = servers.ask(url, "query_range", query=span.fill(one.expr), start=f"{start:.3f}",
                                end=f"{end:.3f}", step="1")["result"]  # fmt: skip
        except servers.Refused as error:
            wrong.append(f"{one.where}: {error}: {one.expr}")
            continue
        if not any(map(servers.has_numbers, found)):
            empty.append(one)
            if not one.empty or one.empty in must_answer:
                wrong.append(f"{one.where}: no answer: {one.expr}")
    record_property("version", servers.version(url))
    record_property("expressions", len(asked))
    record_property("declared_empty", len(empty))
    print(f"{servers.version(url)}: {len(asked)} expressions, {len(empty)} empty, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)


def test_what_k6_pushed_says_whose_it_is(loaded: Loaded) -> None:
    """Turns last seconds: each arm that uploads has its own curve, on every server."""
    (start, end), bundle = loaded.span(), Bundle(loaded.bundle)
    for url in loaded.urls.values():
        found = servers.ask(url, "series", start=f"{start:.3f}", end=f"{end:.3f}",
                            **{"match[]": 'k6_uploads_total{result="acknowledged"}'})  # fmt: skip
        assert {one.get("arm") for one in found} == {one.arm for one in bundle.uploads() if one.acked_at}
        assert {one.get("testid") for one in found} == {bundle.manifest().run}


def test_rules_are_loaded_and_well(loaded: Loaded) -> None:
    for url in loaded.urls.values():
        groups = servers.ask(url, "rules")["groups"]
        assert groups
        assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"] == []


def test_the_run_left_its_panels(loaded: Loaded) -> None:
    """Drawn once more from the bundle alone, somewhere else, they are the same to the byte."""
    page = loaded.bundle / HTML
    assert str(page) in loaded.output.replace("\n", "")
    recording = read_recording(loaded.bundle)
    assert not recording.refused
    assert len(recording.answers) > 100
    text = page.read_text(encoding="utf-8")
    assert "no data, though some was expected" not in text
    copy = loaded.bundle.with_name("copy")
    shutil.copytree(loaded.bundle, copy)
    (copy / HTML).unlink()
    assert render_panels(copy).read_bytes() == page.read_bytes()
    shutil.rmtree(copy)


def test_panels_and_report_give_one_value(loaded: Loaded) -> None:
    """Of every arm: both are the same function of the same periods, so that nothing but rounding may differ,
    however few scrapes a turn saw."""
    answers = read_recording(loaded.bundle).answers
    panels = {panel.title: panel for panel in DASHBOARDS[0].panels()}
    result = read_result(loaded.bundle)
    assert result.compare is not None
    shown = {
        title: {series.labels["arm"]: series.values[-1] for series in answers[panels[title].queries[0].expr]}
        for title in ("Uploads per second", "CPU of one upload", "Median time to durable",
                      "Gateway bytes per file byte")
    }  # fmt: skip
    reported: dict[str, dict[str, float | None]] = {title: {} for title in shown}
    for one in result.compare.arms:
        durable_ms = one.durable_p50.ms.value
        reported["Uploads per second"][one.arm.name] = one.uploads_per_s.value
        reported["CPU of one upload"][one.arm.name] = one.cpu_s_per_upload.value
        reported["Median time to durable"][one.arm.name] = durable_ms and durable_ms / 1000
    for price in result.prices:
        reported["Gateway bytes per file byte"][price.arm] = price.gateway_bytes_in
    for title, by_arm in reported.items():
        known = {arm: value for arm, value in by_arm.items() if value is not None}
        assert shown[title] == pytest.approx(known, rel=1e-4), title
    assert len(shown["CPU of one upload"]) == len(result.compare.arms)


def test_the_link_to_grafana_has_run_and_span(loaded: Loaded) -> None:
    start, end = loaded.span()
    run = Bundle(loaded.bundle).manifest().run
    link = deep_link(loaded.grafana, run, start - SCRAPE_S, end + SCRAPE_S)
    assert link in loaded.output.replace("\n", "")
    assert f"var-run={run}" in link
    assert (loaded.bundle / FILE).stat().st_size < 1_000_000


# -- the run itself


def secrets_in(env: dict[str, str]) -> list[str]:
    secret = ("_PASSWORD", "_SECRET", "SECRET_KEY")
    return [
        value for name, value in env.items()
        if value and (name.endswith(secret) or name.startswith("INTERNAL_KEY"))
    ]  # fmt: skip


def text_of(bundle: Bundle) -> str:
    """Everything in it that is plain text."""
    files = [file for file in bundle.path.rglob("*") if file.is_file() and file.suffix != ".gz"]
    return "".join(file.read_text(errors="replace") for file in files)


def test_every_part_was_asked_and_every_upload_is_verified(loaded: Loaded) -> None:
    assert "Traceback" not in loaded.output
    bundle = Bundle(loaded.bundle)
    parts = {part.name for part in bundle.plan().parts if part.kind is not PartKind.WARM_UP}
    assert {stretch.part for stretch in bundle.stretches()} >= parts
    assert {upload.ledger for upload in bundle.uploads()} == {LedgerClass.VERIFIED}
    assert not [table.offending for table in bundle.ledgers() if table.failed]
    compared = analyse(bundle).compare
    assert compared is not None
    assert compared.blocks == 1


def test_no_secret_is_said_or_kept(loaded: Loaded) -> None:
    secrets, content = secrets_in(loaded.env), loaded.output + text_of(Bundle(loaded.bundle))
    assert secrets
    assert not [value for value in secrets if value in content]
    assert not re.search(r"eyJ[\w-]+\.eyJ", content), "a token"
