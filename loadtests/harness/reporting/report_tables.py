"""Tables of a report as text cells: one source for HTML, Markdown, JSON and the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.harness.analysis import words
from loadtests.harness.analysis.model import (
    Analysis,
    ArmCapacity,
    Estimate,
    Knee,
    Price,
    Quantile,
    Row,
)
from loadtests.harness.analysis.price import exporters_gathered, process_order
from loadtests.harness.analysis.sentences import multipart_note
from loadtests.harness.reporting import report_books
from loadtests.harness.reporting.report_cells import QUESTIONS, Table, whole


def tables(analysis: Analysis) -> tuple[Table, ...]:
    """Every table that has a row, in the order of the report."""
    made = (
        report_books.targets(analysis),
        comparison(analysis),
        prices(analysis),
        capacity(analysis),
        saturation(analysis),
        knees(analysis),
        beside(analysis),
        report_books.ledger(analysis),
        report_books.failures(analysis),
        report_books.reach(analysis),
        report_books.alerts(analysis),
    )
    return tuple(table for table in made if table.rows)


def headline(analysis: Analysis) -> Table:
    """The one table of the terminal: each arm at the level of the comparison."""
    shown = (
        ("capacity", "single")
        if any(r.question == "capacity" for r in analysis.table)
        else ("journey", "bench")
    )
    prices_by_arm = {price.arm: price for price in analysis.prices}
    rows = (row for row in analysis.table if row.question in shown)
    return Table(
        "headline",
        "The arms at the level of the comparison",
        "",
        ("arm", "level", "uploads/s", "TTA p50", "TTD p50", "CPU ms", "SQL", "store"),
        tuple(_headline_row(row, prices_by_arm.get(row.arm)) for row in rows),
        2,
    )  # fmt: skip


def _headline_row(row: Row, price: Price | None) -> tuple[str, ...]:
    cpu = price.system_cpu_s if price else None
    return (
        row.arm, row.level, words.precise(row.goodput_per_s), _ms(row.tta_p50), _ms(row.ttd_p50),
        words.number(cpu * 1000 if cpu is not None else None), words.number(row.statements),
        words.number(row.store_requests),
    )  # fmt: skip


def comparison(analysis: Analysis) -> Table:
    return Table(
        "comparison",
        "Comparison",
        "One row for each arm and level. RPS, request median and request p95 are the columns of older "
        "reports: they count requests, of which the strategies send different numbers, so they compare "
        "nothing. A dash was not measured, or has too few samples to be printed.",
        ("arm", "question", "level", "concurrency", "RPS", "requests per upload", "request median",
         "request p95", "errors", "goodput/s", "MB/s", "TTA p50", "TTA p95", "TTD p50", "TTD p95", "TTD p99",
         "uploads", "lost", "trials", "ratio", "verdict", "validity"),
        tuple(_comparison_row(row, analysis.names) for row in analysis.table),
        3,
    )  # fmt: skip


def _comparison_row(row: Row, names: dict[str, str]) -> tuple[str, ...]:
    return (
        row.arm, QUESTIONS.get(row.question, row.question), row.level, words.number(row.concurrency),
        words.number(row.rps), whole(row.requests_per_flow), words.milliseconds(row.median_ms),
        words.milliseconds(row.p95_ms), words.percent(row.error_rate), words.precise(row.goodput_per_s),
        words.precise(row.payload_mb_per_s), _ms(row.tta_p50), _ms(row.tta_p95), _ms(row.ttd_p50),
        _ms(row.ttd_p95),
        _ms(row.ttd_p99), f"{row.uploads:,}", str(row.ledger_losses), str(row.trials),
        words.ratio(row.ratio) if row.ratio else words.MISSING, _verdict(row, names), row.validity.value,
    )  # fmt: skip


def prices(analysis: Analysis) -> Table:
    named = {name for price in analysis.prices for name in exporters_gathered(price.cpu_s)}
    names = sorted(named, key=process_order)
    return Table(
        "price",
        "Price of one upload",
        "CPU in milliseconds of one core by process; gateway bytes per payload byte; statements and store "
        "requests "
        "beside what the strategy's manifest expects; the highest memory of a process.",
        ("arm", "system CPU", "authentication", *names, "gateway in", "gateway out", "SQL (expected)",
         "store (expected)", "most memory"),
        tuple(_price_row(price, names) for price in analysis.prices),
    )  # fmt: skip


def _price_row(price: Price, names: Sequence[str]) -> tuple[str, ...]:
    by_process = exporters_gathered(price.cpu_s)
    most = max(price.peak_rss_bytes.items(), key=lambda item: item[1], default=None)
    return (
        price.arm, _cpu(price.system_cpu_s), _cpu(price.authentication_cpu_s),
        *(_cpu(by_process.get(name)) for name in names),
        words.number(price.gateway_bytes_in), words.number(price.gateway_bytes_out),
        _expected(price.statements, price.statements_expected),
        _expected(price.store_requests, price.store_requests_expected),
        f"{most[0]} {words.size(most[1])}" if most else words.MISSING,
    )  # fmt: skip


def capacity(analysis: Analysis) -> Table:
    found = analysis.capacity
    arms = (*found.arms, *found.single, *found.large, *([found.raw] if found.raw else [])) if found else ()
    return Table(
        "capacity",
        "Capacity",
        "Means over trials with their 95 % interval; lower bounds where the load generator shares the "
        "processors." + (multipart_note(found) if found else ""),
        (
            "arm",
            "file",
            "level",
            "uploads/s",
            "interval",
            "MB/s",
            "processors busy",
            "share of raw",
            "trials",
        ),
        tuple(_capacity_row(arm) for arm in arms),
        3,
    )


def _capacity_row(arm: ArmCapacity) -> tuple[str, ...]:
    return (
        arm.arm, words.size(arm.file_size_bytes), arm.level, words.precise(arm.goodput_per_s.value),
        _interval(arm.goodput_per_s), words.precise(arm.payload_mb_per_s.value),
        words.percent(arm.host_busy.value),
        words.number(arm.share_of_raw), str(arm.goodput_per_s.n),
    )  # fmt: skip


def saturation(analysis: Analysis) -> Table:
    proofs = analysis.capacity.saturation if analysis.capacity else ()
    return Table(
        "saturation",
        "Proof of saturation",
        "A verdict needs that 1.5 times the VUs raise goodput by less than the limit in both arms, "
        "without think time. One trial per arm goes to more VUs and back; each turn with more is compared "
        "with the turns beside it. Predicted is VUs / (think + latency): the rate that the script alone "
        "would give.",
        ("arm", "VUs", "uploads/s", "more VUs", "uploads/s with them", "gain", "95 % interval", "switches",
        "limit", "predicted", "proven"),
        tuple(
            (p.arm, str(p.vus), words.precise(p.goodput_per_s), str(p.more_vus),
            words.precise(p.more_goodput_per_s),
             words.signed_percent(p.gain),
             words.percent_interval(p.gain_low, p.gain_high), str(p.switches),
             words.percent(p.limit), words.precise(p.predicted_per_s),
             "yes" if p.proven else "no")
            for p in proofs
        ),
    )  # fmt: skip


def knees(analysis: Analysis) -> Table:
    return Table(
        "ramp",
        "Ramp",
        "Stops gaining: the next levels bring less than 5 % more. Slow: p95 exceeds three times its value "
        "at the "
        "lowest load. In a closed loop waiting times grow with the clients by design.",
        (
            "arm",
            "stops gaining at",
            "slow from",
            "most uploads/s",
            "ended by",
            "processors busy",
            "bottleneck",
        ),
        tuple(_knee_row(knee) for knee in analysis.knees),
    )


def _knee_row(knee: Knee) -> tuple[str, ...]:
    return (
        knee.arm, whole(knee.gains_until_vus), whole(knee.slow_from_vus),
        words.precise(knee.peak_goodput_per_s),
        knee.stopped_by, words.percent(knee.host_busy_at_knee), knee.bottleneck,
    )  # fmt: skip


def beside(analysis: Analysis) -> Table:
    arms = analysis.neighbours.arms if analysis.neighbours else ()
    return Table(
        "neighbours",
        "Login, list and the uploads themselves at one offered rate",
        "Open arrivals; successes only, failures are counted apart. Intervals in brackets.",
        ("beside", "uploads/s", "login p50", "login p95", "list p50", "list p95", "failed", "TTA p50",
        "TTA p95",
         "TTD p50", "TTD p95"),
        tuple(
            ("nobody uploads" if a.arm == "none" else a.arm, words.number(a.upload_rate_per_s),
            _ms(a.login_p50),
             _bracketed(a.login_p95), _ms(a.list_p50), _bracketed(a.list_p95), str(sum(a.failed.values())),
             _ms(a.tta_p50), _ms(a.tta_p95), _ms(a.ttd_p50), _ms(a.ttd_p95))
            for a in arms
        ),
    )  # fmt: skip


def _verdict(row: Row, names: dict[str, str]) -> str:
    return words.standing(row.ratio, names[row.ratio.base]) if row.ratio else words.MISSING


def _ms(quantile: Quantile) -> str:
    return words.milliseconds(quantile.value)


def _bracketed(quantile: Quantile) -> str:
    if quantile.value is None:
        return f"({quantile.n} samples)"
    return f"{_ms(quantile)} ({words.milliseconds(quantile.low)} to {words.milliseconds(quantile.high)})"


def _interval(estimate: Estimate) -> str:
    if estimate.low is None:
        return words.MISSING
    return f"{words.precise(estimate.low)} to {words.precise(estimate.high)}"


def _cpu(seconds: float | None) -> str:
    return words.MISSING if seconds is None else f"{seconds * 1000:.1f}"


def _expected(value: float | None, expected: float | None) -> str:
    return words.number(value) + (f" ({words.number(expected)})" if expected is not None else "")
