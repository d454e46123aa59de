"""The types that count: the library renders them, and what is not declared makes no series."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as Reference
from prometheus_client.parser import text_string_to_metric_families

from services.kit.metrics_types import MAX_CHILDREN, Counters, Gauges, Histograms

pytestmark = pytest.mark.unit
BOUNDS = (0.005, 0.1, 1, 2.5)


@given(st.lists(st.floats(0, 5) | st.sampled_from(BOUNDS), max_size=50))
def test_a_histogram_renders_as_the_librarys_own(observed: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    one = Histograms("h_seconds", "h", {"op": ("a", "b")}, bounds=BOUNDS, registry=ours)("a")
    reference = Reference("h_seconds", "h", ["op"], buckets=BOUNDS, registry=theirs).labels("a")
    for value in observed:
        one.observe(value)
        reference.observe(value)
    expected = generate_latest(theirs).decode().split("# HELP h_seconds_created")[0]
    assert generate_latest(ours).decode() == expected


def test_counters_with_known_values_start_at_zero_and_gauges_do_not() -> None:
    registry = CollectorRegistry()
    done = Counters("done", "d", {"how": ("well", "badly")}, registry=registry)
    Counters("asked", "a", {"what": "names from a table"}, registry=registry)
    level = Gauges("level", "l", {"of": ("tank",)}, registry=registry)
    done("well").inc()
    done("well").inc(2.5)
    assert registry.get_sample_value("done_total", {"how": "well"}) == 3.5
    assert registry.get_sample_value("done_total", {"how": "badly"}) == 0
    assert "asked_total{" not in generate_latest(registry).decode()
    assert registry.get_sample_value("level", {"of": "tank"}) is None
    level("tank").set(4)
    level("tank").dec()
    assert registry.get_sample_value("level", {"of": "tank"}) == 3
    level("tank").set_function(lambda: 9)
    assert registry.get_sample_value("level", {"of": "tank"}) == 9


def test_nothing_but_the_family_itself_is_emitted() -> None:
    registry = CollectorRegistry()
    Counters("done", "d", registry=registry)().inc()
    Histograms("h_seconds", "h", bounds=BOUNDS, registry=registry)().observe(1)
    names = {
        s.name for f in text_string_to_metric_families(generate_latest(registry).decode()) for s in f.samples
    }
    assert names == {"done_total", "h_seconds_bucket", "h_seconds_count", "h_seconds_sum"}


def test_values_that_are_not_declared_are_other() -> None:
    registry = CollectorRegistry()
    done = Counters("done", "d", {"how": ("well",)}, registry=registry)
    for number in range(50):
        done(f"strange {number}").inc()
    assert registry.get_sample_value("done_total", {"how": "other"}) == 50
    assert generate_latest(registry).decode().count("done_total{") == 2


def test_a_table_of_values_has_an_end_too() -> None:
    registry = CollectorRegistry()
    asked = Counters("asked", "a", {"path": "a table somebody forgot to bound"}, registry=registry)
    for number in range(MAX_CHILDREN + 100):
        asked(f"/{number}").inc()
    assert generate_latest(registry).decode().count("asked_total{") == MAX_CHILDREN + 1
    assert registry.get_sample_value("asked_total", {"path": "other"}) == 100


def test_one_child_per_set_of_values_in_the_declared_number() -> None:
    registry = CollectorRegistry()
    done = Counters("done", "d", {"how": ("well",), "when": "names of days"}, registry=registry)
    assert done("well", "monday") is done("well", "monday")
    with pytest.raises(ValueError, match="has labels"):
        done("well")


def test_a_name_is_declared_once() -> None:
    registry = CollectorRegistry()
    Counters("done", "d", registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Gauges("done", "d", registry=registry)
