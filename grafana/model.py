"""What a dashboard is, apart from how it is shown.

A panel is a question with its queries, its unit and the words that say what a bad shape looks like.
``to_json`` writes it for Grafana; ``loadtests.harness.panels`` draws the same list without a server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DATASOURCE_UID = "vaultbench-prometheus"
COLUMNS = 24  # of Grafana's grid
# Of a variable of which everything is chosen: every value, and not the absence of one.
ANYTHING = ".+"


class Kind(StrEnum):
    """How a panel shows its series."""

    LINES = "timeseries"
    STAT = "stat"
    CURVE = "xychart"  # y over x, one dot for each moment


class Unit(StrEnum):
    """Grafana's own names of units."""

    SECONDS = "s"
    BYTES = "bytes"
    BYTES_PER_S = "binBps"
    SHARE = "percentunit"
    COUNT = "short"
    PER_S = "ops"
    REQUESTS_PER_S = "reqps"
    RATIO = "none"


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression. ``legend`` may name labels as ``{{label}}``.

    ``empty`` says why an empty answer is right in a healthy system; without it an empty answer is a fault.
    ``x`` is the other axis of a curve: its series are matched by equal legends.
    """

    expr: str
    legend: str
    colour: str | None = None
    empty: str = ""
    x: str = ""
    instant: bool = False


@dataclass(frozen=True, slots=True)
class Threshold:
    """From this value on a panel turns ``colour``."""

    value: float
    colour: str


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    description: str  # what it shows, and what a bad shape looks like
    unit: Unit
    queries: tuple[Query, ...]
    kind: Kind = Kind.LINES
    width: int = 8
    height: int = 7
    thresholds: tuple[Threshold, ...] = ()
    colours: Mapping[str, str] = field(default_factory=dict)  # by legend
    stacked: bool = False
    maximum: float | None = None
    x_title: str = ""
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice above a dashboard; ``query`` is a ``label_values`` of the data source, or a list of
    ``text : value`` when ``fixed``."""

    name: str
    label: str
    query: str
    fixed: bool = False
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Annotation:
    """Spans drawn into every panel: while ``expr`` is above zero."""

    name: str
    expr: str
    colour: str
    title: str
    text: str
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    answers: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...]
    annotations: tuple[Annotation, ...]

    def panels(self) -> Iterator[Panel]:
        for row in self.rows:
            yield from row.panels
