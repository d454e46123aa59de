"""The figure of a result that a condition of a claim is about, with its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loadtests.harness.cost import share_of_services
from loadtests.harness.intervals import NOTHING, of_all
from loadtests.harness.records.plan import Decides
from loadtests.harness.records.result import ArmResult, Beside, Comparison, Interval, Latency, Offered, Result
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.stories.ghosts import after_kill
from loadtests.harness.wording import turned

COMPARED = ("uploads_per_s", "cpu_s_per_upload", "durable_ms")  # by the comparison itself
EXACT = 6  # units that a figure without an interval of its own counts as


def measured_of(one: Decides, result: Result) -> tuple[Interval, float | None]:
    """The figure that a condition is about, and the p-value of no difference where it has one."""
    if one.over is None:
        return value_of(one, one.arm, result), None
    if one.metric in COMPARED and one.rate is None:
        return _ratio(one, result)
    if (round_by_round := _fleet_ratio(one, result)) is not None:
        return round_by_round, None
    other = one.model_copy(update={"rate": one.over_rate, "clients": one.over_clients})
    return quotient(value_of(one, one.arm, result), value_of(other, one.over, result)), None


def quotient(above: Interval, below: Interval) -> Interval:
    """A ratio of two figures with intervals, from ends to ends: wider than need be, never too narrow."""
    if not above.value or not below.value or not below.low or not below.high or not above.high:
        return NOTHING
    low = (above.low or 0.0) / below.high
    n = min(above.n, below.n)
    return Interval(n=n, value=above.value / below.value, low=low, high=above.high / below.low)


def _ratio(one: Decides, result: Result) -> tuple[Interval, float | None]:
    """The comparison's own ratio, which took the blocks into account."""
    found = _comparison(one, result)
    arms = {arm.arm.name: arm.arm.of for arm in found.arms} if found else {}
    for known in found.ratios if found else ():
        pair = arms[known.base], arms[known.arm]
        if known.metric == one.metric and set(pair) == {one.arm, one.over}:
            return known.ratio if pair[1] == one.arm else turned(known.ratio), known.p_holm
    return NOTHING, None


def _comparison(one: Decides, result: Result) -> Comparison | None:
    """The main one, or that of a file size."""
    if one.file_size is None:
        return result.compare
    sized = result.sizes.sizes if result.sizes else ()
    found = (size.comparison for size in sized if size.file_size_bytes == one.file_size)
    return next(found, None)


def value_of(one: Decides, arm: str, result: Result) -> Interval:
    return _VALUES[one.metric](one, arm, result)


def _offered(one: Decides, name: str, result: Result) -> Offered | None:
    """An arm at an offered rate."""
    cells = result.offers.cells if result.offers else ()
    return next((cell for cell in cells if (cell.arm, cell.share) == (name, one.rate)), None)


def _acked_p95(one: Decides, name: str, result: Result) -> Interval:
    cell = _offered(one, name, result)
    return NOTHING if cell is None else cell.acked_p95.ms


def _refusal_share(one: Decides, name: str, result: Result) -> Interval:
    cell, calm = (
        _offered(one, name, result),
        _offered(one.model_copy(update={"rate": one.over_rate}), name, result),
    )
    return NOTHING if cell is None or calm is None else quotient(cell.refusal_cpu_s, calm.cpu_s_per_upload)


def _recovery_s(one: Decides, name: str, result: Result) -> Interval:
    known = result.offers.recoveries if result.offers else ()
    return next((it.seconds for it in known if (it.arm, it.after_share) == (name, one.rate)), NOTHING)


def _cpu(one: Decides, name: str, result: Result) -> Interval:
    if one.rate is not None:
        cell = _offered(one, name, result)
        return NOTHING if cell is None else cell.cpu_s_per_upload
    return _of(of_arm(one, name, result), lambda arm: arm.cpu_s_per_upload)


def of_arm(one: Decides, name: str, result: Result) -> ArmResult | None:
    """An arm of the question, in the main comparison or at the file size of the condition."""
    found = _comparison(one, result)
    return next((arm for arm in found.arms if arm.arm.of == name), None) if found else None


def _cpu_share(one: Decides, name: str, result: Result) -> Interval:
    arm = of_arm(one, name, result)
    return share_of_services(one.process or "", arm.cpu_s_by_process) if arm else NOTHING


def _failed_share(one: Decides, name: str, result: Result) -> Interval:
    arm = of_arm(one, name, result)
    return NOTHING if arm is None else of_all(arm.failed, arm.failed + arm.uploads)


def _ghost_share(_: Decides, name: str, result: Result) -> Interval:
    """Around its kills, where there were any; else in the whole run."""
    killed = after_kill(result.kills, name)
    if killed is not None:
        return of_all(killed.gone, killed.began)
    counts = result.ledger.by_arm.get(name, {})
    return of_all(counts.get(LedgerClass.LOST, 0), sum(counts.values()))


def _held_share(_: Decides, name: str, result: Result) -> Interval:
    held = result.crowd.held if result.crowd else ()
    return next((one.share for one in held if one.arm == name), NOTHING)


def _downloads_per_s(one: Decides, name: str, result: Result) -> Interval:
    cells = result.fleet.cells if result.fleet else ()
    found = (cell.downloads_per_s for cell in cells if (cell.arm, cell.clients) == (name, one.clients))
    return next(found, NOTHING)


def _fleet_ratio(one: Decides, result: Result) -> Interval | None:
    """The fleet's own ratio, which took the rounds into account; None where it has none of these two."""
    if one.metric != "downloads_per_s" or result.fleet is None:
        return None
    above, below = (one.arm, one.clients), (one.over, one.over_clients)
    for known in result.fleet.ratios:
        pair = (known.arm, known.clients), (known.over, known.over_clients)
        if pair == (above, below):
            return known.ratio
        if pair == (below, above):
            return turned(known.ratio)
    return None


def _statements(_: Decides, name: str, result: Result) -> Interval:
    """Counted, not sampled: the services' own counters over the whole load."""
    found = next((price.statements for price in result.prices if price.arm == name), None)
    return NOTHING if found is None else Interval(n=EXACT, value=found, low=found, high=found)


def _beside(pick: Callable[[Beside], Latency]) -> Callable[[Decides, str, Result], Interval]:
    def value(_: Decides, name: str, result: Result) -> Interval:
        arms = result.neighbours.arms if result.neighbours else ()
        return next((pick(arm).ms for arm in arms if arm.arm == name), NOTHING)

    return value


_VALUES: Mapping[str, Callable[[Decides, str, Result], Interval]] = {
    "uploads_per_s": lambda one, name, result: _of(of_arm(one, name, result), lambda arm: arm.uploads_per_s),
    "cpu_s_per_upload": _cpu,
    "acked_p95_ms": _acked_p95,
    "refusal_share": _refusal_share,
    "recovery_s": _recovery_s,
    "durable_ms": lambda one, name, result: _of(of_arm(one, name, result), lambda arm: arm.durable_p50.ms),
    "login_p95_ms": _beside(lambda beside: beside.login_p95),
    "list_p95_ms": _beside(lambda beside: beside.list_p95),
    "statements": _statements,
    "cpu_share": _cpu_share,
    "failed_share": _failed_share,
    "ghost_share": _ghost_share,
    "held_share": _held_share,
    "downloads_per_s": _downloads_per_s,
}


def _of(arm: ArmResult | None, pick: Callable[[ArmResult], Interval]) -> Interval:
    return NOTHING if arm is None else pick(arm)
