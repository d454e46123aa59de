"""How a login ended; the metric's label."""

from __future__ import annotations

from enum import StrEnum


class LoginResult(StrEnum):
    OK = "ok"
    INVALID = "invalid"
    LIMITED = "limited"
    OVERLOADED = "overloaded"
    ERROR = "error"
