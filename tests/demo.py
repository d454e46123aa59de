"""What ``make demo`` printed, read again."""

from __future__ import annotations

import re

_STEP = re.compile(r"(you(?:→[a-z]+)+) +([\d.]+) ")


def steps(output: str) -> list[tuple[str, float]]:
    """Who talked to whom in each step, and how many milliseconds it took."""
    return [(path, float(ms)) for path, ms in _STEP.findall(output)]
