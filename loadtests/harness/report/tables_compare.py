"""Tables of the comparison: rates, ratios and prices by arm, and what set the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtests.harness.cost import process_order
from loadtests.harness.records.result import ArmResult, Comparison, Limit, Price, Ratio, Result, Verdict
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.table import Table, process_ms, wait
from loadtests.harness.stories.generator import meaningful
from loadtests.harness.wording import (
    MISSING,
    cpu_ms,
    in_units,
    milliseconds,
    number,
    percent,
    ratio,
    size,
    unit_of,
    with_interval,
)

METRICS = {
    "uploads_per_s": "uploads/s",
    "cpu_s_per_upload": "CPU per upload, ours",
    "k6_cpu_s_per_upload": "CPU per upload, k6",
    "uploads_per_s_without_k6": "uploads/s, as if k6 ran elsewhere",
    "durable_ms": "median time to durable",
}


def summary(arms: Arms, found: Comparison) -> Table:
    """Speed, price, wait and ratio by arm."""
    base = found.arms[0].arm.name
    over = {one.arm: one for one in found.ratios if one.metric == "uploads_per_s" and one.base == base}
    unit = _unit(found)
    return Table(
        "summary",
        "The arms",
        f"Ratio of {unit}s per second: over \"{arms.name(base)}\". CPU: our services and databases, "
        "login and store apart. In brackets 95 % intervals.",
        ("arm", f"{unit}s/s", f"CPU ms/{unit}", "p95 durable" if unit == "upload" else "p95", "ratio"),
        tuple(
            (
                arms.name(one.arm.name), with_interval(one.uploads_per_s),
                with_interval(one.cpu_s_per_upload, cpu_ms), milliseconds(one.durable_p95.ms.value),
                _over_first(one.arm.name, base, over),
            )
            for one in found.arms
        ),
    )  # fmt: skip


def _over_first(name: str, base: str, over: Mapping[str, Ratio]) -> str:
    if name == base:
        return "1"
    return ratio(over[name].ratio) if name in over else MISSING


def _unit(found: Comparison) -> str:
    return unit_of(one.arm for one in found.arms)


def rates(arms: Arms, found: Comparison) -> Table:
    unit = _unit(found)
    return Table(
        "rates",
        "The arms",
        "Rates, prices and percentiles with their 95 % intervals. CPU is that of our services and databases; "
        "the store, logins and k6 stand apart. Busy cores are those of the whole machine.",
        ("arm", "file", "clients", f"{unit}s", "failed", f"{unit}s/s", "MB/s", "CPU ms", "acknowledged p50",
         "acknowledged p95", "durable p50", "durable p95", "busy cores"),
        tuple(_rates_row(arms, one) for one in found.arms),
        tuple(one.id for one in found.arms),
        spare=(f"{unit}s", "MB/s", "acknowledged p50", "acknowledged p95", "busy cores"),
    )  # fmt: skip


def _rates_row(arms: Arms, one: ArmResult) -> tuple[str, ...]:
    return (
        arms.name(one.arm.name), size(one.arm.file_size_bytes), str(one.arm.vus), f"{one.uploads:,}",
        f"{one.failed:,}", with_interval(one.uploads_per_s), with_interval(one.payload_mb_per_s),
        with_interval(one.cpu_s_per_upload, cpu_ms), wait(one.acked_p50), wait(one.acked_p95),
        wait(one.durable_p50), wait(one.durable_p95), with_interval(one.busy_cores),
    )  # fmt: skip


def ratios(arms: Arms, result: Result, found: Comparison) -> Table:
    shown = meaningful(result, found)
    unit = found.ratios[0].unit if found.ratios else "block"
    spread = (
        " Spread within: of blocks of one making of the stacks; between: of makings."
        if unit == "instance"
        else ""
    )
    return Table(
        "ratios",
        "The ratios",
        f"Each of the two arms in the same block, {found.blocks} blocks in all. p is adjusted for all "
        f"ratios of a metric (Holm). Only rates name a winner.{spread}",
        ("arm", "over", "of", "ratio", "p", "verdict", "winner", f"{unit}s",
         *(("spread within", "between") if unit == "instance" else ())),
        tuple(_ratio_row(arms, one, unit, in_units(METRICS[one.metric], _unit(found))) for one in shown),
        tuple(one.id for one in shown),
        first=3,
    )  # fmt: skip


def _ratio_row(arms: Arms, one: Ratio, unit: str, metric: str) -> tuple[str, ...]:
    spread = (percent(one.within), percent(one.between)) if unit == "instance" else ()
    return (
        arms.name(one.arm), arms.name(one.base), metric, ratio(one.ratio), _p(one.p_holm),
        one.verdict.value, winner(arms, one), str(one.ratio.n), *spread,
    )  # fmt: skip


def _p(value: float | None) -> str:
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def winner(arms: Arms, one: Ratio) -> str:
    if not one.winner_named:
        return MISSING
    return arms.name(one.arm if one.verdict is Verdict.MORE else one.base)


def carry_over(arms: Arms, found: Comparison) -> Table:
    return Table(
        "carry-over",
        "Carry-over",
        "Uploads in the last third of a turn over those in the first third, by whose turn came before. "
        "Near 1: the turn before was no longer at work.",
        ("arm", "after", "last over first third"),
        tuple((arms.name(one.arm), arms.name(one.after), ratio(one.change)) for one in found.carry_over),
        first=2,
    )


def processes(arms: Arms, found: Comparison) -> Table:
    """CPU by process, a row for each: arms are few and processes many."""
    names = sorted({name for one in found.arms for name in one.cpu_s_by_process}, key=process_order)
    return Table(
        "processes",
        f"CPU milliseconds of one {_unit(found)}, by process",
        "Of one core, with 95 % intervals. Rest is everything on the machine that was not watched.",
        ("process", *(arms.name(one.arm.name) for one in found.arms)),
        tuple((name, *(process_ms(one, name) for one in found.arms)) for name in names),
    )


def prices(arms: Arms, found: Sequence[Price], unit: str) -> Table:
    return Table(
        "counted",
        f"What else one {unit} needs",
        "Counted by the services over all load without logins and lists beside it; in brackets what the code "
        "of the strategy asks for. Gateway bytes are for each byte of the file.",
        ("arm", "requests", "SQL statements", "store requests", "gateway in", "gateway out", "most memory"),
        tuple(
            (
                arms.name(one.arm), number(one.requests), _expected(one.statements, one.statements_expected),
                _expected(one.store_requests, one.store_requests_expected), number(one.gateway_bytes_in),
                number(one.gateway_bytes_out), _most_memory(one),
            )
            for one in found
        ),
        tuple(one.id for one in found),
    )  # fmt: skip


def _expected(value: float | None, expected: float | None) -> str:
    return number(value) + (f" ({number(expected)})" if expected is not None else "")


def _most_memory(one: Price) -> str:
    name = max(one.peak_rss_bytes, key=lambda name: one.peak_rss_bytes[name], default=None)
    return MISSING if name is None else f"{name} {size(one.peak_rss_bytes[name])}"


def limits(arms: Arms, every: Sequence[Limit]) -> Table:
    """Equal findings of a part in one row."""
    found: dict[tuple[str, str, str, str], list[Limit]] = {}
    for one in every:
        key = (one.part, one.what or "not identified", one.evidence or MISSING, one.advice or MISSING)
        found.setdefault(key, []).append(one)
    return Table(
        "limits",
        "What set the numbers",
        "Named only with evidence.",
        ("part", "limit", "evidence", "what would help", "arms"),
        tuple((*key, _level_names(arms, [one.arm for one in same])) for key, same in found.items()),
        tuple(" ".join(one.id for one in same) for same in found.values()),
        first=5,
    )


def _level_names(arms: Arms, names: Sequence[str]) -> str:
    """Arms with their levels together: "Direct in parts 12 VU, 24 VU"."""
    by_arm: dict[str, list[str]] = {}
    for name in names:
        by_arm.setdefault(arms.name(name), []).append(name.removeprefix(arms.of_question(name)).strip())
    return "; ".join(f"{arm} {', '.join(filter(None, levels))}".strip() for arm, levels in by_arm.items())
