"""Templates, and what they do with a text, a number or a picture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from loadtests.harness.report import glossary
from loadtests.harness.report.charts import FAINT, INK, MUTED, PAPER, RULE
from loadtests.harness.wording import capital

TEMPLATES = Path(__file__).parent / "templates"
# Colours that a page has variables for.
THEME = {INK: "ink", MUTED: "muted", RULE: "rule", FAINT: "faint", PAPER: "paper"}
_UNIT = re.compile(r"(\d) (%|ms|s|MiB|KiB|GiB|VUs?)(?![\w])")  # a number and its unit stay on one line


def html(view: Mapping[str, Any], page: str = "report") -> str:
    """A page of the templates beside this file, with what ``view`` has for it."""
    return _environment().get_template(f"{page}.html.j2").render(view)


def markdown(view: Mapping[str, Any], page: str = "report") -> str:
    """The same as Markdown, without the empty lines that a template leaves."""
    text = _environment().get_template(f"{page}.md.j2").render(view)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


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
    for colour, variable in (THEME | colours).items():
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
