"""The sample in README and docs/sample comes from the committed bundle, word for word."""

from __future__ import annotations

import pytest

from docs import sample_run

pytestmark = pytest.mark.docs


def test_sample_pages_are_what_the_bundle_says() -> None:
    assert sample_run.stale() == [], "run python -m docs.sample_run"


def test_the_bundle_names_no_folder_of_the_machine_it_ran_on() -> None:
    for path in sample_run.BUNDLE.glob("*.json*"):
        if path.suffix != ".gz":
            assert '"/' not in path.read_text(encoding="utf-8").replace('"/api', "").replace('"/auth', ""), (
                path
            )
