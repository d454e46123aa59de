"""What is set outside the processes is documented under its own name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compose.settings import CHOICES, PROGRAMS
from docs.texts import HARNESS, STARTUP
from loadtests.harness.words import NAMES
from tests.unit.compose.words import inherited, takers

pytestmark = pytest.mark.docs
ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r"""environ(?:\.get\(|\[)\s*"([A-Z][A-Z0-9_]+)\"""")


def test_every_choice_and_program_of_the_start_up() -> None:
    assert {*CHOICES, *PROGRAMS} <= set(STARTUP)


def test_every_word_behind_a_make_target_and_no_other() -> None:
    assert set(NAMES) <= set(HARNESS)
    ports = re.findall(
        r"^([A-Z0-9_]+)=", (ROOT / "compose" / "ports.env").read_text(encoding="utf-8"), re.MULTILINE
    )
    words = set(takers()) - set(ports)
    assert {*HARNESS, *STARTUP} - set(ports) == words, "the ports and addresses have a table of their own"


def test_everything_that_is_inherited() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    _, _, table = page.partition("## Inherited")
    assert inherited() <= set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_every_variable_that_the_start_up_reads_by_name() -> None:
    sources = (ROOT / "compose").rglob("*.py")
    read = {name for path in sources for name in READ.findall(path.read_text(encoding="utf-8"))}
    known_elsewhere = {"CORS_ORIGINS", "VAULTBENCH_KEPT", *inherited(), *HARNESS}
    assert {name for name in read if name not in STARTUP} <= known_elsewhere
    assert "VAULTBENCH_TOOLS" in read, "the search itself must find something"
