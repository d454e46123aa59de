"""Every PromQL expression there is, with Grafana's variables replaced: for tests and for recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from grafana.dashboards import DASHBOARDS
from grafana.model import ANYTHING, Dashboard


@dataclass(frozen=True, slots=True)
class Span:
    """What Grafana's own variables stand for."""

    rate_window_s: float
    range_s: float
    run: str = ANYTHING

    def fill(self, expr: str) -> str:
        """An expression that Prometheus understands, for all services, strategies and arms."""
        values = {
            "$__rate_interval": f"{self.rate_window_s:g}s",
            "$__range": f"{max(1, round(self.range_s))}s",
            "$arm": ANYTHING,
            "$strategy": ANYTHING,
            "$service": ANYTHING,
            "$run": self.run,
        }
        for name, value in values.items():
            expr = expr.replace(name, value)
        return expr


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression and where it stands; ``empty`` is the reason for which it may have no answer."""

    where: str
    expr: str
    empty: str
    kind: str  # panel, variable or annotation


def of_panels(dashboards: Iterable[Dashboard] = DASHBOARDS) -> Iterator[Expression]:
    for dashboard in dashboards:
        for panel in dashboard.panels():
            where = f"{dashboard.title}: {panel.title}"
            for query in panel.queries:
                yield Expression(where, query.expr, query.empty, "panel")
                if query.x:
                    yield Expression(f"{where} (x)", query.x, query.empty, "panel")


def of_variables(dashboards: Iterable[Dashboard] = DASHBOARDS) -> Iterator[Expression]:
    """The series that a ``label_values`` looks at, counted by the label it wants."""
    found = {variable.name: variable for dashboard in dashboards for variable in dashboard.variables}
    for variable in found.values():
        if not variable.fixed:
            series, label = variable.query.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            yield Expression(
                f"variable {variable.name}", f"count by ({label}) ({series})", variable.empty, "variable"
            )


def of_annotations(dashboards: Iterable[Dashboard] = DASHBOARDS) -> Iterator[Expression]:
    found = {one.name: one for dashboard in dashboards for one in dashboard.annotations}
    for one in found.values():
        yield Expression(f"annotation {one.name}", one.expr, one.empty, "annotation")


def all_expressions() -> tuple[Expression, ...]:
    return (*of_panels(), *of_variables(), *of_annotations())
