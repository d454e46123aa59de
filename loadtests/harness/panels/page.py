"""``panels.html``: the first dashboard open, the others behind their names, from the bundle alone.

Equal bundles give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grafana.dashboards import DASHBOARDS
from grafana.model import Dashboard, Panel
from grafana.parts import GREY
from loadtests.harness.panels.curves import NO_ARMS, Colours
from loadtests.harness.panels.draw import Shade, draw
from loadtests.harness.panels.recording import Recording, read_recording
from loadtests.harness.records.bundle import Bundle, BundleWriter
from loadtests.harness.records.plan import NOBODY, Plan
from loadtests.harness.report.charts import INK
from loadtests.harness.report.conditions import moment
from loadtests.harness.report.template import html

HTML = "panels.html"
GREYS = (GREY, INK)


@dataclass(frozen=True, slots=True)
class Picture:
    """A panel as the page shows it. Without ``svg`` its ``reason`` says why there is nothing to see."""

    panel: Panel
    name: str
    svg: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Section:
    dashboard: Dashboard
    rows: tuple[tuple[str, tuple[Picture, ...]], ...]

    def pictures(self) -> Iterator[Picture]:
        for _, row in self.rows:
            yield from row

    def drawn(self) -> Iterator[tuple[str, tuple[Picture, ...]]]:
        """Rows with the pictures that show something; the others are told in words."""
        for title, row in self.rows:
            shown = tuple(one for one in row if one.svg)
            if shown:
                yield title, shown

    def empty(self) -> list[Picture]:
        return [one for one in self.pictures() if not one.svg]


def render_panels(path: Path) -> Path:
    """Write the page of a bundle. Raises ``BundleError`` when the run recorded no panels."""
    recording, bundle = read_recording(path), Bundle(path)
    spans, arms = shades(bundle, recording), arms_of(bundle.plan())
    manifest = bundle.manifest()
    drawn = sections(recording, spans, arms)
    view = {
        "run": manifest.run,
        "started": moment(recording.start),
        "recording": recording,
        "sections": drawn,
        "arms": arms,
        "count": sum(1 for section in drawn for _ in section.pictures()),
    }
    return BundleWriter(path).write_text(HTML, html(view, "panels"))


def arms_of(plan: Plan) -> dict[str, str]:
    """The arms of a run's question, with the colours that its report gives them."""
    return {arm.of: arm.colour for part in plan.parts for arm in part.arms if arm.of != NOBODY}


def sections(recording: Recording, spans: Sequence[Shade], arms: Colours = NO_ARMS) -> list[Section]:
    return [
        Section(dashboard, tuple(
            (row.title, tuple(
                picture(panel, recording, spans, f"{dashboard.uid}-{number}-{place}", arms)
                for place, panel in enumerate(row.panels)
            ))
            for number, row in enumerate(dashboard.rows)
        ))
        for dashboard in DASHBOARDS
    ]  # fmt: skip


def picture(
    panel: Panel, recording: Recording, spans: Sequence[Shade], name: str, arms: Colours = NO_ARMS
) -> Picture:
    svg = draw(panel, recording, spans, name, arms)
    return Picture(panel, name, svg, "" if svg else _reason(panel, recording))


def _reason(panel: Panel, recording: Recording) -> str:
    """Why a panel is empty: refused, of another version, as it should be, or unexpectedly."""
    expressions = [expr for query in panel.queries for expr in (query.expr, query.x) if expr]
    for expr in expressions:
        if expr in recording.refused:
            return f"Prometheus refused the expression: {recording.refused[expr]}"
        if expr not in recording.answers:
            return "not recorded: this run is older than the panel"
    return next((query.empty for query in panel.queries if query.empty), "no data, though some was expected")


def shades(bundle: Bundle, recording: Recording) -> list[Shade]:
    """Questions of the run in two greys by turns. Runs that kill have stacks of their own and no panels."""
    stretches = [
        (one.part, one.t0 - recording.start, one.t0 + len(one.order) * one.period_s - recording.start)
        for one in bundle.stretches()
    ]
    return of_parts(stretches)


def of_parts(spans: Iterable[tuple[str, float, float]]) -> list[Shade]:
    """Shades of (part, begin, end) in seconds, each part in the other grey than the one before."""
    found: list[Shade] = []
    parts: list[str] = []
    for part, begin, end in spans:
        if part not in parts:
            parts.append(part)
        found.append(Shade(begin / 60, end / 60, GREYS[parts.index(part) % 2], part))
    return found
