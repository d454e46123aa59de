"""Cursors: where a list goes on, opaque to clients, good only for the same list, sort and filters.

A cursor is not secret and not signed: it says nothing that its holder may not see, and a made-up one
only selects another place in the holder's own list.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import replace
from uuid import UUID

from services.files.errors import invalid_query
from services.files.model import ListQuery, Position, Sort, Summary
from services.kit.codec import encode, is_uuid

MAX_CHARACTERS = 2_048
MAX_PAGE = 10_000
_BIGINT = 2**63
_YEAR_10000_US = 253_402_300_800 * 1_000_000
_SURROGATE = re.compile("[\ud800-\udfff]")


def _fingerprint(query: ListQuery) -> str:
    facts = encode([query.scope, query.sort, query.descending, query.name, query.prefix])
    return hashlib.blake2b(facts, digest_size=6).hexdigest()


def position_of(file: Summary, sort: Sort) -> Position:
    if sort is Sort.NAME:
        return Position(file.name, file.file_id)
    if sort is Sort.SIZE:
        return Position(file.size_bytes, file.file_id)
    at = file.created_at
    return Position(int(at.timestamp()) * 1_000_000 + at.microsecond, file.file_id)


def write(query: ListQuery, last: Position) -> str:
    """The cursor that leads to the page behind ``last``."""
    parts = [_fingerprint(query), min(query.page + 1, MAX_PAGE), last.value, last.file_id]
    return base64.urlsafe_b64encode(encode(parts)).decode().rstrip("=")


def read(text: str, query: ListQuery) -> ListQuery:
    """``query`` placed where the cursor says.

    Raises:
        Fault: ``invalid_query``, also for a cursor of another list, sort or filter.
    """
    problem = invalid_query("The cursor is not one that this list gave out.")
    try:
        if len(text) > MAX_CHARACTERS:
            raise problem
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        fingerprint, page, value, file_id = json.loads(raw)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise problem from error
    known = fingerprint == _fingerprint(query) and isinstance(file_id, str) and is_uuid(file_id)
    if not known or type(page) is not int or not 1 <= page <= MAX_PAGE or not _fits(value, query):
        raise problem
    return replace(query, page=page, after=Position(value, UUID(file_id)))


def _fits(value: object, query: ListQuery) -> bool:
    if query.sort is Sort.NAME:
        return isinstance(value, str) and "\0" not in value and not _SURROGATE.search(value)
    limit = _YEAR_10000_US if query.sort is Sort.CREATED else _BIGINT
    return type(value) is int and -limit < value < limit
