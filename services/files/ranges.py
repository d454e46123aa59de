"""Conditional and partial reads: which bytes a request gets, decided from its headers alone (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from services.files.errors import range_not_satisfiable
from services.kit.s3 import ByteRange, same_etag

_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
_BEYOND = 2**63  # no file is as long
_ETAG = re.compile(r'(?:W/)?("[^"]*")')


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to answer: 304 when ``fresh``, else the whole file or one range."""

    fresh: bool = False
    byte_range: ByteRange | None = None


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def wanted(
    headers: Mapping[str, str],
    size_bytes: int,
    etag: str | None,
    modified_at: datetime,
    *,
    ranges: bool = True,
) -> Wanted:
    """Judge ``If-None-Match``, ``If-Range`` and ``Range``; without ``ranges`` only the first.

    Several ranges, another unit and malformed ranges are answered with the whole file.

    Raises:
        Fault: ``range_not_satisfiable``.
    """
    if _matches_any(headers.get("If-None-Match"), etag):
        return Wanted(fresh=True)
    given = headers.get("Range")
    if given is None or not ranges or not _same_version(headers.get("If-Range"), etag, modified_at):
        return Wanted()
    return Wanted(byte_range=_one_range(given, size_bytes))


def _matches_any(condition: str | None, etag: str | None) -> bool:
    if condition is None:
        return False
    if condition.strip() == "*":
        return True
    return etag is not None and any(same_etag(one, etag) for one in _ETAG.findall(condition))


def _same_version(condition: str | None, etag: str | None, modified_at: datetime) -> bool:
    """``If-Range`` compares strongly: a weak tag never matches, a date only exactly."""
    if condition is None:
        return True
    condition = condition.strip()
    if condition.startswith('"'):
        return etag is not None and same_etag(condition, etag)
    return condition == http_date(modified_at)


def _one_range(given: str, size_bytes: int) -> ByteRange | None:
    match = _ONE_RANGE.fullmatch(given.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first_text, last_text = match.groups()
    if not first_text:  # the last bytes of the file
        first, last = max(0, size_bytes - _number(last_text)), size_bytes - 1
    else:
        first = _number(first_text)
        last = _number(last_text) if last_text else size_bytes - 1
        if last_text and last < first:
            return None
        last = min(last, size_bytes - 1)
    if first > last or first >= size_bytes:
        raise range_not_satisfiable(size_bytes)
    return ByteRange(first, last)


def _number(digits: str) -> int:
    """Digits may be as many as a header holds; beyond any file it does not matter which."""
    shown = digits.lstrip("0")
    return int(shown or "0") if len(shown) < 19 else _BEYOND
