"""The container that measures is told everything that the harness listens to."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose.settings import ROOT
from loadtests.harness.words import NAMES
from tests.unit.compose.words import takers

pytestmark = pytest.mark.unit

# What they take is for the harness, in its container too.
MEASURING = {
    *("stress", "ask", "ab", "govault", "alerts", "report"),
    *("share", "panels", "ledger", "compare", "sweep"),
}


def service() -> dict[str, Any]:
    text = (Path(ROOT) / "compose" / "compose.bench.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["services"]["bench"])


def test_every_word_behind_a_make_target_reaches_the_harness() -> None:
    handed_on = {name for name, value in service()["environment"].items() if value is None}
    taken = {name for name, who in takers().items() if who & MEASURING}
    assert set(NAMES) <= taken
    assert taken <= handed_on


def test_the_image_holds_every_package_that_the_harness_may_import() -> None:
    """An image is built without the rest of the tree: an import that is missing there fails nowhere else."""
    copied = set(re.findall(r"^COPY (\w+) /app/", (ROOT / "compose" / "Dockerfile.bench").read_text(), re.M))
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    wanted, found = set[str](), {"loadtests"}
    while found - wanted:
        wanted |= found
        found = {name for one in wanted for name in packages_of(ROOT / one) if (ROOT / name).is_dir()}
    assert wanted == copied
    assert copied - {"LICENSE", "NOTICE"} <= sent


def packages_of(folder: Path) -> set[str]:
    """First words of everything that is imported below a folder."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in whole | parts} - {""}


def test_it_publishes_nothing_and_writes_only_results_and_its_own_temporary_files() -> None:
    found = service()
    assert "ports" not in found
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert {volume.rpartition(":")[2] for volume in found["volumes"]} == {
        "/var/run/docker.sock", "${RUN_DIR}", "${RESULTS_DIR}",
    }  # fmt: skip


def test_it_is_stopped_as_ctrl_c_stops_it_and_has_time_for_its_audit() -> None:
    found = service()
    assert found["stop_signal"] == "SIGINT"
    assert found["stop_grace_period"] == "3m"
