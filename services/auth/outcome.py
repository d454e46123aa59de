"""How a login ended, and how its password was proven; the metric's labels."""

from __future__ import annotations

from enum import StrEnum


class LoginResult(StrEnum):
    OK = "ok"
    INVALID = "invalid"
    LIMITED = "limited"
    OVERLOADED = "overloaded"
    ERROR = "error"


class ProofLookup(StrEnum):
    """Whether the password had just been verified, and needed no hash."""

    HIT = "hit"
    MISS = "miss"
    OFF = "off"  # nothing is remembered
