"""Puts one real run into the documentation.

Copies what its report and panels are drawn from to docs/sample/bundle, writes the report and some of the
pictures beside it, and replaces the marked part of README.md. The run's single uploads stay out: they are
megabytes. Anybody can check that every word and picture comes from the committed bundle.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click

from docs import dashboards
from docs.command import Command, Run
from docs.writing import filled, refuse_large, write
from loadtests.harness.panels.recording import FILE as RECORDING
from loadtests.harness.records.bundle import MANIFEST, PLAN, Bundle
from loadtests.harness.records.result import Result
from loadtests.harness.report.charts import Chart
from loadtests.harness.report.charts_evidence import charts
from loadtests.harness.report.conditions import moment
from loadtests.harness.report.page import ANALYSIS, read_result, view_of
from loadtests.harness.report.template import markdown
from loadtests.harness.sentences import told

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "docs" / "sample"
BUNDLE = SAMPLE / "bundle"
README = ROOT / "README.md"
BEGIN, END = "<!-- sample: begin -->", "<!-- sample: end -->"
SHOWN = ("size-speed", "size-cpu", "speed", "price")


def take(run: Path) -> None:
    """Make ``run`` the committed sample."""
    read_result(run)  # made now, should it be absent
    shutil.rmtree(BUNDLE, ignore_errors=True)
    for picture in SAMPLE.rglob("*.svg"):  # of the run before
        picture.unlink()
    BUNDLE.mkdir(parents=True)
    for name in (MANIFEST, PLAN, ANALYSIS):  # where the checkout was is nobody's business
        text = (run / name).read_text(encoding="utf-8")
        for checkout in (ROOT, run.resolve().parents[1]):  # results/<run> of this one or of another
            text = text.replace(str(checkout), "vaultbench")
        (BUNDLE / name).write_text(text, encoding="utf-8")
    if (run / RECORDING).exists():
        shutil.copy(run / RECORDING, BUNDLE)


def words() -> dict[Path, str]:
    """The pages that are derived from the sample, with their content."""
    result, bundle = told(read_result(BUNDLE)), Bundle(BUNDLE)  # in the words of today, as docs/answers.md
    report = markdown(view_of(result, bundle.plan(), bundle.manifest()))
    section = _section(result, _charts(result))
    return {
        SAMPLE / "report.md": report,
        README: filled(README, BEGIN, END, section + "\n"),
    }


def pictures() -> dict[Path, str]:
    """Its pictures."""
    shown = _charts(read_result(BUNDLE))
    return {SAMPLE / f"{chart.name}.svg": standing_alone(chart) for chart in shown} | dashboards.pictures(
        BUNDLE
    )


def _charts(result: Result) -> list[Chart]:
    drawn = charts(result)
    return [drawn[name] for name in SHOWN if name in drawn]


def standing_alone(chart: Chart) -> str:
    """The chart as a file of its own, on white so that it can be read on any page."""
    view = re.search(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', chart.svg)
    if view is None:
        raise ValueError(f"the chart {chart.name} has no view box")
    size = f'<svg width="{view[1]}" height="{view[2]}" '
    sized = chart.svg.replace("<svg ", size, 1)
    end = sized.index(">") + 1
    return f'{sized[:end]}<rect width="100%" height="100%" fill="#fff"/>{sized[end:]}\n'


def _section(result: Result, shown: list[Chart]) -> str:
    manifest = Bundle(BUNDLE).manifest()
    cores, memory_gib = manifest.host["cores"], manifest.host["memory_bytes"] / 2**30
    where = f"{cores:g} cores of {manifest.host['cpu_model']}, {memory_gib:.0f} GiB"
    answers = [sentence.text for sentence in result.sentences if sentence.kind == "answer"]
    lines = [f"> {text}\n>" for text in answers]
    lines[-1] = lines[-1].removesuffix("\n>")
    lines.append(
        f"\nOne run of `make stress` (profile {manifest.profile}) on {where}, {moment(manifest.started_at)}; "
        f"{result.validity.value}. [The whole report](docs/sample/report.md)\n"
    )
    lines += [f"![{chart.alt}](docs/sample/{chart.name}.svg)\n" for chart in shown]
    lines += _panels()
    return "\n".join(lines)


def _panels() -> list[str]:
    """Some panels, once the sample has recorded them."""
    if not (BUNDLE / RECORDING).exists():
        return []
    titles = dashboards.recorded(BUNDLE)
    shown = [f"![{title}](docs/sample/{dashboards.SHOWN[title]}.svg)\n" for title in titles]
    words = "Panels of that run, as `panels.html` beside the report shows them and Grafana would"
    return [f"{words} ([all dashboards](docs/dashboards.md)):\n", *shown] if shown else []


@click.command(cls=Command)
@click.argument("run", required=False, type=Run())
def main(run: Path | None) -> None:
    """Write the sample of README.md and docs/sample, with RUN (an id or a folder) in the place of the present
    one; without it from the committed bundle.

    Example: python -m docs.sample_run results/20260731-101500-proxyordirect-ci
    """
    if run is not None:
        take(run)
    write(words() | pictures())
    refuse_large(SAMPLE)


if __name__ == "__main__":
    main()
