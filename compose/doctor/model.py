"""One finding of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line. `remedy` says what to do when `status` is not ok."""

    area: str
    status: Status
    text: str
    remedy: str = ""


def judge(area: str, good: bool, text: str, remedy: str, otherwise: Status = "fail") -> Check:
    """`ok` when good, else `otherwise` with the remedy."""
    return Check(area, "ok", text) if good else Check(area, otherwise, text, remedy)
