"""Parameters of lists, and cursors."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from multidict import MultiDict

from services.files import cursor
from services.files.model import ListQuery, Permission, Position, Scope, Sort, Summary
from services.files.parameters import list_query, one_of
from services.kit.errors import Fault

pytestmark = pytest.mark.unit
ID = UUID("0b8c8f0e-3c1a-4d0c-9d7e-000000000001")
FILE = Summary(
    ID,
    ID,
    "ü",
    "text/plain",
    7,
    datetime(2026, 3, 4, 10, 15, 30, 123456, UTC),
    False,
    datetime(2026, 3, 4, tzinfo=UTC),
    Permission.OWNER,
    None,
)


def parse(scope: Scope = Scope.OWNED, **parameters: str) -> ListQuery:
    return list_query(MultiDict(parameters), scope)


def test_defaults() -> None:
    assert parse() == ListQuery(Scope.OWNED, size=20, page=1, sort=Sort.CREATED, descending=True)


def test_everything_given() -> None:
    query = parse(page="3", size="100", sort="name", name="A", prefix="a/b")
    assert query == ListQuery(Scope.OWNED, 100, 3, Sort.NAME, False, "A", "a/b/")
    assert parse(sort="-size").descending


@pytest.mark.parametrize(
    ("given", "prefix"),
    [("a", "a/"), (" a/ ", "a/"), ("a /", "a /"), ("a/b /", "a/b /"), ("x" * 253, "x" * 253 + "/")],
)
def test_white_space_before_the_slash_belongs_to_the_folder(given: str, prefix: str) -> None:
    assert parse(prefix=given).prefix == prefix


@pytest.mark.parametrize(
    "parameters",
    [
        {"page": "0"},
        {"page": "10001"},
        {"page": "1.0"},
        {"page": "+1"},
        {"page": "٣"},
        {"size": "0"},
        {"size": "101"},
        {"size": ""},
        {"sort": "date"},
        {"sort": ""},
        {"sort": "--name"},
        {"name": ""},
        {"name": "x" * 256},
        {"name": "a\0"},
        {"name": "\ud800"},
        {"prefix": ""},
        {"prefix": "/"},
        {"prefix": "a//b"},
        {"prefix": "../"},
        {"cursor": "!"},
        {"cursor": ""},
        {"unknown": "1"},
        {"cursor": "e30", "page": "1"},
    ],
)
def test_anything_else_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(Fault) as caught:
        list_query(MultiDict(parameters), Scope.OWNED)
    assert caught.value.code == "invalid_query"


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(Fault):
        list_query(MultiDict([("size", "1"), ("size", "1")]), Scope.OWNED)


def test_only_the_owned_list_has_sources_and_the_store_only_size_and_cursor() -> None:
    assert parse(Scope.STORE, size="5", source="s3").size == 5
    for scope, parameters in (
        (Scope.SHARED, {"source": "postgres"}),
        (Scope.STORE, {"sort": "name"}),
        (Scope.STORE, {"page": "1"}),
    ):
        with pytest.raises(Fault):
            parse(scope, **parameters)


def test_fixed_options() -> None:
    assert one_of(MultiDict(), "delivery", ("a", "b")) == "a"
    assert one_of(MultiDict(delivery="b"), "delivery", ("a", "b")) == "b"
    for values in ([("delivery", "c")], [("delivery", "")], [("delivery", "a"), ("delivery", "b")]):
        with pytest.raises(Fault):
            one_of(MultiDict(values), "delivery", ("a", "b"))


@pytest.mark.parametrize("sort", ["created_at", "-name", "size"])
def test_a_cursor_leads_behind_its_file(sort: str) -> None:
    query = parse(sort=sort, size="5")
    text = cursor.write(query, cursor.position_of(FILE, query.sort))
    again = parse(sort=sort, size="7", cursor=text)
    values: dict[Sort, int | str] = {Sort.CREATED: 1_772_619_330_123_456, Sort.NAME: "ü", Sort.SIZE: 7}
    assert again.after == Position(values[query.sort], ID)
    assert (again.page, again.size) == (2, 7)


def test_a_cursor_of_another_list_sort_or_filter_is_refused() -> None:
    text = cursor.write(parse(), cursor.position_of(FILE, Sort.CREATED))
    for scope, parameters in (
        (Scope.SHARED, {}),
        (Scope.OWNED, {"sort": "created_at"}),
        (Scope.OWNED, {"name": "a"}),
        (Scope.OWNED, {"prefix": "a"}),
    ):
        with pytest.raises(Fault):
            parse(scope, cursor=text, **parameters)


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: [*parts, 1],
        lambda parts: parts[:3],
        lambda parts: [parts[0], 0, *parts[2:]],
        lambda parts: [parts[0], True, *parts[2:]],
        lambda parts: [*parts[:2], "text", parts[3]],
        lambda parts: [*parts[:2], True, parts[3]],
        lambda parts: [*parts[:2], 10**30, parts[3]],
        lambda parts: [*parts[:3], "no id"],
        lambda parts: [*parts[:3], None],
        lambda parts: {"a": 1},
    ],
)
def test_made_up_cursors_are_refused(change: object) -> None:
    assert callable(change)
    text = cursor.write(parse(), cursor.position_of(FILE, Sort.CREATED))
    parts = json.loads(base64.urlsafe_b64decode(text + "=="))
    forged = base64.urlsafe_b64encode(json.dumps(change(parts)).encode()).decode().rstrip("=")
    with pytest.raises(Fault):
        parse(cursor=forged)


@pytest.mark.parametrize("name", ["a\0", "\ud800", 5])
def test_made_up_names_are_refused(name: object) -> None:
    query = parse(sort="name")
    text = cursor.write(query, Position("a", ID))
    parts = json.loads(base64.urlsafe_b64decode(text + "=="))
    parts[2] = name
    forged = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")
    with pytest.raises(Fault):
        parse(sort="name", cursor=forged)
