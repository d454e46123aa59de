"""Whether the store's clock agrees with ours: signatures hold the time."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

LIMIT_S = 60.0  # a store refuses signatures that are a quarter of an hour off


def ahead_s(date: str | None, now: float) -> float:
    """How far a ``Date`` header is ahead of ``now`` (seconds since the epoch); 0 where there is none."""
    try:
        return parsedate_to_datetime(date).timestamp() - now if date else 0.0
    except ValueError:
        return 0.0


def clock_note(ahead: float) -> str | None:
    """What ``/health/detailed`` says of it; None while it agrees."""
    if abs(ahead) <= LIMIT_S:
        return None
    direction = "ahead of" if ahead > 0 else "behind"
    return f"warning: the store's clock is {abs(ahead):.0f} s {direction} ours"
