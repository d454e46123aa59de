"""What each way costs for a million uploads and for a terabyte, in cores and in money.

Nothing is measured here. Processor time and rate are those of the comparison, or of the largest crowd where
nothing was compared; what the services counted is that of the price of one upload; both are multiplied. Given
are the prices, what a strategy makes possible, and how many requests clients send to the store themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtests.harness.analysis.crowd import fullest
from loadtests.harness.comparison import scaled
from loadtests.harness.cost import DATABASES, JOINTS, SERVICES
from loadtests.harness.intervals import NOTHING
from loadtests.harness.records.plan import Plan
from loadtests.harness.records.result import (
    ArmResult,
    AtOnce,
    Comparison,
    Cost,
    Costs,
    Crowd,
    Decision,
    Interval,
    Price,
    evidence_id,
)
from loadtests.harness.records.vocabulary import STORES
from loadtests.harness.records.ways import UnitPrices, Way

MILLION, TERABYTE, GIGABYTE, GIB = 1e6, 1e12, 1e9, 1024.0**3
HOUR_S = 3600.0
OURS = (*SERVICES, *DATABASES, *JOINTS)  # whose memory counts, as it is whose processor time does


@dataclass(frozen=True, slots=True)
class Loaded:
    """One way under load, whatever part that was."""

    way: Way
    found: ArmResult | AtOnce
    file_size_bytes: int
    counted: Price


def decision(plan: Plan, source: Comparison | Crowd | None, prices: Sequence[Price]) -> Decision | None:
    """None where nothing was loaded that can be decided on, or the plan has no ways to choose from."""
    known = _loaded(plan, source, prices)
    if not known:
        return None
    millions = [cost(one, MILLION, plan.prices) for one in known]
    terabytes = [cost(one, TERABYTE / one.file_size_bytes, plan.prices) for one in known]
    strategies = {way.strategy for way in plan.ways}
    return Decision(
        id="decision",
        file_sizes=tuple(dict.fromkeys(one.file_size_bytes for one in known)),
        clients=next((one.found.clients for one in known if isinstance(one.found, AtOnce)), None),
        costs=(
            Costs(id=evidence_id("decision", "million"), of="million", costs=tuple(millions)),
            Costs(id=evidence_id("decision", "terabyte"), of="terabyte", costs=tuple(terabytes)),
        ),
        prices=plan.prices,
        ways=plan.ways if len(strategies) > 1 else (),
    )


def _loaded(plan: Plan, source: Comparison | Crowd | None, prices: Sequence[Price]) -> list[Loaded]:
    """The ways that were loaded and whose price is known, in the plan's order."""
    found: dict[str, tuple[ArmResult | AtOnce, int]] = {}
    if isinstance(source, Comparison) and source.blocks:
        found = {one.arm.name: (one, one.arm.file_size_bytes) for one in source.arms}
    elif isinstance(source, Crowd) and plan.profile != "smoke":  # too short to say what a crowd costs
        found = {cell.arm: (cell, source.file_size_bytes) for cell in fullest(source)}
    counted = {one.arm: one for one in prices}
    return [
        Loaded(way, *found[way.arm], counted[way.arm])
        for way in plan.ways
        if way.arm in found and way.arm in counted
    ]


def cost(one: Loaded, uploads: float, prices: UnitPrices | None) -> Cost:
    """Of so many uploads."""
    rate_per_s, hours = one.found.uploads_per_s.value, uploads / HOUR_S
    held = sum(size for name, size in one.counted.peak_rss_bytes.items() if name in OURS)
    used = one.found.cpu_s_by_process
    store = next((used[name] for name in STORES if name in used), NOTHING)
    found = Cost(
        arm=one.way.arm,
        core_hours=scaled(one.found.cpu_s_per_upload, hours),
        store_core_hours=scaled(store, hours),
        memory_gib_hours=held / GIB * hours / rate_per_s if held and rate_per_s else None,
        gateway_gb=_sum(
            (one.counted.gateway_bytes_in, one.counted.gateway_bytes_out),
            one.file_size_bytes * uploads / GIGABYTE,
        ),
        store_requests=_sum((one.counted.store_requests, one.way.client_store_requests), uploads),
        statements=_sum((one.counted.statements,), uploads),
        money=None,
    )
    return found if prices is None else found.model_copy(update={"money": money(found, prices)})


def _sum(parts: Iterable[float | None], factor: float) -> float | None:
    """Nothing where a part is not known: a part of a price is none."""
    known = list(parts)
    return None if None in known else factor * sum(part or 0.0 for part in known)


def money(found: Cost, prices: UnitPrices) -> Interval | None:
    """All of it; None where something that has a price was not measured. Ends are sums of ends: wider than
    need be, never too narrow."""
    counted = [
        (found.memory_gib_hours, prices.gib_hour),
        (found.gateway_gb, prices.gateway_gb),
        (found.store_requests, prices.million_store_requests / MILLION),
        (found.statements, prices.million_statements / MILLION),
    ]
    spread = [(found.core_hours, prices.core_hour), (found.store_core_hours, prices.store_core_hour)]
    priced = [(cpu, price) for cpu, price in spread if price]
    fixed = _sum((None if amount is None else amount * price for amount, price in counted if price), 1.0)
    value = _sum((None if cpu.value is None else cpu.value * price for cpu, price in priced), 1.0)
    if fixed is None or value is None:
        return None
    low = _sum((None if cpu.low is None else cpu.low * price for cpu, price in priced), 1.0)
    high = _sum((None if cpu.high is None else cpu.high * price for cpu, price in priced), 1.0)
    return Interval(
        n=min((cpu.n for cpu, _ in priced), default=0),
        value=fixed + value,
        low=None if low is None or not priced else fixed + low,
        high=None if high is None or not priced else fixed + high,
    )
