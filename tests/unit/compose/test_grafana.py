"""A Grafana that somebody has: found, linked to, never changed; without one nothing is different."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose import grafana, settings, stack
from compose.envfile import EnvError
from tests.unit.compose.test_topology import env

pytestmark = pytest.mark.unit


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of the shape that an unpacked Grafana has; its program says its version and no more."""
    found = tmp_path / "grafana-13.2.3"
    for name in ("bin", "conf", "public/build"):
        (found / name).mkdir(parents=True)
    (found / "conf" / "defaults.ini").write_text("[server]\n")
    (found / "public" / "index.html").write_text("<html>")
    program = found / "bin" / "grafana"
    program.write_text("#!/bin/sh\necho grafana version 13.2.3\n")
    program.chmod(0o755)
    return found


def names(**more: str) -> list[str]:
    return [part.name for part in stack.resolve(env(**more))]


def test_it_runs_only_when_somebody_names_one(home: Path) -> None:
    assert "grafana" not in names()
    assert "grafana" in names(GRAFANA_HOME=str(home))
    assert "grafana" not in names(GRAFANA_HOME=str(home), PROMETHEUS_BIN="")


def test_a_folder_that_is_no_grafana_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(EnvError) as caught:
        settings.read({"GRAFANA_HOME": str(tmp_path)})
    for lacking in ("bin/grafana", "conf/defaults.ini", "public"):
        assert f"GRAFANA_HOME={str(tmp_path)!r}" in str(caught.value)
        assert lacking in str(caught.value)


def test_its_home_links_to_it_and_to_the_runs(home: Path, tmp_path: Path) -> None:
    run_dir, results = tmp_path / "run", tmp_path / "results"
    before, found = sorted(home.rglob("*")), dict[str, str]()
    for _ in range(2):  # doing it again changes nothing
        found = grafana.prepare(run_dir, {"GRAFANA_HOME": str(home), "VAULTBENCH_RESULTS": str(results)})
    assert found == {"GRAFANA_BIN": str(home / "bin" / "grafana"), "GRAFANA_VERSION": "13.2.3"}
    made = run_dir / "grafana" / "home"
    assert (made / "conf" / "defaults.ini").read_text() == "[server]\n"
    assert (made / "public" / "index.html").read_text() == "<html>"
    assert (made / "public" / "results").readlink() == results
    assert sorted(home.rglob("*")) == before


def test_what_it_is_started_with(home: Path) -> None:
    parts = {part.name: part for part in stack.resolve(env(GRAFANA_HOME=str(home)))}
    part = parts["grafana"]
    assert part.after == {"prometheus": "healthy"}
    assert part.env["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert part.env["PROMETHEUS_URL"].startswith("http://127.0.0.1:")
    assert Path(part.env["GF_PATHS_PROVISIONING"]).name == "provisioning"
    assert part.env["GF_ANALYTICS_REPORTING_ENABLED"] == "false"
