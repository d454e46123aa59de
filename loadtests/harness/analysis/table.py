"""The comparison table: one row for each level and arm, the columns of the older report first."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Sequence

from loadtests.harness.analysis.capacity import estimate_of
from loadtests.harness.analysis.facts import Facts, times_to_ack, times_to_durable
from loadtests.harness.analysis.guards_measures import NO_UPLOADS, has_mean
from loadtests.harness.analysis.guards_trial import validity
from loadtests.harness.analysis.knee import quantile_ms
from loadtests.harness.analysis.model import Capacity, Ratio, Row
from loadtests.harness.analysis.neighbours import samples_in_window
from loadtests.harness.analysis.price import peak_memory, per_payload_byte, price_of
from loadtests.harness.records.model import LedgerClass, LedgerTable, Question, Trial

# Rows in the order of the questions; within one, as planned.
_ORDER = tuple(Question)
_LOST = (LedgerClass.LOST, LedgerClass.CORRUPT, LedgerClass.ORPHAN_ROW, LedgerClass.DUPLICATE)
CSV_FIRST = ("VU", "throughput_rps", "median_latency_ms", "p95_latency_s", "error_rate_percent")


def table(facts: Facts, capacity: Capacity | None) -> tuple[Row, ...]:
    groups: dict[tuple[Question, str, str], list[Trial]] = {}
    for trial in facts.of(*_ORDER):
        if trial.plan.arm != NO_UPLOADS:
            key = (trial.plan.question, trial.plan.level, trial.plan.arm)
            groups.setdefault(key, []).append(trial)
    arms = {arm: place for place, arm in enumerate(facts.plan.strategies)}
    keys = sorted(
        groups,
        key=lambda key: (_ORDER.index(key[0]), _load_order(groups[key][0]), arms.get(key[2], len(arms))),
    )
    ratios = {ratio.arm: ratio for ratio in (capacity.ratios if capacity else ())}
    return tuple(_row(facts, groups[key], ratios) for key in keys)


def _load_order(trial: Trial) -> float:
    return trial.plan.load.rate_per_s or trial.plan.load.vus or 0


def losses(ledger: LedgerTable) -> int:
    """Intents whose fate fails a trial."""
    return sum(ledger.classes.get(name, 0) for name in _LOST)


def _row(facts: Facts, trials: Sequence[Trial], ratios: dict[str, Ratio]) -> Row:
    plan = trials[0].plan
    ledgers = [ledger for t in trials if (ledger := facts.ledgers.get(t.plan.trial))]
    samples = samples_in_window(facts, trials)
    acks, durables = times_to_ack(samples), times_to_durable(samples)
    counted = [t for t in trials if has_mean(t)]
    price = price_of(facts, plan.arm, trials)
    in_bytes = per_payload_byte(facts, trials, lambda t: t.counters.gateway_bytes_in)
    out_bytes = per_payload_byte(facts, trials, lambda t: t.counters.gateway_bytes_out)
    return Row(
        question=plan.question.value,
        arm=plan.arm,
        level=plan.level,
        vus=plan.load.vus if plan.load.rate_per_s is None else None,
        concurrency=_mean([t.mean_active_vus for t in trials]),
        rps=_mean([requests_per_s(t) for t in trials]),
        requests_per_flow=_requests_per_flow(facts, trials[0]),
        median_ms=_middle([t.k6.http_req_duration_p50_ms for t in trials]),
        p95_ms=_middle([t.k6.http_req_duration_p95_ms for t in trials]),
        error_rate=_error_rate(ledgers),
        goodput_per_s=estimate_of([t.goodput_per_s for t in counted]).value,
        payload_mb_per_s=estimate_of([t.goodput_bytes_per_s / 1e6 for t in counted]).value,
        uploads=sum(t.uploads_in_window for t in trials),
        tta_p50=quantile_ms(acks, 0.5),
        tta_p95=quantile_ms(acks, 0.95),
        ttd_p50=quantile_ms(durables, 0.5),
        ttd_p95=quantile_ms(durables, 0.95),
        ttd_p99=quantile_ms(durables, 0.99),
        cpu_s=price.cpu_s,
        peak_rss_bytes=peak_memory(trials),
        gateway_bytes=in_bytes + out_bytes if in_bytes is not None and out_bytes is not None else None,
        statements=price.statements,
        store_requests=price.store_requests,
        ledger_losses=sum(losses(ledger) for ledger in ledgers),
        trials=len(trials),
        ratio=ratios.get(plan.arm) if plan.question is Question.CAPACITY else None,
        validity=validity(warn for t in trials for warn in facts.trial_warnings[t.plan.trial]),
    )


def _requests_per_flow(facts: Facts, trial: Trial) -> int | None:
    same_size = trial.plan.file_size_bytes == facts.plan.file_size_bytes
    return facts.plan.requests_per_flow.get(trial.plan.arm) if same_size else None


def requests_per_s(trial: Trial) -> float | None:
    """Requests of the whole load per second: the load generator does not cut them to the window."""
    seconds = trial.load_ended_at - trial.load_started_at
    return trial.k6.http_reqs / seconds if seconds > 0 else None


def _error_rate(ledgers: Sequence[LedgerTable]) -> float | None:
    """Share of intents without an acknowledgement; uploads cut off by the end count as errors."""
    intents = sum(ledger.intents for ledger in ledgers)
    return 1 - sum(ledger.acks for ledger in ledgers) / intents if intents else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _middle(values: Sequence[float | None]) -> float | None:
    """The middle trial's value: percentiles of several trials cannot be averaged."""
    known = [value for value in values if value is not None]
    return statistics.median_low(known) if known else None


def table_csv(rows: Sequence[Row]) -> str:
    """The table as CSV. Empty cells were not measured, or had too few samples to be printed."""
    processes = list(dict.fromkeys(name for row in rows for name in row.cpu_s))
    lines = [_csv_row(row, processes) for row in rows]
    names = list(lines[0]) if lines else list(CSV_FIRST)
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _csv_row(row: Row, processes: Sequence[str]) -> dict[str, object]:
    older = (row.vus, row.rps, row.median_ms, _scaled(row.p95_ms, 0.001), _scaled(row.error_rate, 100))
    ratio = row.ratio
    return {
        **dict(zip(CSV_FIRST, older, strict=True)),
        "question": row.question,
        "strategy": row.arm,
        "level": row.level,
        "concurrency": row.concurrency,
        "requests_per_flow": row.requests_per_flow,
        "goodput_per_s": row.goodput_per_s,
        "payload_mb_per_s": row.payload_mb_per_s,
        "uploads": row.uploads,
        **{
            name: getattr(row, name).value for name in ("tta_p50", "tta_p95", "ttd_p50", "ttd_p95", "ttd_p99")
        },
        **{f"cpu_s_per_upload_{name}": row.cpu_s.get(name) for name in processes},
        **{f"peak_rss_bytes_{name}": row.peak_rss_bytes.get(name) for name in processes},
        "gateway_bytes_per_payload_byte": row.gateway_bytes,
        "statements_per_upload": row.statements,
        "store_requests_per_upload": row.store_requests,
        "ledger_losses": row.ledger_losses,
        "trials": row.trials,
        "ratio": ratio.value if ratio else None,
        "ratio_low": ratio.low if ratio else None,
        "ratio_high": ratio.high if ratio else None,
        "verdict": (ratio.verdict or ratio.refused) if ratio else None,
        "validity": row.validity.value,
    }


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else float(f"{value * factor:.6g}")
