"""Settings: every problem at once, secrets never shown."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from services.kit.codec import encode
from services.kit.settings import Key, ProcessSettings, SettingsError, Texts, Url, Urls, expected, public
from tests.environment import load

pytestmark = pytest.mark.unit
KEY = "0123456789" * 4


class Sample(ProcessSettings):
    sample_key: Key = Field(description="a key")
    mode: Literal["a", "b"] = Field("a", description="a mode")
    count: int = Field(1, ge=0, le=10, description="a count")
    share: float = Field(0.5, ge=0, le=1, description="a share")
    on: bool = Field(True, description="a switch")
    site: Url = Field("http://a", description="a URL")
    sites: Urls = Field(("http://a",), description="URLs")
    words: Texts = Field((), description="words")


GOOD = {"PORT": "9000", "SAMPLE_KEY": KEY}


def test_defaults_and_values() -> None:
    settings = load(Sample, {**GOOD, "MODE": "b", "UNKNOWN": "ignored"})
    assert (settings.port, settings.host, settings.mode) == (9000, "127.0.0.1", "b")
    assert settings.effective_admin_port == 9010
    assert load(Sample, {**GOOD, "ADMIN_PORT": "9999"}).effective_admin_port == 9999
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_an_empty_value_counts_as_none() -> None:
    assert load(Sample, {**GOOD, "MODE": "", "WORDS": ""}).mode == "a"
    with pytest.raises(SettingsError, match="PORT is not set"):
        load(Sample, {**GOOD, "PORT": ""})


def test_names_are_those_of_the_variables_and_no_others() -> None:
    with pytest.raises(SettingsError, match="PORT is not set"):
        load(Sample, {"port": "9000", "SAMPLE_KEY": KEY})
    assert load(Sample, {**GOOD, "HEAD_TIMEOUT_S": "3", "HEAD_S": "4"}).head_s == 3


def test_all_problems_come_at_once_and_secrets_are_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Sample, {"SAMPLE_KEY": "short", "MODE": "c", "LOG_LEVEL": "loud", "SITES": "x,y", "SHARE": "2"})
    assert caught.value.problems == [
        "PORT is not set: expected an integer, at least 1 and at most 65535",
        "LOG_LEVEL is 'loud': expected one of debug, info, warning, error",
        "SAMPLE_KEY is ***: expected a secret of at least 32 characters",
        "MODE is 'c': expected one of a, b",
        "SHARE is '2': expected a number, at least 0 and at most 1",
        "SITES is 'x,y': expected a comma list of http(s) URLs",
    ]
    assert caught.value.__suppress_context__, "the cause knows the secret"


def test_secrets_stay_out_of_public_and_repr() -> None:
    settings = load(Sample, GOOD)
    assert "SAMPLE_KEY" not in public(settings)
    assert public(settings)["PORT"] == 9000
    assert KEY not in repr(settings) + encode(public(settings)).decode()
    assert settings.sample_key.get_secret_value() == KEY


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("COUNT", "10", 10),
        ("SHARE", "0.5", 0.5),
        ("ON", "on", True),
        ("ON", "0", False),
        ("SITE", "http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("SITES", "http://a:1, https://b ,", ("http://a:1", "https://b")),
        ("WORDS", " a, ,b,", ("a", "b")),
        ("WORDS", ",", ()),
    ],
)
def test_what_is_read(key: str, raw: str, value: Any) -> None:
    assert getattr(load(Sample, {**GOOD, key: raw}), key.lower()) == value


@pytest.mark.parametrize(
    ("key", "raw"),
    [
        ("COUNT", "11"),
        ("COUNT", "1.5"),
        ("SHARE", "nan"),
        ("SHARE", "2"),
        ("ON", "maybe"),
        ("SITE", "ftp://a"),
        ("SITE", "http://"),
        ("SITE", "http://a/?q=1"),
        ("SITES", ","),
        ("SAMPLE_KEY", "0123456789" * 3),
    ],
)
def test_what_is_refused(key: str, raw: str) -> None:
    words = expected(Sample.model_json_schema()["properties"][key])
    with pytest.raises(SettingsError) as caught:
        load(Sample, {**GOOD, key: raw})
    shown = "***" if key == "SAMPLE_KEY" else repr(raw)
    assert caught.value.problems == [f"{key} is {shown}: expected {words}"]
