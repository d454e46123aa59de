"""Overrides: honoured, or refused with what is allowed."""

from __future__ import annotations

import pytest

from loadtests.harness.planning.overrides import OverrideError, parse_size, read_overrides

pytestmark = pytest.mark.unit

STRATEGIES = ["proxy-chunked", "direct-multipart"]


def test_defaults() -> None:
    found = read_overrides({}, STRATEGIES)
    assert (found.profile, found.scale, found.vus, found.strategies, found.login_each) == (
        "ci",
        1.0,
        None,
        None,
        False,
    )
    assert found.given == {}


def test_all_are_read() -> None:
    given = {
        "PROFILE": "full", "SCALE": "0.5", "VUS": "12", "FILE_SIZE": "1.5 MiB",
        "STRATEGIES": "direct-multipart, proxy-chunked", "LOGIN": "each",
    }  # fmt: skip
    found = read_overrides(given, STRATEGIES)
    assert (found.profile, found.scale, found.vus) == ("full", 0.5, 12)
    assert found.file_size_bytes == 1_572_864
    assert found.strategies == ("direct-multipart", "proxy-chunked")
    assert found.login_each
    assert found.given == given


def test_every_wrong_value_is_named_with_what_is_allowed() -> None:
    wrong = {
        "PROFILE": "quick", "SCALE": "many", "VUS": "0", "FILE_SIZE": "1 floppy",
        "STRATEGIES": "carrier-pigeon",
        "LOGIN": "maybe",
    }  # fmt: skip
    with pytest.raises(OverrideError) as caught:
        read_overrides(wrong, STRATEGIES)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(wrong)
    for part in ("smoke or ci or full", "carrier-pigeon not known", "proxy-chunked, direct-multipart"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"), [("64", 64), ("1KiB", 1024), ("2 mb", 2_000_000), ("1GiB", 1024**3)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_a_strategy_named_twice_is_refused() -> None:
    with pytest.raises(OverrideError, match="each name once"):
        read_overrides({"STRATEGIES": "proxy-chunked,proxy-chunked"}, STRATEGIES)
    with pytest.raises(OverrideError, match="some of proxy-chunked, direct-multipart"):
        read_overrides({"STRATEGIES": " ,"}, STRATEGIES)


def test_a_misspelt_word_behind_make_is_refused() -> None:
    with pytest.raises(OverrideError, match="PROFIEL is not known; expected PROFILE"):
        read_overrides({"MAKEFLAGS": "w -- PROFIEL=smoke PYTHON=python3.12"}, STRATEGIES)
    assert read_overrides({"MAKEFLAGS": " -- PROFILE=ci", "PROFILE": "ci"}, STRATEGIES).profile == "ci"
