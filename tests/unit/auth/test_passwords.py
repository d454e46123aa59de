"""Password schemes: salted, self-describing, and independent of the setting in effect."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from typing import get_args

import pytest

from services.auth.passwords import (
    SCHEMES,
    Argon2id,
    Bcrypt,
    Passwords,
    Pbkdf2,
    Scheme,
    SchemeName,
    Scrypt,
    Sha256,
)

pytestmark = pytest.mark.unit

FORMS = {
    "argon2id": r"\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}",
    "scrypt": r"\$scrypt\$ln=14,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}",
    "bcrypt": r"\$2b\$10\$[./A-Za-z0-9]{53}",
    "pbkdf2": r"\$pbkdf2-sha256\$i=600000\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}",
    "sha256": r"\$sha256\$i=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}",
}
PASSWORD = b"Test@1234"
Observed = list[tuple[str, str]]


def salts() -> itertools.count[int]:
    return itertools.count(1)


def passwords(scheme: str, seen: Observed | None = None) -> Passwords:
    counter = salts()
    record = seen if seen is not None else []
    return Passwords(
        scheme, lambda: next(counter).to_bytes(16, "big"), lambda name, op, _: record.append((name, op))
    )


@pytest.mark.parametrize("name", SCHEMES)
def test_stored_form_names_scheme_and_parameters(name: str) -> None:
    assert re.fullmatch(FORMS[name], passwords(name).hash(PASSWORD))


@pytest.mark.parametrize("name", SCHEMES)
def test_right_password_only(name: str) -> None:
    keeper = passwords(name)
    stored = keeper.hash(PASSWORD)
    assert keeper.verify(PASSWORD, stored)
    assert not keeper.verify(PASSWORD + b"x", stored)
    assert not keeper.verify(b"", stored)


@pytest.mark.parametrize("name", SCHEMES)
def test_equal_passwords_get_different_strings(name: str) -> None:
    keeper = passwords(name)
    assert keeper.hash(PASSWORD) != keeper.hash(PASSWORD)


def test_login_verifies_the_scheme_that_the_string_names() -> None:
    seen: Observed = []
    keeper = passwords("sha256", seen)
    for name in SCHEMES:
        assert keeper.verify(PASSWORD, passwords(name).hash(PASSWORD))
    assert [entry for entry in seen if entry[1] == "verify"] == [(name, "verify") for name in SCHEMES]


def test_parameters_come_from_the_string_not_from_the_code() -> None:
    cheap: list[Scheme] = [Scrypt(log2_n=4, r=2), Pbkdf2(rounds=10), Bcrypt(cost=4)]
    keeper = passwords("sha256")
    for scheme in cheap:
        assert keeper.verify(PASSWORD, scheme.hash(PASSWORD, b"s" * 16))


def test_published_vectors() -> None:
    # RFC 7914, section 12 (the first 32 of its 64 bytes), and FIPS 180-4 for "abc"
    scrypt = Scrypt(log2_n=10, r=8, p=16).hash(b"password", b"NaCl")
    assert digest(scrypt) == "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
    sha256 = Sha256().hash(b"abc", b"")
    assert digest(sha256) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def digest(stored: str) -> str:
    return base64.b64decode(stored.rsplit("$", 1)[1] + "=").hex()


def test_bcrypt_sees_every_byte_of_a_long_password() -> None:
    keeper = passwords("bcrypt")
    stored = keeper.hash(b"a" * 1023 + b"b")
    assert keeper.verify(b"a" * 1023 + b"b", stored)
    assert not keeper.verify(b"a" * 1023 + b"c", stored)


LONG = b"long " * 20
CHEAP: list[Scheme] = [Argon2id(), Scrypt(log2_n=4, r=2), Pbkdf2(rounds=10), Bcrypt(cost=4), Sha256()]


@pytest.mark.parametrize("scheme", CHEAP, ids=lambda scheme: scheme.name)
@pytest.mark.parametrize(
    ("password", "twin"),
    [
        (PASSWORD, PASSWORD + b"\0"),
        (PASSWORD, PASSWORD + b"\0\0\0"),
        (PASSWORD, PASSWORD + b"\0" + PASSWORD),
        (PASSWORD, b"\0" + PASSWORD),
        (PASSWORD + b"\0", PASSWORD + b"\0\0"),
        (LONG, LONG + b"\0"),
        (LONG, hashlib.sha256(LONG).digest()),
        (LONG, base64.b64encode(hashlib.sha256(LONG).digest())),
    ],
)
def test_no_password_has_a_twin(scheme: Scheme, password: bytes, twin: bytes) -> None:
    """HMAC fills a short key up with NUL and hashes a long one; bcrypt repeats the password behind a NUL."""
    for one, other in ((password, twin), (twin, password)):
        stored = scheme.hash(one, b"s" * 16)
        assert scheme.verify(one, stored)
        assert not scheme.verify(other, stored)


@pytest.mark.parametrize(
    "stored",
    ["", "plain", "$md5$x$y", "$argon2id$v=19$broken", "$scrypt$ln=14$x", "$pbkdf2-sha256$i=x$AAAA$AAAA"],
)
def test_a_damaged_string_is_an_error_not_a_wrong_password(stored: str) -> None:
    with pytest.raises(ValueError, match=r"password|argon2id"):
        passwords("sha256").verify(PASSWORD, stored)


def test_the_setting_names_the_schemes_there_are() -> None:
    assert set(get_args(SchemeName)) == set(SCHEMES)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_dummy_is_of_the_scheme_in_effect(name: str) -> None:
    assert re.fullmatch(FORMS[name], passwords(name).dummy)
