"""Query parameters of lists and downloads, judged strictly where the list says so."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace

from multidict import MultiMapping

from services.files import cursor
from services.files.errors import invalid_folder, invalid_query
from services.files.model import FolderQuery, ListQuery, Scope, Sort
from services.kit.errors import Fault
from services.kit.names import MAX_NAME_CHARACTERS, file_name, trimmed

DEFAULT_SIZE, MAX_SIZE = 20, 100
_NUMBER = re.compile(r"[1-9][0-9]{0,5}")
_PAGED = frozenset({"page", "size", "cursor", "sort", "name", "prefix"})
_PARAMETERS = {
    Scope.OWNED: _PAGED | {"source"},
    Scope.SHARED: _PAGED,
    Scope.SHORTCUTS: _PAGED,
    Scope.STORE: frozenset({"size", "cursor", "source"}),
}
_FOLDERS = frozenset({"page", "size", "prefix"})
_SURROGATE = re.compile("[\ud800-\udfff]")
_SORTS = {f"{sign}{sort}": (sort, bool(sign)) for sort in Sort for sign in ("", "-")}


def _single(query: MultiMapping[str], allowed: frozenset[str]) -> dict[str, str]:
    """Every parameter known and given once."""
    values: dict[str, str] = {}
    for name, value in query.items():
        if name not in allowed:
            raise invalid_query(f"The parameter {name[:40]!r} is not known here.")
        if name in values:
            raise invalid_query(f"The parameter {name!r} is given twice.")
        values[name] = value
    return values


def _number(values: Mapping[str, str], name: str, default: int, maximum: int) -> int:
    text = values.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or int(text) > maximum:
        raise invalid_query(f"{name} must be a whole number from 1 to {maximum}.")
    return int(text)


def _name(values: Mapping[str, str]) -> str | None:
    text = values.get("name")
    if text is None:
        return None
    if not 1 <= len(text) <= MAX_NAME_CHARACTERS or "\0" in text or _SURROGATE.search(text):
        raise invalid_query(f"name must have 1 to {MAX_NAME_CHARACTERS} characters.")
    return unicodedata.normalize("NFC", text)


def folder_prefix(text: str) -> str:
    """A folder as names begin in it: the file name rule, and one final ``/``.

    It is judged as part of a name, so that white space before its ``/`` stays: a folder may end in it.

    Raises:
        Fault: ``invalid_file_name``.
    """
    return file_name(f"{trimmed(text).removesuffix('/')}/x").removesuffix("x")


def folder(text: str) -> str:
    """``folder_prefix`` for what a request names as a folder.

    Raises:
        Fault: ``invalid_folder``.
    """
    try:
        return folder_prefix(text)
    except Fault as fault:
        raise invalid_folder(f"This is not a folder. {fault.message}") from fault


def folder_query(query: MultiMapping[str]) -> FolderQuery:
    """The page of folders that a request asks for; without a prefix the outermost.

    Raises:
        Fault: ``invalid_query``, ``invalid_folder``.
    """
    values = _single(query, _FOLDERS)
    prefix = values.get("prefix")
    return FolderQuery(
        prefix=folder(prefix) if prefix else "",
        page=_number(values, "page", 1, cursor.MAX_PAGE),
        size=_number(values, "size", DEFAULT_SIZE, MAX_SIZE),
    )


def _prefix(values: Mapping[str, str]) -> str | None:
    text = values.get("prefix")
    if text is None:
        return None
    try:
        return folder_prefix(text)
    except Fault as fault:
        raise invalid_query(f"prefix is not a folder. {fault.message}") from fault


def _sort(values: Mapping[str, str]) -> tuple[Sort, bool]:
    text = values.get("sort", "-created_at")
    if text not in _SORTS:
        raise invalid_query("sort must be created_at, name or size, with - in front for descending.")
    return _SORTS[text]


def list_query(query: MultiMapping[str], scope: Scope) -> ListQuery:
    """The page of a list that a request asks for; ``source`` is the handler's.

    Raises:
        Fault: ``invalid_query`` for anything unknown, doubled or out of range.
    """
    values = _single(query, _PARAMETERS[scope])
    sort, descending = _sort(values)
    asked = ListQuery(
        scope=scope,
        size=_number(values, "size", DEFAULT_SIZE, MAX_SIZE),
        page=_number(values, "page", 1, cursor.MAX_PAGE),
        sort=sort,
        descending=descending,
        name=_name(values),
        prefix=_prefix(values),
    )
    if "cursor" not in values:
        return asked
    if "page" in values:
        raise invalid_query("cursor and page exclude each other.")
    return cursor.read(values["cursor"], replace(asked, page=1))


def one_of(query: MultiMapping[str], name: str, options: tuple[str, ...]) -> str:
    """The value of a parameter with fixed options; the first one is the default."""
    values = query.getall(name, [options[0]])
    if len(values) != 1 or values[0] not in options:
        raise invalid_query(f"{name} must be {' or '.join(options)}.")
    return values[0]
