"""Numbers as words: few digits, units a newcomer knows, the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from loadtests.harness.records.plan import NOBODY, Arm
from loadtests.harness.records.result import Interval

MISSING = "–"
UNITS = {"block": "block of turns", "instance": "making of the stacks"}  # of a ratio, in words
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
    """What is not nothing never reads as 0 %, however small it is."""
    return MISSING if share is None else f"{share * 100:.{_decimals(share)}f} %"


def _decimals(share: float) -> int:
    """Of a percentage: none from 10 % on or where it is whole, else one, or what its first digit takes."""
    value = abs(share * 100)
    if value >= 10 or round(value, 6) == round(value):
        return 0
    return 1 if value >= 0.1 else -math.floor(math.log10(value))


def percent_interval(found: Interval) -> str:
    """A share and its interval: "19 % (18 % to 20 %)". Of none, or of all, only the end that says something:
    "0 % (at most 0.05 %)"."""
    value, low, high = found.value, found.low, found.high
    if value is None or low is None or high is None:
        return percent(value)
    if value == low == 0 < high:
        return f"0 % (at most {percent(high)})"
    if low < high == value == 1:
        return f"100 % (at least {low * 100:.{_decimals(1 - low)}f} %)"
    nothing = low < 0 < high and round(value, 3) == 0  # beside such ends its digits are noise
    return f"{percent(0 if nothing else value)} ({percent(low)} to {percent(high)})"


def milliseconds(value: float | None) -> str:
    """A duration given in milliseconds."""
    if value is None:
        return MISSING
    if value >= 1000:
        return f"{value / 1000:.{1 if value < 10_000 else 0}f} s"
    return f"{value:.{0 if value >= 99.5 else 1}f} ms"


def waited(found: Interval) -> str:
    """A duration in milliseconds and its interval, in one unit: "25.0 ms (23.0 to 27.0)"."""
    if found.value is None:
        return MISSING
    unit, scale = ("s", 1000.0) if found.value >= 1000 else ("ms", 1.0)
    digits = 1 if found.value / scale < 99.5 else 0
    return _in_unit(found, unit, lambda ms: f"{ms / scale:.{digits}f}")


def _in_unit(found: Interval, unit: str, say: Callable[[float], str]) -> str:
    """A value with its unit, and its interval in the same."""
    if found.value is None:
        return MISSING
    value = f"{say(found.value)} {unit}"
    if found.low is None or found.high is None:
        return value
    return f"{value} ({say(found.low)} to {say(found.high)})"


def cpu_ms(seconds: float | None) -> str:
    """CPU-seconds of one upload as milliseconds of one core, without the unit."""
    return MISSING if seconds is None else precise(seconds * 1000)


def cpu_interval(found: Interval) -> str:
    """The same with its interval and the unit: "9.50 ms (9.20 to 9.80)"."""
    return _in_unit(found, "ms", cpu_ms)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(size_bytes: float | None) -> str:
    if size_bytes is None:
        return MISSING
    value, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value < _KIB:
            break
        value, unit = value / _KIB, larger
    return f"{value:.0f} {unit}" if value >= 100 or value.is_integer() else f"{value:.1f} {unit}"


def mebibytes(found: Interval) -> str:
    """Memory and its interval in one unit: "95 MiB (90 to 99)"."""
    return _in_unit(found, "MiB", lambda held: f"{held / _KIB**2:.0f}")


def network(rtt_ms: float | None, bandwidth_mbit: float | None) -> str:
    """What was put between client and system; empty where nothing was."""
    parts = [f"{number(rtt_ms)} ms round trip"] if rtt_ms else []
    parts += [f"{number(bandwidth_mbit)} Mbit/s"] if bandwidth_mbit else []
    return " and ".join(parts)


def with_interval(found: Interval, say: Callable[[float | None], str] = precise) -> str:
    """The value and its interval, as in "97.2 (94.1 to 100)"; the unit, if any, is ``say``'s."""
    if found.low is None or found.high is None:
        return say(found.value)
    return f"{say(found.value)} ({say(found.low)} to {say(found.high)})"


def ratio(found: Interval) -> str:
    """A ratio and its interval, as in "1.15 (1.05 to 1.26)"."""
    digits = ratio_digits(found)
    return with_interval(found, lambda value: MISSING if value is None else f"{value:.{digits}f}")


def turned(found: Interval) -> Interval:
    """The same ratio the other way round."""
    value, low, high = (None if end is None else 1 / end for end in (found.value, found.high, found.low))
    return Interval(n=found.n, value=value, low=low, high=high)


def ratio_digits(found: Interval) -> int:
    """Two, or three where two do not tell the interval's ends from its value, or an end from 1."""
    ends = [end for end in (found.low, found.value, found.high) if end is not None]
    told = len({f"{end:.2f}" for end in ends}) == len(ends)
    beside_one = all(f"{end:.2f}" != "1.00" or end == 1 for end in ends if end != found.value)
    return 2 if told and beside_one else 3


def near_end_first(over: Interval) -> str:
    """A ratio above 1: "at least 1.05, most likely 1.15, at most 1.26 times"."""
    digits = ratio_digits(over)
    low, value, high = (f"{end or 0.0:.{digits}f}" for end in (over.low, over.value, over.high))
    return f"at least {low} times, most likely {value} times (at most {high})"


def listed(words: Sequence[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end


def listed_arms(names: Sequence[str]) -> str:
    """ "2, 5 and 100 connections", "proxy and direct at 20 ms": what follows each first word is said once."""
    rest = names[0].partition(" ")[2]
    if len(names) == 1 or not rest or any(name.partition(" ")[2] != rest for name in names):
        return listed(names)
    return f"{listed([name.partition(' ')[0] for name in names])} {rest}"


def count(amount: int, noun: str) -> str:
    """ "1 block of turns", "2 blocks of turns"."""
    first, *rest = noun.split(" ", 1)
    return " ".join((f"{amount:,}", first if amount == 1 else f"{first}s", *rest))


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def longer(profile: str) -> str:
    """What would settle a question that was measured too briefly."""
    return "; PROFILE=full measures longer" if profile != "full" else ""


def by_way(arm: str, names: Mapping[str, str]) -> str:
    """ "direct in one PUT", but "for A (FINALISE=inline)": a way needs no preposition."""
    name = names[arm]
    return f"for {name}" if name.startswith(arm) else name


def unit_of(arms: Iterable[Arm]) -> str:
    """What rates and costs of these arms are of: "upload", "download", or "file" where some have several in
    one request, or some upload and others download."""
    known = [arm for arm in arms if arm.strategy is not None]
    if any(arm.files > 1 for arm in known) or len({arm.download is None for arm in known}) > 1:
        return "file"
    return "download" if known and known[0].download else "upload"


def in_units(text: str, unit: str) -> str:
    """Words about uploads, said of another unit. Names of arms must not be among them."""
    return text if unit == "upload" else text.replace("an upload", f"a {unit}").replace("upload", unit)


def known_of_each(
    found: Iterable[tuple[str, Interval]], say: Callable[[Interval], str], names: Mapping[str, str]
) -> list[str]:
    """Of each arm what ``say`` makes of its figure: "9.50 ms (9.20 to 9.80) direct in one PUT". An arm whose
    interval is not known is left out."""
    return [f"{say(one)} {by_way(arm, names)}" for arm, one in found if one.low is not None]


def arm_names(arms: Iterable[Arm]) -> dict[str, str]:
    """An arm that is its strategy goes by the strategy's title. Others go by their name; where that is a mere
    letter, with what makes them differ, if that tells them apart."""
    by_name = {arm.of: arm for arm in arms if arm.strategy is not None or arm.target}
    titles = [arm.title for arm in by_name.values()]
    names = {NOBODY: "nobody"}
    for name, arm in by_name.items():
        if name == arm.strategy:
            names[name] = arm.title[:1].lower() + arm.title[1:]
        else:
            tells = len(name) == 1 and arm.title != name and titles.count(arm.title) == 1
            names[name] = f"{name} ({arm.title})" if tells else name
    return names
