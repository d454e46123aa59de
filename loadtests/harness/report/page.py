"""``report.html`` and ``report.md`` of a bundle: equal bundles give equal bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loadtests.harness.analyse import analyse
from loadtests.harness.claims import ending
from loadtests.harness.records.bundle import Bundle, BundleWriter, unreadable
from loadtests.harness.records.plan import POINTS, PartKind, Plan
from loadtests.harness.records.result import Result, Sentence
from loadtests.harness.records.samples import Manifest, Warn
from loadtests.harness.records.vocabulary import Severity, Validity
from loadtests.harness.report import glossary
from loadtests.harness.report.charts import Arms, Chart
from loadtests.harness.report.charts_evidence import charts
from loadtests.harness.report.conditions import about, facts, not_default
from loadtests.harness.report.decision import TITLE, decision_tables, reasons
from loadtests.harness.report.table import Table
from loadtests.harness.report.tables import summary, tables
from loadtests.harness.report.template import THEME, html, markdown
from loadtests.harness.sentences import told

ANALYSIS, HTML, MARKDOWN = "analysis.json", "report.html", "report.md"
# Of these the first that were drawn.
FIRST_CHARTS = (("kill", "kept"), ("crowd",), ("fleet",), ("size-speed", "size-cpu"), ("speed", "price"))
# Whose answer comes first, where there is one.
HEADS = (*POINTS, PartKind.COMPARE)
_WHOLE = (PartKind.CROWD, PartKind.FLEET, PartKind.COMPARE)  # of these a run asks one
# Questions that a warning about the whole run touches; others touch the comparison.
_TOUCHES = {"not-saturated": PartKind.LEVELS, "slip": PartKind.NEIGHBOURS}


@dataclass(frozen=True, slots=True)
class Section:
    """What one question found: its sentences with what limits them, its pictures, and the tables behind."""

    ident: str
    title: str
    sentences: tuple[Sentence, ...]
    cautions: tuple[Warn, ...]
    charts: tuple[Chart, ...]
    tables: tuple[Table, ...]


# Question: title, charts, tables.
_QUESTIONS: tuple[tuple[PartKind, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (PartKind.KILL, "What is gone after a kill?", ("kill", "kept"), ("kills",)),
    (PartKind.COMPARE, "Which is faster, and what does an upload cost?", ("speed", "price", "blocks"),
     ("rates", "ratios", "processes", "counted", "limits", "carry-over")),
    (PartKind.LEVELS, "Would more clients help, and until how many?", ("levels",), ("gains", "levels")),
    (PartKind.NEIGHBOURS, "What does it do to the others?", ("neighbours",), ("neighbours",)),
    (PartKind.RATES, "What if more arrive than fit?", ("offers", "recovery"), ("offers", "recovery")),
    (PartKind.SIZES, "From which file size on?", ("sizes",), ("sizes", "size-ratios")),
    (PartKind.CROWD, "What do slow clients cost?", ("crowd", "crowd-others"),
     ("crowd", "crowd-others", "counted")),
    (PartKind.FLEET, "Does the rate rise with the fleet?", ("fleet",),
     ("fleet", "fleet-ratios", "counted", "limits")),
)  # fmt: skip


def write_report(path: Path) -> Result:
    """Analyse the bundle again and write ``analysis.json`` and both reports. Needs nothing but the folder.

    Raises ``BundleError`` where records are gone or damaged.
    """
    bundle = Bundle(path)
    bundle.refuse_incomplete()
    result = told(analyse(bundle))
    writer = BundleWriter(path)
    writer.write_json(ANALYSIS, result.model_dump(mode="json"))
    view = view_of(result, bundle.plan(), bundle.manifest())
    writer.write_text(HTML, html(view))
    writer.write_text(MARKDOWN, markdown(view))
    return result


def read_result(path: Path) -> Result:
    """What was found when the report was written; found now where it was not. Raises ``BundleError``."""
    file = path / ANALYSIS
    try:
        return Result.model_validate_json(file.read_bytes()) if file.exists() else write_report(path)
    except ValidationError as error:
        raise unreadable(file, error) from error


def view_of(result: Result, plan: Plan, manifest: Manifest) -> dict[str, Any]:
    """Everything the templates show, as plain values."""
    drawn, by_ident = charts(result), tables(result)
    first = next((names for names in FIRST_CHARTS if all(name in drawn for name in names)), ())
    below = {name: chart for name, chart in drawn.items() if name not in first}
    cautions = _cautions(result, plan)
    touching: dict[str, list[Warn]] = {kind.value: found for kind, found in cautions.items()}
    return {
        "result": result,
        "first": [drawn[name] for name in first],
        "about": about(result),
        "main": _main(result).value,
        "head": _head(result),
        "touching": touching.get(_main(result).value, []),
        "cautions": len(result.warnings) - sum(one.severity is Severity.INFO for one in result.warnings),
        "summary": summary(result),
        "not_default": not_default(result),
        "unusual": len(result.conditions.get("not_default") or []),
        "facts": facts(result),
        "claim": ending(plan, result),
        "sections": list(_sections(result, below, by_ident, cautions)),
        "decision": {"title": TITLE, "tables": decision_tables(result), "reasons": reasons(result)},
        "evidence": [by_ident[name] for name in ("ledger", "seconds") if name in by_ident],
        "timeline": drawn.get("timeline"),
        "warnings": result.warnings,
        "manifest": list(flat(manifest.model_dump(mode="json"))),
        "terms": sorted(glossary.TERMS, key=lambda term: term.name.lower()),
        "tone": _tone(result),
        "colours": _colours(result),
    }


def _main(result: Result) -> PartKind:
    """The question whose answer the page begins with."""
    asked = [one.question for one in result.sentences]
    return next((kind for kind in HEADS if kind in asked), PartKind.COMPARE)


def _head(result: Result) -> dict[str, list[Sentence]]:
    """The sentences of the first screen by what they are there: what must be known before any number, the
    answer, what it rests on, and the price."""
    main = _main(result)
    own = [one for one in result.sentences if one.question is main]
    answers, details = ([one for one in own if one.kind == kind] for kind in ("answer", "detail"))
    # What follows the first answer is a hazard in a comparison, and else what other arms did.
    shown = len(answers) if main in (PartKind.CROWD, PartKind.FLEET) else 1
    hazards, others = ([], answers[shown:]) if main is PartKind.RATES else (answers[shown:], [])
    return {
        "before": [one for one in result.sentences if one.kind == "invalid"],
        "answer": answers[:shown],
        "others": others,
        "warned": [*hazards, *(one for one in result.sentences if one.kind == "limit")],
        "price": details[:1],
        "rest": details[1:],
    }


def _whole(result: Result) -> PartKind:
    """The question that the run as a whole asks."""
    if result.crowd:
        return PartKind.CROWD
    return PartKind.FLEET if result.fleet else PartKind.COMPARE


def _cautions(result: Result, plan: Plan) -> dict[PartKind, list[Warn]]:
    """Warnings by the question whose sentences they touch."""
    kinds = {part.name: part.kind for part in plan.parts}
    found: dict[PartKind, list[Warn]] = {}
    whole = _whole(result)
    for one in result.warnings:
        if one.severity is not Severity.INFO:
            kind = kinds.get((one.part or "").partition(".")[0]) or _TOUCHES.get(one.code, whole)
            found.setdefault(kind, []).append(one)
    return found


def _sections(
    result: Result,
    drawn: dict[str, Chart],
    by_ident: dict[str, Table],
    cautions: dict[PartKind, list[Warn]],
) -> Iterator[Section]:
    unasked = {*_WHOLE} - {_whole(result)}  # all of them have what was counted
    for kind, title, chart_names, table_names in _QUESTIONS:
        if kind in unasked:
            continue
        found = Section(
            ident=f"question-{kind.value}",
            title=title,
            sentences=tuple(one for one in result.sentences if one.question is kind),
            cautions=tuple(cautions.get(kind, ())),
            charts=tuple(drawn[name] for name in chart_names if name in drawn),
            tables=tuple(by_ident[name] for name in table_names if name in by_ident),
        )
        if found.charts or found.tables:
            yield found


def _tone(result: Result) -> str:
    if result.exit_code in (1, 2) or result.validity is Validity.INVALID:
        return "bad"
    return "unsure" if result.exit_code or result.validity is not Validity.VALID else "good"


def _colours(result: Result) -> dict[str, str]:
    """Variables of the page by the colours of its arms: on a dark page they are lighter."""
    colours = sorted({colour.lower() for colour in Arms.of(result).colours.values()} - set(THEME))
    return {colour: f"arm-{place}" for place, colour in enumerate(colours)}


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as dotted names, in order of name."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from flat(value[key], f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
