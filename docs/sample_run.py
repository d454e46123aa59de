"""Puts one real run into the documentation: ``python -m docs.sample_run results/<run-id>``.

Copies what the run measured to docs/sample/bundle, writes its reports and two of its charts beside it,
and replaces the marked part of README.md. Without an argument the committed bundle is used again, so
anybody can check that every word and picture comes from it; a test does.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from docs import dashboards
from loadtests.harness.analysis.model import Analysis
from loadtests.harness.panels.recording import FILE as RECORDING
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.reporting.charts import Chart
from loadtests.harness.reporting.charts_evidence import charts
from loadtests.harness.reporting.report import moment, render_bundle

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "docs" / "sample"
BUNDLE = SAMPLE / "bundle"
README = ROOT / "README.md"
BEGIN, END = "<!-- sample: begin -->", "<!-- sample: end -->"
SHOWN = ("goodput", "price")
_DERIVED = ("panels.html", "report.html", "report.md", "report.json", "analysis.json", "table.csv")


def take(run: Path) -> None:
    """Make ``run`` the committed sample. k6's raw lines stay out: the samples were made from them."""
    shutil.rmtree(BUNDLE, ignore_errors=True)
    shutil.copytree(run, BUNDLE, ignore=shutil.ignore_patterns("k6", *_DERIVED))
    for path in BUNDLE.glob("*.json*"):
        if path.suffix != ".gz":  # where the checkout was is nobody's business
            text = path.read_text(encoding="utf-8").replace(str(ROOT), "vaultbench")
            path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """Every file that is derived from the sample, with its content."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "bundle"
        shutil.copytree(BUNDLE, copy)
        analysis = render_bundle(copy)
        report = (copy / "report.html").read_text(encoding="utf-8")
        twin = (copy / "report.md").read_text(encoding="utf-8")
    shown = [chart for chart in charts(analysis) if chart.name in SHOWN]
    files = {SAMPLE / f"{chart.name}.svg": _picture(chart) for chart in shown}
    files |= {SAMPLE / "report.html": report, SAMPLE / "report.md": twin}
    files |= dashboards.pictures()
    files[README] = _readme(README.read_text(encoding="utf-8"), _section(analysis, shown))
    return files


def _picture(chart: Chart) -> str:
    """The chart as a file of its own, on white so that it can be read on any page."""
    view = re.search(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', chart.svg)
    if view is None:
        raise ValueError(f"the chart {chart.name} has no view box")
    size = f'<svg width="{view[1]}" height="{view[2]}" '
    sized = chart.svg.replace("<svg ", size, 1)
    end = sized.index(">") + 1
    return f'{sized[:end]}<rect width="100%" height="100%" fill="#fff"/>{sized[end:]}\n'


def _section(analysis: Analysis, shown: list[Chart]) -> str:
    manifest = Bundle(BUNDLE).manifest()
    cores, memory_gib = manifest.host["cores"], manifest.host["memory_bytes"] / 2**30
    where = f"{cores:g} cores of {manifest.host['cpu_model']}, {memory_gib:.0f} GiB"
    answers = [sentence.text for sentence in analysis.sentences if sentence.kind != "limit"]
    lines = [f"> {text}\n>" for text in answers]
    lines[-1] = lines[-1].removesuffix("\n>")
    lines.append(
        f"\nOne run of `make stress` (profile {manifest.profile}) on {where}, {moment(manifest.started_at)}; "
        f"{analysis.validity.value}. [The whole report](docs/sample/report.md)\n"
    )
    lines += [f"![{chart.alt}](docs/sample/{chart.name}.svg)\n" for chart in shown]
    lines += _panels()
    return "\n".join(lines)


def _panels() -> list[str]:
    """Two panels of the first dashboard, once the sample has recorded them."""
    if not (BUNDLE / RECORDING).exists():
        return []
    shown = [f"![{title}](docs/sample/{name}.svg)\n" for title, name in dashboards.SHOWN.items()]
    words = "Two of the panels of that run, as `panels.html` beside the report shows them and Grafana would"
    return [f"{words} ([all dashboards](docs/dashboards.md)):\n", *shown]


def _readme(text: str, section: str) -> str:
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{section}\n{END}{after}"


def stale() -> list[str]:
    """Derived files that differ from what the committed bundle says."""
    return [
        str(path.relative_to(ROOT))
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> None:
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]))
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
