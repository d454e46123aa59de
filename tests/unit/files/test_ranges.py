"""Which bytes a request gets, from its headers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.files.ranges import Wanted, wanted
from services.kit.errors import Fault
from services.kit.s3 import ByteRange

pytestmark = pytest.mark.unit
ETAG, MODIFIED = '"abc"', datetime(2026, 3, 4, 10, 15, 30, 123456, UTC)
DATE = "Wed, 04 Mar 2026 10:15:30 GMT"


def judge(size: int = 10, **headers: str) -> Wanted:
    return wanted({name.replace("_", "-"): value for name, value in headers.items()}, size, ETAG, MODIFIED)


@pytest.mark.parametrize(
    ("given", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=2-4", 2, 4),
        ("bytes=2-", 2, 9),
        ("bytes=2-99", 2, 9),
        ("bytes=-3", 7, 9),
        ("bytes=-99", 0, 9),
        (" bytes= 2-4 ", 2, 4),
        ("Bytes=2-4", 2, 4),
        ("bytes=002-0004", 2, 4),
        ("bytes=2-" + "9" * 30, 2, 9),
        ("bytes=-" + "9" * 5_000, 0, 9),
    ],
)
def test_one_range(given: str, first: int, last: int) -> None:
    assert judge(Range=given) == Wanted(byte_range=ByteRange(first, last))


@pytest.mark.parametrize(
    "given",
    [
        "bytes=0-1,3-4",
        "bytes=4-2",
        "bytes=-",
        "bytes=a-b",
        "items=0-1",
        "",
        "bytes=0-1;x",
        "0-1",
        "bytes=\u0661-\u0662",
    ],
)
def test_what_is_no_single_range_gets_the_whole_file(given: str) -> None:
    assert judge(Range=given) == Wanted()


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-12", 10),
        ("bytes=-0", 10),
        ("bytes=-000", 10),
        ("bytes=0-", 0),
        ("bytes=" + "9" * 30 + "-", 10),
        ("bytes=" + "9" * 5_000 + "-" + "9" * 30, 10),
    ],
)
def test_unsatisfiable(given: str, size: int) -> None:
    with pytest.raises(Fault) as caught:
        judge(size, Range=given)
    assert caught.value.status == 416
    assert caught.value.headers["Content-Range"] == f"bytes */{size}"


@pytest.mark.parametrize(
    ("condition", "fresh"),
    [
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ("*", True),
        ('"x"', False),
        ("abc", False),
        ("", False),
    ],
)
def test_if_none_match(condition: str, fresh: bool) -> None:
    assert judge(If_None_Match=condition, Range="bytes=99-") == Wanted(fresh=True) if fresh else True
    assert judge(If_None_Match=condition).fresh is fresh


@pytest.mark.parametrize(
    ("condition", "partial"),
    [
        ('"abc"', True),
        ('"x"', False),
        ('W/"abc"', False),
        (DATE, True),
        ("Wed, 04 Mar 2026 10:15:31 GMT", False),
    ],
)
def test_if_range(condition: str, partial: bool) -> None:
    assert (judge(If_Range=condition, Range="bytes=1-2").byte_range is not None) is partial


def test_an_unknown_etag_is_never_equal() -> None:
    assert wanted({"If-None-Match": '""'}, 1, None, MODIFIED) == Wanted()
