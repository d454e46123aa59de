"""The rules of user names, e-mails and passwords."""

from __future__ import annotations

import unicodedata

from services.kit.codec import Members
from services.kit.errors import Fault
from services.kit.names import normal_email, trimmed

MAX_USERNAME = 64
MIN_EMAIL, MAX_EMAIL = 3, 254
MIN_PASSWORD_BYTES, MAX_PASSWORD_BYTES = 8, 1024


def username(members: Members) -> str:
    """NFC, trimmed, 1 to 64 characters, none of them a control character."""
    value = unicodedata.normalize("NFC", _trimmed(members, "username"))
    if len(value) > MAX_USERNAME or any(unicodedata.category(character) == "Cc" for character in value):
        raise Members.fault("username", f"1 to {MAX_USERNAME} characters, no control characters")
    return value


def email(members: Members) -> str:
    """Trimmed and lower-cased."""
    value = normal_email(_trimmed(members, "email"))
    if not is_email(value):
        raise Members.fault("email", "an e-mail address")
    return value


def is_email(value: str) -> bool:
    """Whether a normalised value has the form of an address; only a message to it could tell more."""
    local, at, domain = value.partition("@")
    plain = "@" not in domain and not any(character.isspace() for character in value)
    return MIN_EMAIL <= len(value) <= MAX_EMAIL and bool(local and at and domain) and plain


def password(members: Members, *, minimum_bytes: int = 1) -> bytes:
    """As it was sent. A login gives no minimum: a short password is simply a wrong one."""
    value = members.string("password", nul=True).encode()
    if not minimum_bytes <= len(value) <= MAX_PASSWORD_BYTES:
        raise Members.fault("password", f"{MIN_PASSWORD_BYTES} to {MAX_PASSWORD_BYTES} bytes")
    return value


def _trimmed(members: Members, name: str) -> str:
    value = trimmed(members.string(name))
    if not value:
        raise Fault("missing_field", f"The member {name!r} is required.", details={"field": name})
    return value
