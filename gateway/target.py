"""The request target: one normal form, which is both what is matched and what is forwarded.

Percent escapes are decoded once, then ``//``, ``.`` and ``..`` are resolved, so no spelling of a path
reaches a service that the route table did not see. What follows the path of a route that takes the whole
rest is a name, not a path: it is only decoded.
"""

from __future__ import annotations

import re
from collections.abc import Container
from urllib.parse import quote, unquote

_PLAIN = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?")
_UNRESERVED = ""  # quote() always leaves letters, digits and _.-~ alone
_QUERY_SAFE = "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~"


class BadTargetError(ValueError):
    """A request target that has no path of ours: neither origin form nor absolute form."""


def split(target: str, rests: Container[str] = ()) -> tuple[str, str]:
    """Decoded, normalised path and raw query.

    Args:
        rests: beginnings of paths, with their last ``/``, behind which nothing is resolved.

    Raises:
        BadTargetError: asterisk or authority form, or a fragment.
    """
    path, _, query = target.partition("?")
    if "#" in target:
        raise BadTargetError(target)
    if not _PLAIN.fullmatch(path):
        path = _normal(_origin_form(path), rests)
    if not query.isascii():
        query = quote(query.encode("utf-8", "surrogateescape"), safe=_QUERY_SAFE)
    return path, query


def _origin_form(path: str) -> str:
    if path.startswith("/"):
        return path
    scheme, separator, rest = path.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        raise BadTargetError(path)
    return "/" + rest.partition("/")[2]


def _normal(path: str, rests: Container[str]) -> str:
    kept: list[str] = []
    segments = unquote(path, errors="surrogateescape").split("/")[1:]
    for number, segment in enumerate(segments):
        beginning = "/".join(("", *kept, ""))
        if beginning in rests:
            return beginning + "/".join(segments[number:])
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in {"", "."}:
            kept.append(segment)
    slash = "/" if kept and segments[-1] in {"", ".", ".."} else ""
    return "/" + "/".join(kept) + slash


def escaped(segment: str) -> str:
    """One decoded segment in the form it is forwarded in."""
    return quote(segment.encode("utf-8", "surrogateescape"), safe=_UNRESERVED)
