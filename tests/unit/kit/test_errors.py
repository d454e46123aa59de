"""The error table and its one form."""

from __future__ import annotations

import re

import pytest

from services.kit.errors import RETRY_AFTER_S, STATUS, Fault, unavailable

pytestmark = pytest.mark.unit


def test_codes_are_stable_words_and_statuses_are_errors() -> None:
    for code, status in STATUS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
        assert 400 <= status <= 504
    assert set(RETRY_AFTER_S) <= set(STATUS)


def test_the_form_has_details_only_where_they_are_given() -> None:
    assert Fault("invalid_json", "no").body("r") == {
        "error": "invalid_json",
        "message": "no",
        "request_id": "r",
    }
    assert Fault("chunk_gap", "no", details={"missing": []}).body("r")["details"] == {"missing": []}


@pytest.mark.parametrize(("code", "seconds"), RETRY_AFTER_S.items())
def test_retry_after_comes_from_the_table_unless_given(code: str, seconds: int) -> None:
    assert Fault(code, "later").headers == {"Retry-After": str(seconds)}
    assert Fault(code, "later", headers={"Retry-After": "9"}).headers == {"Retry-After": "9"}


def test_unavailable_names_the_thing_and_not_its_place() -> None:
    fault = unavailable("database")
    assert (fault.code, fault.status) == ("dependency_unavailable", 503)
    assert "database" in fault.message


def test_an_unknown_code_cannot_be_rendered() -> None:
    with pytest.raises(KeyError):
        _ = Fault("made_up", "x").status
