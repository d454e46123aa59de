"""The configuration of Prometheus: one template, any hosts, and nothing scraped that does not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from compose import scaling, scraping, stack
from compose.installer import debian
from compose.installer.programs import Installer
from tests.unit.compose.test_topology import env

pytestmark = pytest.mark.unit
PROGRAMS = {f"{name.upper()}_BIN": "" for name in scraping.EXPORTER_PROGRAMS}


def jobs(text: str) -> dict[str, list[str]]:
    found: dict[str, Any] = yaml.safe_load(text)
    return {
        job["job_name"]: [target for group in job["static_configs"] for target in group["targets"]]
        for job in found["scrape_configs"]
    }


def test_every_process_is_scraped_every_five_seconds_with_its_name() -> None:
    text = scraping.configuration(scraping.native_targets(env()))
    found = yaml.safe_load(text)
    assert found["global"]["scrape_interval"] == "5s"
    ours = next(job for job in found["scrape_configs"] if job["job_name"] == "vaultbench")
    assert {group["labels"]["service"]: group["targets"] for group in ours["static_configs"]} == {
        "gateway": ["127.0.0.1:9010"],
        "auth": ["127.0.0.1:9011"],
        "upload": ["127.0.0.1:9012"],
        "files": ["127.0.0.1:9013"],
    }
    assert len(jobs(text)["postgres"]) == 3
    assert jobs(text)["harness"] == ["127.0.0.1:9014"]


def test_other_hosts_and_several_of_one_kind() -> None:
    targets = {name: [f"{name.lower()}:1"] for name in scraping.TARGETS} | {"UPLOAD": ["a:1", "b:1"]}
    text = scraping.configuration(targets, "/etc/prometheus/rules")
    assert {"gateway:1", "a:1", "b:1"} <= set(jobs(text)["vaultbench"])
    assert yaml.safe_load(text)["rule_files"] == [
        "/etc/prometheus/rules/recording.yml",
        "/etc/prometheus/rules/alerts.yml",
    ]


def test_the_rule_files_exist() -> None:
    assert all((scraping.RULES / name).is_file() for name in ("recording.yml", "alerts.yml"))


def test_without_exporters_nothing_of_them_is_started_or_scraped() -> None:
    lacking = env(**PROGRAMS)
    text = scraping.configuration(scraping.native_targets(lacking, absent=scraping.absent_exporters(lacking)))
    assert jobs(text)["postgres"] == jobs(text)["host"] == jobs(text)["processes"] == []
    assert len(jobs(text)["vaultbench"]) == 4
    assert not [one.name for one in stack.resolve(lacking) if one.name.startswith("exporter-")]


def test_without_prometheus_nobody_exports_for_it() -> None:
    assert not set(scraping.EXPORTERS) & {one.name for one in stack.resolve(env(PROMETHEUS_BIN=""))}
    assert set(scraping.EXPORTERS) <= {one.name for one in stack.resolve(env())}


def test_a_machine_without_apt_is_told_what_is_missing_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "available", lambda: False)
    said: list[str] = []
    with Installer({"VAULTBENCH_TOOLS": str(tmp_path)}, echo=said.append) as installer:
        assert installer.locate((), optional=scraping.EXPORTER_PROGRAMS) == {}
    for name in scraping.EXPORTER_PROGRAMS:
        assert any(line.startswith(f"{name}: left out") and "no apt-get" in line for line in said)


def test_processes_are_grouped_by_the_names_of_parts() -> None:
    names = {group["name"] for group in yaml.safe_load(scraping.processes(env()))["process_names"]}
    lasting = [one.name for one in stack.resolve(env()) if not one.oneshot]
    parts = {name for name in lasting if not name.startswith("exporter-")}
    assert names == parts | {"nginx", "pgbouncer", "redis", "k6", "harness"}


def test_every_replica_is_scraped() -> None:
    text = scraping.configuration(scraping.native_targets(env(TOPOLOGY="scaled", REPLICAS="3")))
    assert {"127.0.0.1:9010", "127.0.0.1:9210", "127.0.0.1:9230", "127.0.0.1:9233"} <= set(
        jobs(text)["vaultbench"]
    )
    assert len(jobs(text)["vaultbench"]) == 3 * (len(scaling.REPLICATED) - 1) + 1
