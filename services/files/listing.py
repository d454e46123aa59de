"""The SQL of the lists, put together from fixed pieces and kept by shape.

A shape is scope, sort, direction, filters and whether the page is found by key or by offset; at most
144 statements exist, and a list costs exactly one of them: the page and the total come together.
Reading by key never skips or repeats an unchanged file; an offset may, when files come and go.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from services.files.model import ListQuery, Scope, Sort
from services.kit.db import Statement

COLUMNS = """f.file_uuid, f.user_id, f.file_name, f.mime_type, f.size_bytes, f.created_at,
       p.file_uuid IS NOT NULL AS is_public, f.updated_at, {permission} AS permission, f.checksum"""
ACCESS = "CASE WHEN f.user_id = {user} THEN 'owner' ELSE COALESCE(s.permission, {public}) END"
PUBLIC = "CASE WHEN p.file_uuid IS NOT NULL THEN 'public' END"
_PUBLIC_JOIN = "LEFT JOIN public_files p ON p.file_uuid = f.file_uuid"
_SHARE_JOIN = "LEFT JOIN file_shares s ON s.file_uuid = f.file_uuid AND s.shared_with_user_id = $1"
_READABLE = "(f.user_id = $1 OR s.permission IS NOT NULL OR p.file_uuid IS NOT NULL)"

# scope: permission, tables that the filter needs, filter
_SCOPES = {
    Scope.OWNED: ("'owner'", "files f", "f.user_id = $1 AND f.deleted_at IS NULL"),
    Scope.SHARED: (
        "s.permission",
        "file_shares s JOIN files f ON f.file_uuid = s.file_uuid",
        "s.shared_with_user_id = $1 AND f.deleted_at IS NULL",
    ),
    Scope.SHORTCUTS: (
        ACCESS.format(user="$1", public=PUBLIC),
        f"file_shortcuts c JOIN files f ON f.file_uuid = c.file_uuid {_SHARE_JOIN} {_PUBLIC_JOIN}",
        f"c.user_id = $1 AND f.deleted_at IS NULL AND {_READABLE}",
    ),
}
_KEYS = {Sort.CREATED: "f.created_at", Sort.NAME: 'f.file_name COLLATE "C"', Sort.SIZE: "f.size_bytes"}
_EPOCH = "timestamptz 'epoch' + {value}::bigint * interval '1 microsecond'"
_VALUES = {Sort.CREATED: _EPOCH, Sort.NAME: "{value}::text", Sort.SIZE: "{value}::bigint"}


def statement(query: ListQuery, user_id: UUID) -> tuple[Statement, list[Any]]:
    """The statement of a list and its arguments; it yields ``size + 1`` rows when there is more, and at
    least one row (with a null id) to carry the total."""
    arguments: list[Any] = [user_id, query.size + 1]
    if query.name is not None:
        arguments.append(query.name.casefold())
    if query.prefix is not None:
        arguments += [query.prefix, beyond(query.prefix)]
    if query.after is not None:
        arguments += [query.after.value, query.after.file_id]
    elif query.page > 1:
        arguments.append((query.page - 1) * query.size)
    shape = _Shape(query)
    return _built(*shape.key), arguments


def beyond(prefix: str) -> str:
    """The first name, in byte order, that sorts behind every name with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class _Shape:
    def __init__(self, query: ListQuery) -> None:
        filters = (query.name is not None, query.prefix is not None)
        place = "key" if query.after is not None else "offset" if query.page > 1 else "first"
        self.key = (query.scope, query.sort, query.descending, filters, place)


@cache
def _built(scope: Scope, sort: Sort, descending: bool, filters: tuple[bool, bool], place: str) -> Statement:
    permission, tables, where = _SCOPES[scope]
    number = 3
    if filters[0]:
        where += f" AND position(${number} in f.folded_name) > 0"
        number += 1
    if filters[1]:  # a range in byte order, which the folder index serves whatever the collation
        where += f" AND f.file_name ~>=~ ${number} AND f.file_name ~<~ ${number + 1}"
        number += 2
    direction, compare = ("DESC", "<") if descending else ("ASC", ">")
    beyond, offset = "", ""
    if place == "key":
        value = _VALUES[sort].format(value=f"${number}")
        beyond = f" AND ({_KEYS[sort]}, f.file_uuid) {compare} ({value}, ${number + 1}::uuid)"
    elif place == "offset":
        offset = f" OFFSET ${number}"
    joined = tables if scope is Scope.SHORTCUTS else f"{tables} {_PUBLIC_JOIN}"
    # The outer join of one row with the page is a nested loop, which keeps the page's order.
    sql = f"""SELECT counted.total, page.* FROM
  (SELECT count(*) AS total FROM {tables} WHERE {where}) counted LEFT JOIN
  (SELECT {COLUMNS.format(permission=permission)} FROM {joined} WHERE {where}{beyond}
   ORDER BY {_KEYS[sort]} {direction}, f.file_uuid {direction} LIMIT $2{offset}) page ON true"""  # noqa: S608 - fixed pieces
    return Statement(f"files_list_{scope.value}", sql)
