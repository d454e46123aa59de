"""Every PromQL expression that the dashboards hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grafana.dashboards import DASHBOARDS


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression and where it stands; ``empty`` is the reason for which it may have no answer."""

    where: str
    expr: str
    empty: str
    kind: str  # panel, variable or annotation


def of_panels() -> Iterator[Expression]:
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels():
            where = f"{dashboard.title}: {panel.title}"
            for query in panel.queries:
                yield Expression(where, query.expr, query.empty, "panel")
                if query.x:
                    yield Expression(f"{where} (x)", query.x, query.empty, "panel")


def of_variables() -> Iterator[Expression]:
    """The series that a ``label_values`` looks at, counted by the label it wants."""
    found = {variable.name: variable for dashboard in DASHBOARDS for variable in dashboard.variables}
    for variable in found.values():
        if not variable.fixed:
            series, label = variable.query.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            yield Expression(
                f"variable {variable.name}", f"count by ({label}) ({series})", variable.empty, "variable"
            )


def of_annotations() -> Iterator[Expression]:
    found = {one.name: one for dashboard in DASHBOARDS for one in dashboard.annotations}
    for one in found.values():
        yield Expression(f"annotation {one.name}", one.expr, one.empty, "annotation")


def all_expressions() -> tuple[Expression, ...]:
    return (*of_panels(), *of_variables(), *of_annotations())
