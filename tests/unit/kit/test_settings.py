"""Settings: every problem at once, secrets never shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from services.kit.settings import (
    Parser,
    ProcessSettings,
    Secret,
    SettingsError,
    choice,
    integer,
    load,
    number,
    public,
    secret,
    setting,
    switch,
    text_list,
    url,
    url_list,
)

pytestmark = pytest.mark.unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(ProcessSettings):
    key: Secret = setting("SAMPLE_KEY", secret(8), help="a key")
    mode: str = setting("MODE", choice("a", "b"), "a", help="a mode")


GOOD = {"PORT": "9000", "SAMPLE_KEY": "12345678"}


def test_defaults_and_values() -> None:
    settings = load(Sample, {**GOOD, "MODE": "b", "UNKNOWN": "ignored"})
    assert (settings.port, settings.host, settings.mode) == (9000, "127.0.0.1", "b")
    assert settings.effective_admin_port == 9010
    assert load(Sample, {**GOOD, "ADMIN_PORT": "9999"}).effective_admin_port == 9999


def test_an_empty_value_counts_as_none() -> None:
    assert load(Sample, {**GOOD, "MODE": ""}).mode == "a"


def test_all_problems_come_at_once_and_secrets_are_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Sample, {"SAMPLE_KEY": "short", "MODE": "c", "LOG_LEVEL": "loud"})
    assert sorted(caught.value.problems) == [
        "LOG_LEVEL is 'loud': expected one of debug, info, warning, error",
        "MODE is 'c': expected one of a, b",
        "PORT is not set: expected an integer, at least 1 and at most 65535",
        "SAMPLE_KEY is ***: expected a secret of at least 8 bytes",
    ]


def test_secrets_stay_out_of_public_and_repr() -> None:
    settings = load(Sample, GOOD)
    assert "SAMPLE_KEY" not in public(settings)
    assert public(settings)["PORT"] == 9000
    assert "12345678" not in repr(settings)
    assert settings.key == "12345678"


@pytest.mark.parametrize(
    ("parser", "raw", "value"),
    [
        (integer(0, 10), "10", 10),
        (number(0, 1), "0.5", 0.5),
        (switch(), "on", True),
        (switch(), "0", False),
        (url(), "http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        (url_list(), "http://a:1, https://b ,", ("http://a:1", "https://b")),
        (text_list(), " a, ,b,", ("a", "b")),
        (text_list(), ",", ()),
    ],
)
def test_what_is_read(parser: Parser, raw: str, value: Any) -> None:
    assert parser.read(raw) == value


@pytest.mark.parametrize(
    ("parser", "raw"),
    [
        (integer(0, 10), "11"),
        (integer(0, 10), "1.0"),
        (number(0, 1), "nan"),
        (number(0, 1), "2"),
        (switch(), "yes"),
        (url(), "ftp://a"),
        (url(), "http://"),
        (url(), "http://a/?q=1"),
        (url_list(), ","),
        (secret(4), "ä"),
    ],
)
def test_what_is_refused(parser: Parser, raw: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        parser.read(raw)
    assert parser.expected
