"""Just enough Markdown: pages, links, anchors and code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HIDDEN = (".", "results", "node_modules")


def pages() -> list[Path]:
    """Every page of the project."""
    found = ROOT.rglob("*.md")
    return sorted(page for page in found if not str(page.relative_to(ROOT)).startswith(HIDDEN))


def _prose(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """Targets of links and images."""
    text = re.sub(r"`[^`\n]*`", "", _prose(page))
    found = re.findall(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)", text)
    return found + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)


def anchors(page: Path) -> set[str]:
    """What headings can be linked to, in the form that code hosts make of them."""
    found = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", _prose(page)))
    for title in re.findall(r"^#+ (.*)$", _prose(page), re.MULTILINE):
        plain = re.sub(r"[`*_]|\[|\]\([^)]*\)", "", title.strip().lower())
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def code(page: Path) -> list[str]:
    """Blocks and spans of code."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return blocks + re.findall(r"`([^`\n]+)`", _prose(page))
