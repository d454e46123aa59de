"""What people read is true: links lead somewhere, commands and variables exist, terms are explained."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml

from compose import envfile
from compose.settings import PORTS
from compose.settings_of import PACKAGES
from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.plan.planning import estimate, make_plan
from loadtests.harness.question import load_question
from loadtests.harness.words import STRESS, read_question
from tests.docs.markdown import ROOT, anchors, code, links, pages
from tests.unit.compose.words import inherited

pytestmark = pytest.mark.docs

PAGES = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
TERMS = ["VU", "RPS", "goodput", "percentile", "iteration", "knee", "pool wait", "real users", "port"]


def test_there_is_something_to_read() -> None:
    names = {str(page.relative_to(ROOT)) for page in pages()}
    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/glossary.md"} <= names


@PAGES
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue  # another site; not asked from a test
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        if not other.exists() or (anchor and other.suffix == ".md" and anchor not in anchors(other)):
            broken.append(target)
    assert broken == []


@PAGES
def test_make_targets_exist(page: Path) -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)\b", "\n".join(code(page))))
    assert named <= TARGETS, named - TARGETS


@PAGES
def test_commands_exist(page: Path) -> None:
    for program in ("compose", "loadtests"):
        known = set(importlib.import_module(f"{program}.cli").main.commands)
        named = set(re.findall(rf"python -m {program} ([a-z][a-z-]*)", "\n".join(code(page))))
        assert named <= known, named - known


@PAGES
def test_variables_exist(page: Path) -> None:
    """An upper-case word with an underscore in code, or one before ``=``, is a variable we read; what a
    recorded run lists as ``settings.process.NAME`` was one when it ran."""
    text = re.sub(r"\bsettings\.\w+\.[A-Z0-9_]+", "", "\n".join(code(page)))
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text))
    named |= set(re.findall(r"\b([A-Z][A-Z0-9_]+)=", text))
    assert named <= variables(), named - variables()


def variables() -> set[str]:
    """Every upper-case word in quotes or before ``=`` in what reads the environment."""
    found = inherited()
    for package in PACKAGES.values():
        fields = importlib.import_module(f"{package}.settings").Settings.model_fields.values()
        found |= {field.alias for field in fields}
    for folder in (
        "compose",
        "loadtests",
        "services",
        "tests/browser",
        "tests/chaos",
        "tests/unit/rules",
        "tests/integration/grafana",
    ):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".env", ".yaml", ".js", ".toml", ".sh"} and path.is_file():
                found |= set(re.findall(r"[A-Z][A-Z0-9_]+", path.read_text(encoding="utf-8")))
    return found | set(re.findall(r"[A-Z][A-Z0-9_]+", MAKEFILE))


@PAGES
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(
        r"(?<![\w/.<])((?:gateway|services|compose|loadtests|tests|docs|\.github)/[\w./-]*\w)",
        "\n".join(code(page)),
    )
    missing = [name for name in named if not any(ROOT.glob(name)) and not any(ROOT.glob(f"{name}.*"))]
    assert missing == []


def test_the_glossary_explains_what_newcomers_meet() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").lower()
    assert [term for term in TERMS if term.lower() not in text] == []


def test_help_of_make_lists_every_target() -> None:
    documented = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
    assert documented | {"help"} == TARGETS


def test_ci_runs_what_the_readme_says() -> None:
    ran = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in ran
    assert any("make test" in block for block in code(ROOT / "README.md"))
    workflows = list((ROOT / ".github" / "workflows").glob("*.y*ml"))
    assert any(".ci/run" in path.read_text(encoding="utf-8") for path in workflows)


def test_a_browser_opens_the_grafana_of_the_containers_before_they_are_cleaned_away() -> None:
    """On GitHub only: with both named nothing is skipped, and what was seen is kept."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    steps = jobs["containers"]["steps"]
    runs = [step.get("run", "") for step in steps]
    (opened,) = [at for at, run in enumerate(runs) if "tests/browser/test_grafana_opens.py" in run]
    measured, cleaned = (
        next(at for at, run in enumerate(runs) if command in run) for command in ("make stress", "make clean")
    )
    pythons = [at for at, step in enumerate(steps) if "setup-python" in step.get("uses", "")]
    assert measured < pythons[0] < opened < cleaned
    assert len(pythons) == 1
    environment = steps[opened]["env"]
    port = envfile.read(PORTS)["GRAFANA_PORT"]
    assert (environment["GRAFANA_URL"], environment["CHROMIUM_BIN"]) == (
        f"http://127.0.0.1:{port}", "google-chrome",
    )  # fmt: skip
    (kept,) = [step for step in steps if "upload-artifact" in step.get("uses", "")]
    assert (kept["if"], kept["with"]["path"]) == ("always()", environment["GRAFANA_SHOTS"])


@pytest.mark.parametrize("page", ["README.md", "Makefile"])
def test_how_long_stress_takes_is_what_its_plan_says(page: str) -> None:
    strategies = load_strategies()
    question = load_question("proxy-or-direct")
    words = read_question({}, STRESS, strategies, {}, texts=question.arms, load=question.load)
    planned = estimate(make_plan("run", question, words, strategies))
    assert f"about {round(planned.most_seconds / 60)} minutes" in (ROOT / page).read_text()
