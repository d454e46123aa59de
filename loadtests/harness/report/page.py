"""``report.html`` and ``report.md`` of a bundle: equal bundles give equal bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup, escape
from pydantic import ValidationError

from loadtests.harness.analyse import analyse
from loadtests.harness.claims import ending
from loadtests.harness.records.bundle import Bundle, BundleWriter, unreadable
from loadtests.harness.records.plan import POINTS, Arm, PartKind, Plan
from loadtests.harness.records.result import Result, Sentence
from loadtests.harness.records.samples import Manifest, Warn
from loadtests.harness.records.vocabulary import Severity, Validity
from loadtests.harness.report import glossary
from loadtests.harness.report.charts import FAINT, INK, MUTED, PAPER, RULE, Arms, Chart
from loadtests.harness.report.charts_evidence import charts
from loadtests.harness.report.decision import TITLE, decision_tables, reasons
from loadtests.harness.report.table import Table
from loadtests.harness.report.tables import summary, tables
from loadtests.harness.sentences import arms_of, comparisons, names_of, network_of, told
from loadtests.harness.wording import capital, duration, listed, listed_arms, network, size
from loadtests.harness.words import OF_NETWORK

OWN_NETWORK = "the machine's own"
ANALYSIS, HTML, MARKDOWN = "analysis.json", "report.html", "report.md"
TEMPLATES = Path(__file__).parent / "templates"
# Of these the first that were drawn.
FIRST_CHARTS = (("kill", "kept"), ("crowd",), ("fleet",), ("size-speed", "size-cpu"), ("speed", "price"))
# Whose answer comes first, where there is one.
HEADS = (*POINTS, PartKind.COMPARE)
_WHOLE = (PartKind.CROWD, PartKind.FLEET, PartKind.COMPARE)  # of these a run asks one
# Questions that a warning about the whole run touches; others touch the comparison.
_TOUCHES = {"not-saturated": PartKind.LEVELS, "slip": PartKind.NEIGHBOURS}
_UNIT = re.compile(r"(\d) (%|ms|s|MiB|KiB|GiB|VUs?)(?![\w])")  # a number and its unit stay on one line
_THEME = {INK: "ink", MUTED: "muted", RULE: "rule", FAINT: "faint", PAPER: "paper"}


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


def html(view: dict[str, Any]) -> str:
    return template("report.html.j2").render(view)


def markdown(view: dict[str, Any]) -> str:
    text = template("report.md.j2").render(view)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def about(result: Result) -> str:
    """The first line under the question: what was uploaded, by how many, over what, on what and when."""
    found, host = result.conditions, result.conditions.get("host") or {}
    arms = _first_arms(result)
    slow = [cell.clients for cell in result.crowd.cells] if result.crowd else []
    at_once = sorted([*slow, *([cell.clients for cell in result.fleet.cells] if result.fleet else [])])
    sizes, clients = (list(dict.fromkeys(values)) for values in (
        [size(arm.file_size_bytes) for arm in arms],
        [str(vus) for vus in at_once or [arm.vus for arm in arms] if vus],
    ))  # fmt: skip
    slower = network_of(result)
    parts = [
        f"files of {listed(sizes)}" if sizes else "",
        f"{listed(clients)} clients at once" if clients else "",
        f"a network of {slower}" if slower else "",
        f"{cores(host.get('cores'))} for everything, load generator included",
        moment(found.get("started_at")),
    ]
    return capital(", ".join(part for part in parts if part)) + "."


def _first_arms(result: Result) -> list[Arm]:
    """The arms of the main comparison, or of what there is instead of one."""
    compared = comparisons(result)
    return [one.arm for one in compared[0].arms] if compared else arms_of(result)


def facts(result: Result) -> list[tuple[str, str]]:
    """Where and how it was measured, in a few lines."""
    found, host = result.conditions, result.conditions.get("host") or {}
    named = [f"{arm.name} is {arm.title}" for arm in _first_arms(result) if _named(arm)]
    lines = [
        ("arms", "; ".join(named)),
        ("machine", machine(host)),
        ("measured", f"{measured(found.get('started_at'), found.get('ended_at'))}, profile {result.profile}"),
        ("network", networks(result)),
        ("not the default", not_default(result) or "nothing"),
        ("revision", revision(result)),
        ("command", str(found.get("command") or "")),
        ("checked", str(found.get("verified_how") or "")),
    ]
    if found.get("runtime", "native") != "native":
        lines.insert(2, ("runs in", "containers; do not compare with a run of plain processes"))
    return [(name, text) for name, text in lines if text]


def networks(result: Result) -> str:
    """What is between clients and system; where arms differ in it, what each has."""
    names, found = names_of(result), dict[str, list[str]]()
    for arm in _first_arms(result):
        own = _network_of_arm(arm, result.conditions) or OWN_NETWORK
        found.setdefault(own, []).append(names.get(arm.of, arm.name))
    if len(found) > 1:
        return "; ".join(f"{own} ({listed_arms(arms)})" for own, arms in found.items())
    return next(iter(found), network_of(result) or OWN_NETWORK)


def _network_of_arm(arm: Arm, conditions: dict[str, Any]) -> str:
    """Its own word, else the run's, else the question's for all arms."""
    words = conditions.get("words") or {}
    rtt_ms, bandwidth = (
        float(arm.asked.get(word) or words.get(word) or conditions.get(word.lower()) or 0.0)
        for word in OF_NETWORK
    )
    return network(rtt_ms, bandwidth)


def _named(arm: Arm) -> bool:
    """Whether it goes by a name that does not say what it is."""
    return len(arm.name) > 1 and arm.title != arm.name != arm.strategy


def not_default(result: Result) -> str:
    """Words, settings, topology and limits that are not the default, in one line."""
    return "; ".join(result.conditions.get("not_default") or [])


def revision(result: Result) -> str:
    """Of the checkout, or of each arm where they differ."""
    by_arm: dict[str, str] = result.conditions.get("revisions") or {}
    if len(set(by_arm.values())) > 1:
        return ", ".join(f"{arm} {text[:12] or 'the working tree'}" for arm, text in by_arm.items())
    known = str(result.conditions.get("git_revision") or "unknown")[:12]
    return known + (" with local changes" if result.conditions.get("git_dirty") else "")


def moment(seconds: float | None) -> str:
    if seconds is None:
        return "at an unknown time"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def measured(begin: float | None, end: float | None) -> str:
    """When a run began, and how long it took."""
    took = "not ended" if begin is None or end is None else duration(end - begin)
    return f"{moment(begin)}, {took}"


def machine(host: Mapping[str, Any]) -> str:
    """Processor, cores and memory."""
    words = [str(host.get("cpu_model") or "unknown processor"), cores(host.get("cores"))]
    if isinstance(host.get("memory_bytes"), int | float):
        words.append(size(host["memory_bytes"]))
    return ", ".join(words)


def cores(value: float | None) -> str:
    """2 rather than 2.0; a container may have one and a half."""
    return "unknown cores" if value is None else f"{value:g} {'core' if value == 1 else 'cores'}"


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
    colours = sorted({colour.lower() for colour in Arms.of(result).colours.values()} - set(_THEME))
    return {colour: f"arm-{place}" for place, colour in enumerate(colours)}


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as dotted names, in order of name."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from flat(value[key], f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
    environment.filters["capitalize_first"] = capital
    environment.filters["code"] = _code
    environment.filters["two_lines"] = _two_lines
    environment.filters["safe_svg"] = (
        Markup  # drawn by us; every text in it was escaped by the drawing library
    )
    environment.filters["themed"] = _themed
    environment.globals["style"] = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704
    return environment


def _themed(svg: str, colours: dict[str, str]) -> Markup:
    """A picture whose colours are the page's variables, so that it turns dark with the page."""
    for colour, variable in (_THEME | colours).items():
        svg = svg.replace(colour, f"var(--{variable})")
    return Markup(svg)  # noqa: S704  # drawn by us; every text in it was escaped by the drawing library


def _two_lines(cell: str) -> Markup:
    """A cell with what stands in brackets at its end below it, so that tables stay narrow."""
    value, bracket, rest = cell.partition(" (")
    if not bracket or not rest.endswith(")"):
        return escape(cell)
    return escape(_UNIT.sub("\\1\u00a0\\2", value)) + Markup(" <small>({}</small>").format(rest)


def _code(text: str) -> Markup:
    """Plain text for a page, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped


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
