"""What an analysis says: the only thing that sentences, charts and reports read.

Every part carries an ``id``; a sentence names the id of its evidence and the report makes it an
anchor. Times are milliseconds, rates are per second, shares are 0..1. A value that may not be printed
(too few samples) or was not measured is ``None``; ``n`` is given in any case.
"""

from __future__ import annotations

from typing import Any, Literal

from loadtests.harness.analysis.model_books import AlertView, Failure, LedgerView, Reach
from loadtests.harness.records.model import Record, Validity, Warn
from loadtests.harness.records.notes import Target


class Estimate(Record):
    """Mean over trials; the 95 % interval needs three of them."""

    n: int
    value: float | None
    low: float | None = None
    high: float | None = None


class Quantile(Record):
    """A percentile of merged samples with its order-statistic interval, in milliseconds."""

    q: float
    n: int
    minimum: int
    value: float | None
    low: float | None = None
    high: float | None = None


class Ratio(Record):
    """``arm`` over ``base`` in one metric, from pairs of trials."""

    id: str
    metric: str
    base: str
    arm: str
    n: int
    value: float | None
    low: float | None
    high: float | None
    p_t: float | None
    p_holm: float | None
    margin: float
    verdict: str | None  # None: refused, see ``refused``
    refused: str | None = None


class Saturation(Record):
    """Whether more clients raise goodput: the condition of a verdict."""

    id: str
    arm: str
    vus: int
    more_vus: int
    goodput_per_s: float
    more_goodput_per_s: float
    gain: float
    gain_low: float | None  # 95 % interval over the switches
    gain_high: float | None
    switches: int
    limit: float
    proven: bool
    predicted_per_s: float | None  # VUs / (think + latency): what the script alone would give
    think_s: float


class ArmCapacity(Record):
    id: str
    arm: str
    title: str
    file_size_bytes: int
    level: str
    goodput_per_s: Estimate
    payload_mb_per_s: Estimate  # 10^6 bytes
    host_busy: Estimate
    per_trial: tuple[float, ...]  # goodput, in the order run
    share_of_raw: float | None = None


class Capacity(Record):
    id: str = "capacity"
    arms: tuple[ArmCapacity, ...]
    single: tuple[ArmCapacity, ...]  # beside the pairs, without a verdict
    large: tuple[ArmCapacity, ...]
    raw: ArmCapacity | None
    ratios: tuple[Ratio, ...]  # goodput, one for each comparison; the first is the headline
    cpu_ratios: tuple[Ratio, ...]  # CPU of the whole host per upload, in the same order
    pairs: tuple[tuple[tuple[float, float], ...], ...]  # goodput of base and arm, in the same order
    saturation: tuple[Saturation, ...]
    noise_ratios: tuple[float, ...]
    noise_floor: float | None
    aa: Ratio | None
    because: str | None  # id of the evidence that explains the first ratio, if there is one
    multipart_price: float | None  # goodput of direct-single over direct-multipart


class RampPoint(Record):
    arm: str
    level: str
    vus: int
    concurrency: float | None  # measured
    goodput_per_s: Estimate
    p95_ms: Quantile
    host_busy: float | None
    valid: bool
    stopped_by: str | None = None


class Knee(Record):
    """Where an arm stops gaining, and where it becomes slow."""

    id: str
    arm: str
    points: tuple[RampPoint, ...]
    gains_until_vus: int | None  # None: it still gained at the last level tried
    slow_from_vus: int | None  # p95 above three times its value at the lowest load
    peak_goodput_per_s: float | None
    last_vus: int | None
    stopped_by: str  # "stops gaining", "latency", "end of the levels", "machine's end", "too few levels"
    host_busy_at_knee: float | None
    bottleneck: str  # "not identified" without a perturbation


class Beside(Record):
    """Login, list and the uploads themselves while one arm uploads (or none does)."""

    id: str
    arm: str
    upload_rate_per_s: float | None
    login_p50: Quantile
    login_p95: Quantile
    list_p50: Quantile
    list_p95: Quantile
    failed: dict[str, int]
    tta_p50: Quantile
    tta_p95: Quantile
    ttd_p50: Quantile
    ttd_p95: Quantile


class Neighbours(Record):
    id: str = "neighbours"
    rate_per_s: float | None
    arms: tuple[Beside, ...]


class Price(Record):
    """What one upload costs. CPU is seconds of one core; authentication is kept apart."""

    id: str
    arm: str
    level: str
    cpu_s: dict[str, float]  # by process, the whole host
    system_cpu_s: float | None  # gateway, upload, files and their databases, and the store
    authentication_cpu_s: float | None
    host_cpu_s: float | None
    gateway_bytes_in: float | None  # per payload byte
    gateway_bytes_out: float | None
    statements: float | None
    statements_expected: float | None
    store_requests: float | None
    store_requests_expected: float | None
    peak_rss_bytes: dict[str, int]


class Row(Record):
    """One line of the comparison table: one arm at one level."""

    question: str
    arm: str
    level: str
    vus: int | None
    concurrency: float | None
    rps: float | None  # requests/s as the load generator counted them, whole load
    requests_per_flow: int | None
    median_ms: float | None  # of requests, the middle trial's
    p95_ms: float | None
    error_rate: float | None
    goodput_per_s: float | None
    payload_mb_per_s: float | None
    uploads: int
    tta_p50: Quantile
    tta_p95: Quantile
    ttd_p50: Quantile
    ttd_p95: Quantile
    ttd_p99: Quantile
    cpu_s: dict[str, float]
    peak_rss_bytes: dict[str, int]
    gateway_bytes: float | None
    statements: float | None
    store_requests: float | None
    ledger_losses: int
    trials: int
    ratio: Ratio | None
    validity: Validity


class Sentence(Record):
    """Plain words with the id of what proves them; ``limits`` are set smaller, below."""

    kind: Literal["invalid", "answer", "limit"]
    text: str
    evidence: str


class Cdf(Record):
    arm: str
    tta_ms: tuple[float, ...]  # 201 evenly spaced quantiles
    ttd_ms: tuple[float, ...]


class Timeline(Record):
    """CPU by process over the whole run, in cores, and when which trial ran."""

    at_s: tuple[float, ...]  # since the start of the run
    cores: dict[str, tuple[float, ...]]
    trials: tuple[tuple[str, str, float, float], ...]  # trial, arm, window start, window end


class Analysis(Record):
    run: str
    experiment: str
    profile: str
    validity: Validity
    exit_code: int
    exit_reason: str
    interrupted: bool
    verdict_line: str
    sentences: tuple[Sentence, ...]
    next_command: str | None
    arms: tuple[str, ...]  # in the order that every table and chart keeps
    names: dict[str, str]  # short names of the arms, as the sentences use them
    colours: dict[str, str]
    capacity: Capacity | None
    knees: tuple[Knee, ...]
    neighbours: Neighbours | None
    prices: tuple[Price, ...]
    cdfs: tuple[Cdf, ...]
    cdf_source: str | None
    table: tuple[Row, ...]
    ledger: LedgerView
    failures: tuple[Failure, ...]
    targets: tuple[Target, ...] = ()  # of the benchmark
    reach: Reach
    alerts: AlertView = AlertView()
    timeline: Timeline
    warnings: tuple[Warn, ...]
    conditions: dict[str, Any]  # from the manifest: machine, date, versions, scale
