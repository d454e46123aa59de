"""Panels, variables and annotations that several dashboards share."""

from __future__ import annotations

from grafana import promql
from grafana.colours import ARM_COLOURS, PROCESS_COLOURS
from grafana.model import Annotation, Kind, Panel, Query, Threshold, Unit, Variable
from grafana.strategies import colours as strategy_colours
from grafana.strategies import strategies

YELLOW, RED, GREY = "#d9a21b", "#b3261e", "#7a8691"
NOT_MEASURING = "nothing was measured in this span"
NO_FAULT = "no run here provokes faults"
NO_EXPORTER = "no exporters: where they cannot be had the system runs, but this stays empty"
NO_STORE_METRICS = "a store without metrics for Prometheus"
NOBODY_LOGGED_IN = "nobody signed up or logged in"
BRIEF = "a turn between two scrapes is not seen, and not every arm is measured"
NO_PAIR = "only `make ab` has arms A and B"
NO_PUSH = "k6 pushed nothing: K6_PUSH=off, or no load ran"
# Arms of `make ab` are A and B, whatever they are.
PAIR_COLOURS = dict(zip("AB", ARM_COLOURS, strict=False))
SO_FAR = "Of all that an arm has done so far, exactly: k6 pushes no percentiles of a moment."
COLOURS = strategy_colours() | PROCESS_COLOURS | PAIR_COLOURS

SERVICE = Variable("service", "Service", "label_values(http_requests_total, service)")
MINE = '{service=~"$service"}'  # series of the chosen services
STRATEGY = Variable(
    "strategy", "Strategy", ", ".join(f"{one.arm} : {one.method}" for one in strategies()), fixed=True
)
METHOD = '{method=~"$strategy"}'  # series of the chosen strategies
RUN = Variable("run", "Run", "label_values(testbed_turn_active, run)", empty=NOT_MEASURING)
# Of the chosen run, from the first audit of its comparison on.
ARM = Variable(
    "arm", "Arm", 'label_values(testbed_arm_uploads_per_second{run=~"$run"}, arm)', empty=NOT_MEASURING
)


def spans() -> tuple[Annotation, ...]:
    """Questions of a run while they are asked, and faults. Single turns are shorter than the time between two
    scrapes and cannot be drawn; whose they were is in the series by arm. A fault that is as short is told at
    the next scrape."""
    questions = Annotation(
        name="Questions",
        expr='max by (part) (testbed_turn_active{run=~"$run"}) > 0',
        colour=GREY,
        title="{{part}}",
        text="arms take turns",
        empty=NOT_MEASURING,
    )
    fault = Annotation(
        name="Faults",
        expr="testbed_fault_active > 0",
        colour=RED,
        title="{{fault}}",
        text="{{target}}",
        empty=NO_FAULT,
    )
    return questions, fault


def percentile(
    title: str,
    description: str,
    metric: str,
    *by: str,
    q: float = 0.95,
    selector: str = "",
    width: int = 8,
    empty: str = "",
    limits: tuple[Threshold, ...] = (),
) -> Panel:
    """A percentile over time, with what its buckets make of it in title and description."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by) or f"p{q * 100:g}"
    return Panel(
        title=f"{title}, p{q * 100:g} ± its bucket",
        description=f"{description} {promql.error_of(metric)}",
        unit=Unit.SECONDS,
        queries=(Query(promql.quantile(q, metric, selector, *by), legend, empty=empty),),
        width=width,
        thresholds=limits,
        colours=COLOURS,
    )


def lines(
    title: str,
    description: str,
    unit: Unit,
    *queries: Query,
    width: int = 8,
    stacked: bool = False,
    limits: tuple[Threshold, ...] = (),
    maximum: float | None = None,
) -> Panel:
    """Series over time."""
    return Panel(
        title,
        description,
        unit,
        queries,
        width=width,
        stacked=stacked,
        thresholds=limits,
        maximum=maximum,
        colours=COLOURS,
    )


def stat(
    title: str,
    description: str,
    unit: Unit,
    *queries: Query,
    width: int = 5,
    decimals: int | None = None,
) -> Panel:
    """One number for each series, of the whole span that is shown."""
    return Panel(
        title,
        description,
        unit,
        queries,
        kind=Kind.STAT,
        width=width,
        height=4,
        decimals=decimals,
        colours=COLOURS,
    )
