"""Every metric of ours is on a panel: what nobody can see, nobody needs to count."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

import pytest
from prometheus_client import Counter, Gauge, Histogram

from docs.families import declared
from grafana.expressions import Span
from loadtests.harness.metrics.exporter import FAMILIES
from services.kit.metrics import Values
from tests.expressions import all_expressions, of_panels

pytestmark = pytest.mark.unit

PACKAGES = {
    "gateway": "gateway",
    "auth": "services.auth",
    "upload": "services.upload",
    "files": "services.files",
}
SPAN = Span(rate_window_s=20, range_s=900)
SELECTOR = re.compile(r"(?<![\w:$])([a-z_][a-z0-9_]*)\b(?!\s*\()(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


class Selector(NamedTuple):
    """Series that a panel asks for: the name and (label, operator, value) of each condition."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]

    def takes(self, labels: Mapping[str, Values]) -> bool:
        """Whether it takes a series with these labels; words for values may be any value."""
        return all(
            any(accepts(operator, wanted, value) for value in values)
            for label, operator, wanted in self.matchers
            if not isinstance(values := labels.get(label, "anything"), str)
        )


def accepts(operator: str, wanted: str, value: str) -> bool:
    equal = re.fullmatch(wanted, value) is not None if "~" in operator else wanted == value
    return equal is not operator.startswith("!")


@cache
def selectors() -> tuple[Selector, ...]:
    texts = {SPAN.fill(one.expr) for one in of_panels()}
    return tuple(
        Selector(name, tuple(MATCHER.findall(inside)))
        for text in texts
        for name, inside in SELECTOR.findall(text)
    )


def series(metric: Counter | Gauge | Histogram) -> set[str]:
    (family,) = metric.describe()
    endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    return {f"{family.name}{ending}" for ending in endings[family.type]}


def own(service: str) -> Iterator[tuple[str, set[str], Mapping[str, Values]]]:
    """Each metric of a service with its series and their labels."""
    registry = importlib.import_module(f"{PACKAGES[service]}.metrics").Metrics().registry
    for metric, labels in declared(registry):
        (family,) = metric.describe()
        yield family.name, series(metric), {**labels, "service": (service,), "job": ("vaultbench",)}


@pytest.mark.parametrize("service", PACKAGES)
def test_every_metric_is_on_a_panel(service: str) -> None:
    unseen = [
        name
        for name, names, labels in own(service)
        if not any(one.name in names and one.takes(labels) for one in selectors())
    ]
    assert unseen == []


def test_whatever_the_harness_tells_is_shown() -> None:
    shown = " ".join(one.expr for one in all_expressions())
    assert [name for name in FAMILIES if name not in shown] == []


@pytest.mark.parametrize(
    ("matchers", "taken"),
    [
        ((), True),
        ((("service", "=", "files"), ("op", "=", "download")), True),
        ((("service", "=", "gateway"),), False),
        ((("service", "!=", "files"),), False),
        ((("op", "=~", "up.*"),), False),
        ((("op", "!~", "up.*"),), True),
        ((("path", "=~", "/api/.*"), ("run", "=", "one")), True),
    ],
)
def test_a_panel_of_another_service_or_label_does_not_count(
    matchers: tuple[tuple[str, str, str], ...], taken: bool
) -> None:
    labels: dict[str, Values] = {"service": ("files",), "op": ("download",), "path": "route templates"}
    assert Selector("batch_files_total", matchers).takes(labels) is taken
