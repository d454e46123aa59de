"""The base of every record that a run leaves behind."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

_UNITS = {
    "": 1, "B": 1,
    "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3,
    "KB": 1000, "MB": 1000**2, "GB": 1000**3,
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


class Record(BaseModel):
    """Immutable, and an unknown member is an error.

    In every record times are seconds since the epoch by the harness host's clock, sizes are bytes, and what
    was not measured is ``None``, never zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse_size(text: str) -> int:
    """Bytes from ``1048576``, ``1MiB``, ``1.5 MB``. Raises ``ValueError``."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[2].upper() not in _UNITS:
        raise ValueError(text)
    return round(float(match[1]) * _UNITS[match[2].upper()])


def _bytes(value: Any) -> int:
    try:
        return parse_size(str(value))
    except ValueError:
        raise ValueError("expected bytes or a size such as 1MiB") from None


Size = Annotated[int, BeforeValidator(_bytes)]  # bytes, or as people write it
