"""JSON in and out, UUIDs and times.

Requests are decoded strictly: UTF-8, one value, no duplicate member, no ``NaN``, no lone surrogate.
orjson writes; the standard library reads, because it alone can see duplicate members (a request of
this system is under 64 KiB, so that costs microseconds).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from services.kit.errors import Fault

MAX_JSON_BYTES = 65_536
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
MISSING: Any = object()


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _constant(name: str) -> Any:
    raise ValueError(name)


def decode(body: bytes) -> Any:
    """One JSON value.

    Raises:
        Fault: ``invalid_json`` or ``body_too_large``.
    """
    if len(body) > MAX_JSON_BYTES:
        raise Fault("body_too_large", f"A JSON body may hold at most {MAX_JSON_BYTES} bytes.")
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_constant)
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate cannot be stored
    except (ValueError, RecursionError) as error:
        raise Fault("invalid_json", "The body is not one valid JSON value in UTF-8.") from error
    return value


class Members:
    """Typed access to the members of a JSON object; each method names the field in its fault."""

    def __init__(self, value: Any, known: frozenset[str] | None) -> None:
        if not isinstance(value, dict):
            raise Fault("invalid_json", "The body must be a JSON object.")
        if known is not None:
            for name in value:
                if name not in known:
                    raise Fault(
                        "unknown_field", f"The member {name!r} is not known here.", details={"field": name}
                    )
        self._members: Mapping[str, Any] = value

    @staticmethod
    def fault(name: str, expected: str) -> Fault:
        return Fault("invalid_field", f"The member {name!r} must be {expected}.", details={"field": name})

    def _get(self, name: str, default: Any) -> Any:
        value = self._members.get(name)
        if value is None or value in ("", []):
            if default is not MISSING and value is None:
                return default
            raise Fault("missing_field", f"The member {name!r} is required.", details={"field": name})
        return value

    def string(
        self,
        name: str,
        *,
        minimum: int = 1,
        maximum: int = 65_536,
        default: Any = MISSING,
        nul: bool = False,
    ) -> str:
        """A string; with ``nul`` it may hold NUL, which a rule of its own judges (no table can store it)."""
        value = self._get(name, default)
        if value is default:
            return value  # type: ignore[no-any-return]
        if not isinstance(value, str) or not minimum <= len(value) <= maximum or ("\0" in value and not nul):
            raise self.fault(name, f"a string of {minimum} to {maximum} characters")
        return value

    def integer(self, name: str, *, minimum: int = -(2**63), maximum: int = 2**63 - 1) -> int:
        value = self._get(name, MISSING)
        if type(value) is not int or not minimum <= value <= maximum:
            raise self.fault(name, f"an integer from {minimum} to {maximum}")
        return value

    def uuid(self, name: str) -> UUID:
        value = self._get(name, MISSING)
        if not isinstance(value, str):
            raise self.fault(name, "a UUID string")
        return parse_uuid(value, name)

    def array(self, name: str) -> list[Any]:
        value = self._get(name, MISSING)
        if not isinstance(value, list):
            raise self.fault(name, "an array")
        return value


def parse_uuid(value: str, what: str) -> UUID:
    """The canonical 36-character form only, either case.

    Raises:
        Fault: ``invalid_uuid``.
    """
    if not _UUID.fullmatch(value):
        raise Fault("invalid_uuid", f"{what} is not a UUID in its canonical form.")
    return UUID(value)


def is_uuid(value: str) -> bool:
    return _UUID.fullmatch(value) is not None


def parse_sha256(value: str) -> str:
    """64 hexadecimal characters, lower-cased.

    Raises:
        Fault: ``invalid_checksum``.
    """
    if not _SHA256.fullmatch(value):
        raise Fault("invalid_checksum", "Checksum must be a SHA-256 as 64 hexadecimal characters.")
    return value.lower()


def rfc3339(moment: datetime) -> str:
    """UTC with microseconds and ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _default(value: Any) -> Any:
    if isinstance(value, UUID):  # the database driver's own class, which orjson does not know
        return str(value)
    raise TypeError(type(value).__name__)


def encode(value: Any) -> bytes:
    """JSON as bytes; UUIDs as text. Datetimes must be rendered with ``rfc3339`` before."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)
