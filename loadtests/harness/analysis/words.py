"""Numbers as words: few digits, units a newcomer knows, the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loadtests.harness.analysis.model import Ratio

MISSING = "–"
_KIB = 1024


def number(value: float | None) -> str:
    """Three significant digits at most, no exponent, no digits that mean nothing."""
    if value is None:
        return MISSING
    if value == 0 or abs(value) < 0.005:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.{2 if abs(value) < 10 else 0}f}"


def precise(value: float | None) -> str:
    """Three significant digits, for tables."""
    if value is None or value == 0 or not 0.005 <= abs(value) < 100:
        return number(value)
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def percent(share: float | None) -> str:
    if share is None:
        return MISSING
    digits = 0 if abs(share) >= 0.1 or round(share * 100, 6) == round(share * 100) else 1
    return f"{share * 100:.{digits}f} %"


def signed_percent(share: float) -> str:
    return f"{share * 100:+.0f} %"


def percent_interval(low: float | None, high: float | None) -> str:
    """Two signed shares as an interval."""
    return MISSING if low is None or high is None else f"{signed_percent(low)} to {signed_percent(high)}"


def milliseconds(value: float | None) -> str:
    """A duration given in milliseconds."""
    if value is None:
        return MISSING
    if value >= 1000:
        return f"{value / 1000:.{1 if value < 10_000 else 0}f} s"
    return f"{value:.{0 if value >= 9.95 else 1}f} ms"


def size(size_bytes: float | None) -> str:
    if size_bytes is None:
        return MISSING
    value, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value < _KIB:
            break
        value, unit = value / _KIB, larger
    return f"{value:.0f} {unit}" if value >= 100 or value.is_integer() else f"{value:.1f} {unit}"


def ratio(found: Ratio) -> str:
    """The ratio with its interval, as in "1.4 times (1.3 to 1.5)"."""
    return times(found) + bounds(found)


def standing(found: Ratio, base: str) -> str:
    """The verdict as said of the ratio's arm alone: "slower than proxy", never a bare "slower"."""
    verdict = found.verdict
    if verdict is None:
        return f"none: {found.refused}"
    if verdict == "~":
        return f"no difference from {base} shown"
    kind, _, rest = verdict.partition(" ")
    return f"equal to {base} {rest}" if kind == "equivalent" else f"{kind} than {base} {rest}".rstrip()


def faster_first(found: Ratio) -> Ratio:
    """The same ratio with the faster arm on top, and its verdict turned round with it."""
    if found.value is None or found.value >= 1:
        return found
    turned: dict[str, Any] = {"base": found.arm, "arm": found.base, "value": 1 / found.value}
    turned["low"] = 1 / found.high if found.high else None
    turned["high"] = 1 / found.low if found.low else None
    turned["verdict"] = found.verdict.replace("slower", "faster") if found.verdict else None
    return found.model_copy(update=turned)


def times(found: Ratio) -> str:
    return MISSING if found.value is None else f"{found.value:.{_ratio_digits(found)}f} times"


def bounds(found: Ratio) -> str:
    """The interval in brackets, empty where there is none."""
    if found.low is None or found.high is None:
        return ""
    digits = _ratio_digits(found)
    return f" ({found.low:.{digits}f} to {found.high:.{digits}f})"


def _ratio_digits(found: Ratio) -> int:
    """As many digits as it takes to tell the interval from the value, at most three, and two rather than one
    to tell its ends from 1."""
    if found.value is None or found.low is None or found.high is None:
        return 2
    interval = (found.low, found.value, found.high)
    if _differ(interval, 1) and _differ((found.low, 1.0), 1) and _differ((found.high, 1.0), 1):
        return 1
    return 2 if _differ(interval, 2) else 3


def _differ(values: tuple[float, ...], digits: int) -> bool:
    return len({f"{value:.{digits}f}" for value in values}) == len(values)


def span(*shares: float | None) -> str:
    """One percentage, or the range of several; empty when none is known."""
    known = sorted({round((share or 0) * 100) for share in shares if share is not None})
    if not known:
        return ""
    return f"{known[0]} %" if len(known) == 1 else f"{known[0]} to {known[-1]} %"


def count(amount: int, noun: str) -> str:
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def short_names(arms: Sequence[str], deciding: Sequence[str]) -> dict[str, str]:
    """ "proxy" and "direct" for the arms compared, where that is not ambiguous; else the full name."""
    firsts = [arm.split("-")[0] for arm in deciding]
    return {
        arm: arm.split("-")[0] if arm in deciding and firsts.count(arm.split("-")[0]) == 1 else arm
        for arm in arms
    }
