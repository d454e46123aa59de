"""``report.html``, ``report.md`` and ``report.json`` of a bundle: equal bundles give equal bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup, escape

from loadtests.harness.analysis import words
from loadtests.harness.analysis.analyse import analyse_bundle
from loadtests.harness.analysis.model import Analysis
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.model import Manifest, Severity
from loadtests.harness.reporting import glossary
from loadtests.harness.reporting.charts_evidence import charts
from loadtests.harness.reporting.report_tables import tables

HTML, MARKDOWN, JSON = "report.html", "report.md", "report.json"
TEMPLATES = Path(__file__).parent / "templates"
TITLES = {"bench": "How close to bare PUTs into the store?", "journey": "Users who pause between their steps"}
_SEVERITIES = tuple(Severity)
_UNIT = re.compile(r"(\d) (%|ms|s|MiB|KiB|GiB|VUs?)(?![\w])")  # a number and its unit stay on one line


def render_bundle(path: Path) -> Analysis:
    """Analyse the bundle again and write its three reports. Needs nothing but the folder."""
    analysis = analyse_bundle(path)
    view = view_of(analysis, Bundle(path).manifest())
    (path / HTML).write_text(html(view), encoding="utf-8")
    (path / MARKDOWN).write_text(markdown(view), encoding="utf-8")
    (path / JSON).write_text(as_json(view), encoding="utf-8")
    return analysis


def view_of(analysis: Analysis, manifest: Manifest) -> dict[str, Any]:
    """Everything the templates show, as plain values."""
    by_id = {table.ident: table for table in tables(analysis)}
    drawn = {chart.name: chart for chart in charts(analysis)}
    answers = ("goodput", "noise", "ramp", "beside", "price", "distribution")
    return {
        "analysis": analysis,
        "title": _title(analysis),
        "facts": conditions(analysis),
        "answers": [drawn[name] for name in answers if name in drawn],
        "evidence": [chart for name, chart in drawn.items() if name not in answers],
        "tables": by_id,
        "warnings": sorted(analysis.warnings, key=lambda warn: -_SEVERITIES.index(warn.severity)),
        "manifest": list(_flat(manifest.model_dump(mode="json"))),
        "terms": sorted(glossary.TERMS, key=lambda term: term.name.lower()),
        "tone": _tone(analysis),
    }


def html(view: dict[str, Any]) -> str:
    return template("report.html.j2").render(view)


def markdown(view: dict[str, Any]) -> str:
    text = template("report.md.j2").render(view)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def as_json(view: dict[str, Any]) -> str:
    analysis: Analysis = view["analysis"]
    value = {
        "run": analysis.run,
        "title": view["title"],
        "validity": analysis.validity.value,
        "exit_code": analysis.exit_code,
        "verdict": analysis.verdict_line,
        "reach": analysis.reach.text,
        "sentences": [sentence.model_dump(mode="json") for sentence in analysis.sentences],
        "next_command": analysis.next_command,
        "conditions": dict(view["facts"]),
        "charts": [
            {"name": c.name, "title": c.title, "alt": c.alt} for c in (*view["answers"], *view["evidence"])
        ],
        "tables": {name: asdict(table) for name, table in view["tables"].items()},
        "warnings": [warn.model_dump(mode="json") for warn in view["warnings"]],
        "glossary": {term.name: term.text for term in view["terms"]},
    }
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def conditions(analysis: Analysis) -> list[tuple[str, str]]:
    """Where and how it was measured, in a few lines."""
    found, host = analysis.conditions, analysis.conditions["host"]
    memory = host.get("memory_bytes")
    machine = [str(host.get("cpu_model") or "unknown processor"), _cores(host.get("cores"))]
    if isinstance(memory, int | float):
        machine.append(words.size(memory))
    revision = str(found["git_revision"] or "unknown")[:12] + (
        " with local changes" if found["git_dirty"] else ""
    )
    lines = [
        ("machine", ", ".join(machine)),
        ("started", moment(found["started_at"])),
        ("duration", _duration(found["started_at"], found["ended_at"])),
        ("profile", analysis.profile),
        ("file", words.size(found["file_size_bytes"])),
        ("revision", revision),
        ("command", found["command"]),
        ("checked", found["verified_how"]),
    ]
    if analysis.alerts.text:
        lines.append(("alerts", analysis.alerts.text))
    if found.get("runtime", "native") != "native":
        lines.insert(1, ("runs in", "containers; do not compare with a run of plain processes"))
    if found["scale"] != 1:
        lines.insert(4, ("scale", f"{found['scale']:g}: not comparable with results at full scale"))
    return lines


def _cores(value: float | None) -> str:
    """2 rather than 2.0; a container may have one and a half."""
    return "unknown cores" if value is None else f"{value:g} {'core' if value == 1 else 'cores'}"


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _duration(start: float, end: float | None) -> str:
    if end is None:
        return "not ended"
    minutes, seconds = divmod(round(end - start), 60)
    return f"{minutes} min {seconds} s"


def _title(analysis: Analysis) -> str:
    if analysis.experiment in TITLES:
        return TITLES[analysis.experiment]
    arms = [analysis.names[arm] for arm in analysis.arms if "-" not in analysis.names[arm]]
    return (
        f"{words.capital(arms[0])} or {arms[1]}?"
        if len(arms) == 2
        else f"{analysis.experiment}: {analysis.run}"
    )


def _tone(analysis: Analysis) -> str:
    if analysis.exit_code in (1, 2):
        return "bad"
    return "unsure" if analysis.exit_code == 3 or analysis.validity.value != "valid" else "good"


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as dotted names, in order of name."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _flat(value[key], f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _code(text: str) -> Markup:
    """Plain text for a page, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped


def template(name: str) -> Template:
    """One of the templates beside this file."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["terms"] = linked
    environment.filters["capitalize_first"] = words.capital
    environment.filters["code"] = _code
    environment.filters["safe_svg"] = (
        Markup  # drawn by us; every text in it was escaped by the drawing library
    )
    environment.globals["style"] = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))  # noqa: S704
    return environment


@cache
def _spelling() -> re.Pattern[str]:
    longest_first = sorted(glossary.spellings(), key=len, reverse=True)
    return re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, longest_first)) + r")(?![\w-])", re.IGNORECASE)


def linked(text: str, command: str | None = None) -> Markup:
    """Escaped text in which the first use of every term links to the glossary, and ``command`` is code."""
    if command and command in text:
        before, _, after = text.partition(command)
        return linked(before) + Markup("<code>{}</code>").format(command) + linked(after)
    by_spelling = {spelling.lower(): (spelling, term) for spelling, term in glossary.spellings().items()}
    seen: set[str] = set()

    def link(found: re.Match[str]) -> str:
        spelling, term = by_spelling[found[1].lower()]
        abbreviation = spelling != spelling.lower()
        if term.anchor in seen or (abbreviation and found[1] != spelling):
            return found[1]
        seen.add(term.anchor)
        return f'<a class="term" href="#{term.anchor}" title="{escape(term.text)}">{found[1]}</a>'

    return Markup(_UNIT.sub("\\1\u00a0\\2", _spelling().sub(link, str(escape(text)))))  # noqa: S704
