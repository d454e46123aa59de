"""Reading k6's console file: whole lines count, torn ones do not, broken ones are told."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.harness.auditing.ledger_console import parse_console, read_console

pytestmark = pytest.mark.unit

USERS = ("user-0", "user-1")
INTENT = {"e": "i", "ref": "r1", "t": 1500, "u": 1, "n": 10, "h": "ab", "s": "proxy-chunked"}
ACK = {"e": "o", "ref": "r1", "ok": True, "id": "x", "t0": 1500, "t1": 1600, "t2": 1700, "t3": 1800,
       "step": None, "st": None, "code": None, "a": 1}  # fmt: skip
REFUSED = {**ACK, "ref": "r2", "ok": False, "id": None, "t1": None, "t2": None, "step": "session", "st": 0,
           "code": "transport-1212"}  # fmt: skip
STEP = {"e": "r", "step": "login", "t": 2000, "d": 12.5, "st": 200, "ok": True}


def text(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_lines_become_records_in_seconds() -> None:
    console = parse_console(text(INTENT, ACK, REFUSED, STEP), "t1", USERS)
    assert console.intents[0].user_id == "user-1"
    assert console.intents[0].at == 1.5
    acked, refused = console.outcomes
    assert (acked.acked, acked.started_at, acked.transferred_at, acked.ended_at) == (True, 1.5, 1.7, 1.8)
    assert (refused.step, refused.status, refused.error_code) == ("session", 0, "transport-1212")
    assert refused.authorised_at is None
    assert (console.steps[0].duration_ms, console.steps[0].started_at) == (12.5, 2.0)
    assert console.unreadable == 0


@given(cut=st.integers(1, len(text(ACK))))
def test_a_killed_k6_loses_only_its_last_line(cut: int) -> None:
    data = text(INTENT, ACK)[:-cut]
    console = parse_console(data, "t1", USERS)
    assert len(console.intents) == 1
    assert (console.outcomes, console.unreadable) == ((), 0)


@pytest.mark.parametrize(
    "line",
    [b"not json", b"[]", b"7", b'{"e":"x"}', b'{"e":"i"}', json.dumps({**INTENT, "u": 9}).encode()],
)
def test_a_broken_line_is_counted(line: bytes) -> None:
    console = parse_console(line + b"\n" + text(INTENT), "t1", USERS)
    assert (console.unreadable, len(console.intents)) == (1, 1)


def test_no_file_is_an_empty_console(tmp_path: Path) -> None:
    assert read_console(tmp_path / "none", "t1", USERS).intents == ()
