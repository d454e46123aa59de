"""The page of the dashboards: what each answers, every panel in words, and its picture from the sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from docs.tables import table
from grafana.dashboards import DASHBOARDS
from grafana.model import Dashboard, Query
from loadtests.harness.panels.draw import Shade
from loadtests.harness.panels.page import Section, arms_of, of_parts, sections
from loadtests.harness.panels.poster import poster, single
from loadtests.harness.panels.recording import FILE, Recording, read_recording
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.report.charts_evidence import parts_in_time
from loadtests.harness.report.page import read_result

SAMPLE = Path(__file__).parent / "sample"
PICTURES = SAMPLE / "dashboards"
MOST_MOMENTS = 120
# Panels of the README, where the sample has recorded them: what was done, and until when more is done.
SHOWN = {"Goodput": "panel-goodput", "Time of an upload over uploads at once": "panel-latency"}

HEAD = """# Dashboards

One list of panels, shown in two ways. **Without Grafana**: every run of `make stress` leaves `panels.html`
in its folder, and `make panels RUN=` draws it again, from what Prometheus had recorded when the run ended.
**In Grafana**: the same panels from `grafana/json`, provisioned read-only with one data source; `make stress`
prints the link with the run and its span of time. `python -m grafana` writes the JSON.

Grey spans are the questions of a run (its parts: comparison, levels, sizes); red ones, in Grafana, are
faults, kills among them. Single turns are shorter than the time between two scrapes and are not drawn: lines
by arm come from k6, which knows whose each upload is. A fault that is as short is drawn at the next scrape.
The first dashboard is one screen; `panels.html` shows it and keeps the others behind their names. A
percentile that comes from histogram buckets says so in its title, and names the buckets in its description.
Rates look back four scrapes in Grafana (20 s) and two in `panels.html` (10 s), where they stand in the
middle of it: a turn shorter than that is shown lower than it was, and the report has the exact number.

*Arm* lists the arms of the chosen run, whatever they are called; a strategy's colour means that strategy, in
the report too. Where arms have stacks of their own (`make ask Q=durable`, settings behind `make ab`),
Prometheus scrapes the running testbed and not those: what the harness tells is shown (the numbers by arm, the
row *Questions*, spans, kills), what services and k6 count is not, and there is no `panels.html`.

The JSON is checked against Grafana's published types of version 13.2.3, and every expression against running
Prometheus servers of versions 2.42 and 3. The pictures below are the second renderer's, not Grafana's, of
which nobody here has seen one: the workflow on GitHub opens every dashboard in a real Grafana with a browser,
fails on an error and on "No data" where some is expected, and keeps what it saw (artifact `grafana`).
"""


def page() -> str:
    return HEAD + "".join(_section(dashboard) for dashboard in DASHBOARDS)


def _section(dashboard: Dashboard) -> str:
    picture = PICTURES / f"{dashboard.uid}.svg"
    shown = f"![{dashboard.title}](sample/dashboards/{picture.name})\n\n" if picture.exists() else ""
    chosen = ", ".join(variable.label.lower() for variable in dashboard.variables)
    text = f"\n## {dashboard.title}\n\n{dashboard.answers} Choose: {chosen}.\n\n{shown}"
    for row in dashboard.rows:
        rows = [(f"**{one.title}**", one.description, _empty(one.queries)) for one in row.panels]
        text += f"### {dashboard.title}: {row.title.lower()}\n\n"
        text += table(("panel", "what it shows, and what is bad", "may be empty when"), rows) + "\n"
    return text.rstrip("\n") + "\n"


def _empty(queries: tuple[Query, ...]) -> str:
    return "; ".join(dict.fromkeys(query.empty for query in queries if query.empty)) or "never under load"


def pictures(bundle: Path) -> dict[Path, str]:
    """Every picture of the sample run, with its content; none while the sample recorded no panels."""
    if not (bundle / FILE).exists():
        return {}
    recording = thinned(read_recording(bundle))
    drawn = sections(recording, _questions(bundle, recording), arms_of(Bundle(bundle).plan()))
    found = {PICTURES / f"{section.dashboard.uid}.svg": poster(section) for section in drawn}
    return found | _shown(drawn, recorded(bundle))


def thinned(recording: Recording) -> Recording:
    """Every second, third, … moment: the picture of a long run is no larger than that of a short one."""
    moments = (recording.end - recording.start) / recording.step_s
    every = ceil(moments / MOST_MOMENTS)
    answers = {
        expression: tuple(
            replace(one, first=ceil(one.first / every), values=one.values[-one.first % every :: every])
            for one in series
        )
        for expression, series in recording.answers.items()
    }
    return replace(recording, step_s=recording.step_s * every, answers=answers)


def _questions(bundle: Path, recording: Recording) -> list[Shade]:
    late_s = Bundle(bundle).manifest().started_at - recording.start
    spans = parts_in_time(read_result(bundle).timeline)
    return of_parts((part, begin + late_s, end + late_s) for part, begin, end in spans)


def recorded(bundle: Path) -> list[str]:
    """Titles of the README's panels that the sample's recording has an answer for."""
    answers = read_recording(bundle).answers
    panels = {panel.title: panel for dashboard in DASHBOARDS for panel in dashboard.panels()}
    return [title for title in SHOWN if any(answers.get(query.expr) for query in panels[title].queries)]


def _shown(drawn: Sequence[Section], titles: Sequence[str]) -> dict[Path, str]:
    return {
        SAMPLE / f"{SHOWN[picture.panel.title]}.svg": single(picture)
        for section in drawn
        for picture in section.pictures()
        if picture.panel.title in titles
    }
