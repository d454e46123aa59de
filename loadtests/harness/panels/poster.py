"""A dashboard, or one panel, as a picture that stands alone: for pages that cannot hold HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from grafana.model import COLUMNS
from loadtests.harness.panels.page import Picture, Section
from loadtests.harness.report.charts import FAINT, FONT, INK, MUTED, RULE

WIDTH, GAP, PAD, TITLE = 1360.0, 10.0, 9.0, 22.0
EMPTY_HEIGHT = 46.0
VIEW = re.compile(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"')


def poster(section: Section) -> str:
    """All panels of a dashboard that show something, as Grafana would place them."""
    parts, y = [], GAP
    for title, row in section.drawn():
        parts.append(_text(GAP, y + 14, title, size=13, colour=MUTED))
        y += 24
        for line in _lines(row):
            height = max(_height(picture) for picture in line)
            x = GAP
            for picture in line:
                parts.append(_card(picture, x, y, height))
                x += _width(picture) + GAP
            y += height + GAP
    return _document("\n".join(parts), WIDTH, y)


def single(picture: Picture) -> str:
    """One panel with its title."""
    width, height = _width(picture), _height(picture)
    return _document(_card(picture, 1, 1, height), width + 2, height + 2)


def _lines(row: Sequence[Picture]) -> Iterator[list[Picture]]:
    line: list[Picture] = []
    for picture in row:
        if sum(one.panel.width for one in line) + picture.panel.width > COLUMNS:
            yield line
            line = []
        line.append(picture)
    yield line


def _width(picture: Picture) -> float:
    return (WIDTH - GAP) * picture.panel.width / COLUMNS - GAP


def _height(picture: Picture) -> float:
    return TITLE + 2 * PAD + (_scaled(picture)[1] if picture.svg else EMPTY_HEIGHT)


def _scaled(picture: Picture) -> tuple[float, float]:
    """Width and height of the drawing inside its card."""
    view = VIEW.search(picture.svg or "")
    if view is None:
        raise ValueError(f"the picture {picture.name} has no view box")
    width = _width(picture) - 2 * PAD
    return width, width * float(view[2]) / float(view[1])


def _card(picture: Picture, x: float, y: float, height: float) -> str:
    frame = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_width(picture):.1f}" height="{height:.1f}" rx="7" '
        f'fill="#fff" stroke="{RULE}"/>'
    )
    title = _text(x + PAD, y + PAD + 11, picture.panel.title, size=12.5, colour=INK, bold=True)
    if picture.svg is None:
        nothing = _text(x + PAD, y + TITLE + PAD + 22, picture.reason, size=11, colour=MUTED)
        return frame + title + nothing
    width, tall = _scaled(picture)
    place = f'<svg x="{x + PAD:.1f}" y="{y + PAD + TITLE:.1f}" width="{width:.1f}" height="{tall:.1f}" '
    return frame + title + picture.svg.replace("<svg ", place, 1)


def _text(x: float, y: float, text: str, *, size: float, colour: str, bold: bool = False) -> str:
    weight = ' font-weight="700"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}"{weight} fill="{colour}">{escape(text)}</text>'


def _document(content: str, width: float, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'font-family="{FONT}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}">\n'
        f'<rect width="100%" height="100%" fill="{FAINT}"/>\n{content}\n</svg>\n'
    )
