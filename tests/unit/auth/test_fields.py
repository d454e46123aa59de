"""The rules of user names, e-mails and passwords."""

from __future__ import annotations

import pytest

from services.auth import fields
from services.kit.codec import Members
from services.kit.errors import Fault

pytestmark = pytest.mark.unit


def members(**values: object) -> Members:
    return Members(values, known=None)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("a", "a"),
        (" user_1 ", "user_1"),
        ("x" * 64, "x" * 64),
        ("Z\u0061\u0308hne", "Z\u00e4hne"),
        ("\u3000n\u00a0", "n"),
    ],
)
def test_username_is_normalised(raw: str, value: str) -> None:
    assert fields.username(members(username=raw)) == value


@pytest.mark.parametrize("raw", ["x" * 65, "a\x07b", "a\x85b", "\x1cab", "ab\x1f", 5, True, ["a"], {}])
def test_username_refused(raw: object) -> None:
    with pytest.raises(Fault, match="invalid_field") as caught:
        fields.username(members(username=raw))
    assert caught.value.details == {"field": "username"}


@pytest.mark.parametrize("name", ["username", "email", "password"])
@pytest.mark.parametrize("raw", ["", None, "absent"])
def test_missing(name: str, raw: object) -> None:
    given = members() if raw == "absent" else members(**{name: raw})
    with pytest.raises(Fault, match="missing_field") as caught:
        getattr(fields, name)(given)
    assert caught.value.details == {"field": name}


def test_white_space_alone_is_missing() -> None:
    with pytest.raises(Fault, match="missing_field"):
        fields.username(members(username=" \u2003 "))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (" Test-1@GoVault.com ", "test-1@govault.com"),
        ("a@b", "a@b"),
        ("x" * 250 + "@b.c", "x" * 250 + "@b.c"),
        ("+@-", "+@-"),
    ],
)
def test_email_is_normalised(raw: str, value: str) -> None:
    assert fields.email(members(email=raw)) == value


@pytest.mark.parametrize(
    "raw", ["ab", "abc", "@b.c", "a@", "a@b@c", "a b@c", "a@b\tc", "x" * 251 + "@b.c", 1]
)
def test_email_refused(raw: object) -> None:
    with pytest.raises(Fault, match="invalid_field"):
        fields.email(members(email=raw))


@pytest.mark.parametrize("raw", ["12345678", " 234567 ", "ä" * 4, "x" * 1024, "ä" * 512, "1234567\0"])
def test_password_counts_bytes_and_is_never_trimmed(raw: str) -> None:
    assert fields.password(members(password=raw), minimum_bytes=8) == raw.encode()


@pytest.mark.parametrize("raw", ["1234567", "äää1", "x" * 1025, "ä" * 513, 12345678])
def test_password_refused(raw: object) -> None:
    with pytest.raises(Fault, match="invalid_field") as caught:
        fields.password(members(password=raw), minimum_bytes=8)
    assert str(raw) not in caught.value.message


def test_a_login_may_try_a_short_password() -> None:
    assert fields.password(members(password="wrong")) == b"wrong"
