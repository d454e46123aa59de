"""The tables of facts in docs/ say what the code says."""

from __future__ import annotations

import importlib
import re

import pytest

from compose.settings_of import PACKAGES
from docs import generate
from docs.texts import ERRORS
from services.kit.errors import STATUS

pytestmark = pytest.mark.docs


def test_pages_are_what_the_generator_writes() -> None:
    assert generate.stale() == [], "run python -m docs.generate"


def test_every_error_code_is_explained_and_nothing_else() -> None:
    assert set(ERRORS) == set(STATUS)
    assert all(text.strip() for text in ERRORS.values())


@pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)
def test_every_setting_and_metric_is_on_its_page(package: str) -> None:
    name = next(key for key, value in PACKAGES.items() if value == package)
    settings = section("settings.md", name)
    for field in importlib.import_module(f"{package}.settings").Settings.model_fields.values():
        assert f"`{field.alias}`" in settings
        assert len(field.description) > 3
    metrics = section("metrics.md", name)
    for family in importlib.import_module(f"{package}.metrics").Metrics().registry.collect():
        if not family.name.startswith(("process_", "python_")):
            suffix = "_total" if family.type == "counter" else ""
            assert f"`{family.name}{suffix}`" in metrics
            assert family.documentation


def section(page: str, name: str) -> str:
    """The part of a page under the heading of one process."""
    text = (generate.FOLDER / page).read_text(encoding="utf-8")
    match = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"{page} has no section {name}"
    return match[1]
