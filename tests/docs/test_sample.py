"""The sample in README and docs/sample comes from the committed run, word for word and number for number."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from docs import dashboards, sample_run
from docs.writing import MOST_BYTES, size_bytes
from grafana.dashboards import DASHBOARDS

pytestmark = pytest.mark.docs
TEXT = "{http://www.w3.org/2000/svg}text"


def said(svg: str) -> list[str]:
    """What a picture says: titles, legends, and the numbers at its axes."""
    return ["".join(one.itertext()) for one in ElementTree.fromstring(svg).iter(TEXT)]  # noqa: S314  # our own


def test_the_pages_say_what_the_run_says() -> None:
    stale = [path.name for path, text in sample_run.words().items() if path.read_text("utf-8") != text]
    assert stale == [], "run python -m docs.sample_run"


def test_the_pictures_say_what_the_run_says() -> None:
    drawn = sample_run.pictures()
    panels = len(DASHBOARDS) + len(dashboards.recorded(sample_run.BUNDLE))
    assert len(drawn) == len(sample_run.SHOWN) + panels
    stale = [path.name for path, svg in drawn.items() if said(path.read_text("utf-8")) != said(svg)]
    assert stale == [], "run python -m docs.sample_run"


def test_the_sample_is_small() -> None:
    assert size_bytes(sample_run.SAMPLE) <= MOST_BYTES


def test_the_bundle_names_no_folder_of_the_machine_it_ran_on() -> None:
    for path in sample_run.BUNDLE.glob("*.json"):
        text = path.read_text(encoding="utf-8").replace('"/api', "").replace('"/auth', "")
        assert '"/' not in text, path
