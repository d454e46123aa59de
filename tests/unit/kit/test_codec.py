"""JSON, UUIDs, checksums and times."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import asyncpg.pgproto.pgproto as driver
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.codec import (
    MAX_JSON_BYTES,
    Members,
    decode,
    encode,
    is_uuid,
    parse_sha256,
    parse_uuid,
    rfc3339,
)
from services.kit.errors import Fault

pytestmark = pytest.mark.unit


def code_of(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(Fault) as caught:
        call(*args, **kwargs)
    return caught.value.code


class TestDecode:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b" ",
            b"{",
            b"nul",
            b"{} {}",
            b"{}x",
            b'{"a":1,"a":1}',
            b'{"x":{"a":1,"a":2}}',
            b"NaN",
            b"[Infinity]",
            b"-Infinity",
            b"\xff\xfe",
            b'"\xc3\x28"',
            b'"\\ud800"',
            b'{"\\udfff":1}',
            b"[" * 5000,
            b"'a'",
            b"[1,]",
        ],
    )
    def test_refused(self, body: bytes) -> None:
        assert code_of(decode, body) == "invalid_json"

    @pytest.mark.parametrize("body", [b"{}", b" [1] ", b'"\\ud83d\\ude00"', b"null", '{"ä":1}'.encode()])
    def test_taken(self, body: bytes) -> None:
        assert decode(body) == orjson.loads(body)

    def test_limit(self) -> None:
        assert decode(b'"' + b"x" * (MAX_JSON_BYTES - 2) + b'"')
        assert code_of(decode, b'"' + b"x" * (MAX_JSON_BYTES - 1) + b'"') == "body_too_large"

    @given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner, max_size=3)))
    def test_what_we_write_we_read(self, value: Any) -> None:
        assert decode(encode(value)) == value

    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_value_or_a_refusal(self, body: bytes) -> None:
        try:
            decode(body)
        except Fault as fault:
            assert fault.code == "invalid_json"


class TestMembers:
    known = frozenset({"name", "size", "id", "items"})

    def make(self, **values: Any) -> Members:
        return Members(values, self.known)

    def test_an_object_is_needed_and_unknown_members_are_named(self) -> None:
        assert code_of(Members, [], self.known) == "invalid_json"
        with pytest.raises(Fault) as caught:
            self.make(colour=1)
        assert (caught.value.code, caught.value.details) == ("unknown_field", {"field": "colour"})
        Members({"colour": 1}, known=None)

    @pytest.mark.parametrize("value", [None, "", []])
    @pytest.mark.parametrize("kind", ["string", "integer", "uuid", "array"])
    def test_empty_is_missing(self, kind: str, value: Any) -> None:
        assert code_of(getattr(self.make(name=value), kind), "name") == "missing_field"
        assert code_of(getattr(self.make(), kind), "name") == "missing_field"

    @pytest.mark.parametrize("value", [True, 5.0, "5", [5], {"a": 1}, 2**63])
    def test_what_is_no_integer(self, value: Any) -> None:
        assert code_of(self.make(size=value).integer, "size") == "invalid_field"

    @pytest.mark.parametrize("value", [5, True, "a\0b", "x" * 11, ["a"]])
    def test_what_is_no_string(self, value: Any) -> None:
        assert code_of(self.make(name=value).string, "name", maximum=10) == "invalid_field"

    def test_values(self) -> None:
        user = uuid4()
        members = self.make(name="n", size=0, id=str(user).upper(), items=[1])
        assert members.string("name") == "n"
        assert members.integer("size", minimum=0) == 0
        assert members.uuid("id") == user
        assert members.array("items") == [1]
        assert self.make().string("name", default="d") == "d"
        assert self.make(name=None).string("name", default=None) is None

    def test_types(self) -> None:
        assert code_of(self.make(id=5).uuid, "id") == "invalid_field"
        assert code_of(self.make(id="x").uuid, "id") == "invalid_uuid"
        assert code_of(self.make(items={"a": 1}).array, "items") == "invalid_field"


PLAIN = "6f1ed002-ab5d-4e3f-8a6b-3f1c9d2e4b5a"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        PLAIN.replace("-", ""),
        "{" + PLAIN + "}",
        f"urn:uuid:{PLAIN}",
        f"{PLAIN}\n",
        f" {PLAIN}",
        PLAIN.replace("6", "\uff16"),
    ],
)
def test_only_the_canonical_uuid(text: str) -> None:
    assert not is_uuid(text)
    assert code_of(parse_uuid, text, "id") == "invalid_uuid"


def test_uuid_in_either_case() -> None:
    value = uuid4()
    assert parse_uuid(str(value).upper(), "id") == value


@pytest.mark.parametrize("text", ["", "a" * 63, "a" * 65, "g" * 64, "a" * 64 + "\n"])
def test_what_is_no_checksum(text: str) -> None:
    assert code_of(parse_sha256, text) == "invalid_checksum"


def test_checksum_is_lower_case_inside() -> None:
    assert parse_sha256("AB" * 32) == "ab" * 32


def test_times_are_utc_with_six_digits() -> None:
    assert rfc3339(datetime(2026, 3, 4, 10, 15, 30, 123456, UTC)) == "2026-03-04T10:15:30.123456Z"
    east = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 3, 4, 1, 0, 0, 0, east)) == "2026-03-03T23:00:00.000000Z"


def test_encode_knows_uuids_of_the_driver_and_refuses_what_it_does_not_know() -> None:
    number = random.Random(1).randbytes(16)
    assert encode({"id": UUID(bytes=number)}) == encode({"id": driver.UUID(str(UUID(bytes=number)))})
    assert encode("</ä>") == '"</ä>"'.encode()
    for unknown in (object(), datetime.now(UTC), b"bytes"):
        with pytest.raises(TypeError):
            encode({"x": unknown})
