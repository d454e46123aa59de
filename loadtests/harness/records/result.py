"""What the analysis of a run says: the only thing that sentences, charts and reports read.

Rates are per second, processor time is seconds of one core per upload, latencies are milliseconds, shares are
0..1. A value that may not be printed (too few samples) or was not measured is ``None``. Everything that a
sentence may rest on has an ``id``, which the report makes an anchor.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from loadtests.harness.records.base import Record
from loadtests.harness.records.plan import Arm, AsksFor, PartKind, ShareOf
from loadtests.harness.records.samples import Warn
from loadtests.harness.records.vocabulary import Validity
from loadtests.harness.records.ways import UnitPrices, Way

# "uploads_per_s_without_k6" means something on a full machine only: see ``cost.rate_without_k6_per_s``.
Metric = Literal[
    "uploads_per_s", "cpu_s_per_upload", "k6_cpu_s_per_upload", "uploads_per_s_without_k6", "durable_ms"
]


COURSE_S = 0.5  # of what is drawn of a recovery


def evidence_id(*words: str) -> str:
    """An ``id`` that can be an anchor: the words joined by points, without blanks."""
    return ".".join("-".join(word.split()) for word in words)


class Interval(Record):
    """A value with its two-sided 95 % interval over ``n`` units (blocks, rounds or makings of the stacks)."""

    n: int
    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half of the interval's length as a share of the value."""
        if self.value is None or self.low is None or self.high is None or self.value == 0:
            return None
        return (self.high - self.low) / 2 / abs(self.value)


class Verdict(StrEnum):
    MORE = "more"  # of whatever the metric counts
    LESS = "less"
    EQUAL = "equal within the margin"
    NOT_SHOWN = "not shown"


class Ratio(Record):
    """``arm`` over ``base`` in one metric."""

    id: str
    part: str
    metric: Metric
    base: str
    arm: str
    ratio: Interval
    p: float | None  # of no difference
    p_holm: float | None  # adjusted for all ratios of this metric in this part
    verdict: Verdict
    winner_named: bool  # the near end of the interval is far enough from 1
    unit: Literal["block", "instance"]
    blocks: tuple[float, ...]  # the units' own ratios, in the order run
    within: float | None = None  # spread of blocks within one making of the stacks, as a share
    between: float | None = None  # and between makings


class Latency(Record):
    """A percentile of all samples of an arm with its interval, in milliseconds."""

    q: float
    samples: int
    minimum: int
    ms: Interval


class ArmResult(Record):
    """One arm in one part. Where it downloads, its uploads are downloads."""

    id: str
    arm: Arm
    uploads: int  # verified and counted
    uploads_per_s: Interval
    payload_mb_per_s: Interval  # 10^6 bytes
    cpu_s_per_upload: Interval  # our services and their databases; the store and k6 stand apart
    cpu_s_by_process: dict[str, Interval]  # services, databases, store, k6, rest
    acked_p50: Latency
    acked_p95: Latency
    durable_p50: Latency
    durable_p95: Latency
    failed: int
    busy_cores: Interval  # of the whole host
    per_period: tuple[float, ...]  # uploads per second, in the order run


class CarryOver(Record):
    """First third of the counted part against the last, by the arm that came before."""

    arm: str
    after: str
    change: Interval  # last over first third


class Comparison(Record):
    """The main part, or one size of the sizes."""

    id: str
    part: str
    arms: tuple[ArmResult, ...]  # in the plan's order
    ratios: tuple[Ratio, ...]  # uploads per second first, then the other metrics, same order of pairs
    best: str | None  # the arm that is shown to be faster than every other, if one is
    blocks: int
    wanted_blocks: int  # what the first stage asked for
    half_width: float | None  # of the widest ratio of uploads per second
    precise: bool  # it is at most the wanted one
    carry_over: tuple[CarryOver, ...] = ()


class Level(Record):
    vus: int
    uploads_per_s: Interval
    durable_p95_ms: float | None
    busy_cores: float | None


class Knee(Record):
    """Levels of one arm, and where it stops gaining by its own turns alone. Either end may be unknown."""

    id: str
    arm: str
    levels: tuple[Level, ...]
    low_vus: int | None  # it still gained up to here
    high_vus: int | None  # from here on it did not
    reached: bool  # both ends are known
    why_not: str | None = None  # neither is


class Step(Record):
    """From one number of clients to the next one tried."""

    vus: int
    more_vus: int
    gain: Interval  # ratio of rates, more over fewer
    matters: bool | None  # the gain is shown to be above the limit, or below it; None: neither was shown


class CommonKnee(Record):
    """Where all arms together stop gaining: their gains' geometric mean. Either end may be unknown."""

    id: str
    steps: tuple[Step, ...]  # fewest clients first
    limit: float  # gains below it do not matter
    low_vus: int | None  # more than these brought more than the limit
    high_vus: int | None  # from here on no step did
    why_not: str | None = None  # neither is known


class Beside(Record):
    """Logins and lists while one arm uploads, or nobody does."""

    id: str
    arm: str  # NOBODY
    rate_per_s: float | None
    login_p50: Latency
    login_p95: Latency
    list_p50: Latency
    list_p95: Latency
    durable_p95: Latency | None
    failed: dict[str, int]


class Neighbours(Record):
    id: str
    rate_per_s: float
    arms: tuple[Beside, ...]


class Offered(Record):
    """One arm at one offered rate. ``share`` is that of what the slowest arm can do."""

    id: str
    arm: str
    share: float
    offered_per_s: float
    uploads_per_s: Interval  # verified
    refused: float | None  # share of the offered: answered 503
    failed: float | None  # otherwise
    dropped: float | None  # not begun: so many were under way
    acked_p95: Latency  # of the acknowledged, from when each was due
    cpu_s_per_upload: Interval  # ours, of a verified one; what refusals cost is in it
    busy_cores: Interval
    refusal_cpu_s: Interval  # ours, of one refusal; nothing where there were few


class Recovery(Record):
    """How soon an arm serves its lowest rate again after its highest one. Seconds are the median over turns;
    what lies beyond a turn's end is not known."""

    id: str
    arm: str
    after_share: float  # of capacity, offered before
    share: float  # and then
    turn_s: float
    seconds: Interval
    longest_s: float | None
    not_back: int  # turns at whose end it was not
    course: tuple[float, ...]  # rate over the calm one, mean of all turns, in steps of COURSE_S


class Offers(Record):
    """Open arrivals below and above what the arms can do."""

    id: str
    capacity_per_s: float
    cells: tuple[Offered, ...]
    recoveries: tuple[Recovery, ...] = ()


class Killed(Record):
    """One planned kill of an arm's service."""

    stretch: str
    acknowledged: int  # uploads of the turn
    gone: int
    away_s: float | None  # until it served again


class Moment(Record):
    """Uploads acknowledged in a short time of all of an arm's kills together; seconds since the kill."""

    at_s: float  # its beginning
    kept: int
    gone: int


class AfterKill(Record):
    """What the ledger found of one arm's uploads around its kills."""

    id: str
    arm: str
    kills: tuple[Killed, ...]
    began: int
    acknowledged: int
    kept: int  # acknowledged, there, and as they were sent
    unfinished: int  # of those, uploads that say for ever that they have not ended
    gone: int  # acknowledged, and not there
    failed: int  # the client saw an error
    late: int  # of those, there all the same
    orphans: int  # objects in the store that no file row names
    users: int
    users_with_file: int
    users_short: int  # lack a file that was acknowledged to them
    users_without_file: int  # were told of a file and have none at all
    last_gone_s: float | None  # from the acknowledgement to the kill, the longest of those that are gone
    course: tuple[Moment, ...]


class Kills(Record):
    """The uploads of every arm around kills of one service in mid-load."""

    id: str
    service: str
    step_s: float  # of a moment
    arms: tuple[AfterKill, ...]


class AtOnce(Record):
    """One arm with so many slow clients at once. Units are turns; memory is that of gateway and upload."""

    id: str
    arm: str
    clients: int
    most_bytes: Interval  # held at any look of a turn
    mean_bytes: Interval
    most_by_process: dict[str, Interval]
    uploads_per_s: Interval
    cpu_s_per_upload: Interval  # our services and databases
    cpu_s_by_process: dict[str, Interval]  # services, databases, store, k6, rest
    beside: Beside | None = None  # logins and lists meanwhile, where there were any


class Held(Record):
    """How much more memory gateway and upload take for each further client, as a share of its file."""

    arm: str
    share: Interval


class Crowd(Record):
    """Slow clients by how many there are at once."""

    arms: tuple[Arm, ...]  # of the question
    file_size_bytes: int
    cells: tuple[AtOnce, ...]
    held: tuple[Held, ...]  # from the fewest clients to the most


class Fetched(Record):
    """One arm with a fleet of so many clients that download. Units are rounds."""

    id: str
    arm: str
    clients: int
    downloads: int  # verified and counted
    downloads_per_s: Interval
    payload_mb_per_s: Interval  # 10^6 bytes
    took_p50: Latency
    took_p95: Latency
    cpu_s_per_download: Interval  # our services and databases
    cpu_s_by_process: dict[str, Interval]
    resumed: Interval  # share of the verified ones that were cut and resumed by range
    failed: int
    busy_cores: Interval


class FleetRatio(Record):
    """Downloads per second over others of the same round: of the same arm with fewer clients, or of another
    arm with as many."""

    id: str
    arm: str
    clients: int
    over: str
    over_clients: int
    ratio: Interval


class Fleet(Record):
    """Downloads by how many clients there are at once."""

    arms: tuple[Arm, ...]  # of the question
    file_size_bytes: int
    cut_every: int | None  # every n-th download of a client was cut
    cells: tuple[Fetched, ...]
    ratios: tuple[FleetRatio, ...]


class Size(Record):
    file_size_bytes: int
    comparison: Comparison


class Sizes(Record):
    id: str
    sizes: tuple[Size, ...]
    crossovers: tuple[tuple[str, str, int, int], ...]  # (faster below, faster above, size below, size above)


class Price(Record):
    """What one upload needs beside processor time, by arm; counted by the services over the whole load."""

    id: str
    arm: str
    statements: float | None
    statements_expected: float | None
    store_requests: float | None
    store_requests_expected: float | None
    gateway_bytes_in: float | None  # per payload byte
    gateway_bytes_out: float | None
    requests: float  # of a client, those to the store included; of a batch, one file's share
    peak_rss_bytes: dict[str, int]


class Cost(Record):
    """What a number of uploads takes, of one arm. ``money`` is in the currency of the prices; its interval is
    that of the processor time."""

    arm: str
    core_hours: Interval  # of our services and their databases
    store_core_hours: Interval
    memory_gib_hours: float | None  # the most they held, for as long as the uploads take at the measured rate
    gateway_gb: float | None  # 10^9 bytes of bodies, in and out
    store_requests: float | None  # of our services and of the clients themselves
    statements: float | None
    money: Interval | None


class Costs(Record):
    """The same amount of uploads by every way."""

    id: str
    of: Literal["million", "terabyte"]  # uploads; 10^12 bytes of files
    costs: tuple[Cost, ...]


class Decision(Record):
    """What each way costs and makes possible. ``ways`` and ``prices`` are given, ``costs`` are measured."""

    id: str
    file_sizes: tuple[int, ...]  # of the files that were uploaded, in bytes
    clients: int | None = None  # slow ones at once, where the figures are those of a crowd
    costs: tuple[Costs, ...]
    prices: UnitPrices | None
    ways: tuple[Way, ...]  # none where all arms are one strategy


class Limit(Record):
    """What set the number, with the evidence; ``what`` is None where it was not identified."""

    id: str
    part: str
    arm: str
    what: str | None = None  # "all processors", "one core of the gateway", "the load generator", ...
    evidence: str | None = None
    advice: str | None = None


class Sentence(Record):
    """Plain words with the id of what proves them."""

    kind: Literal["invalid", "answer", "detail", "limit"]
    question: PartKind | None
    text: str
    evidence: str


class LedgerTotal(Record):
    """The audits of a run added up."""

    intents: int
    acks: int
    classes: dict[str, int]
    by_arm: dict[str, dict[str, int]]
    flags: dict[str, int]
    users: int
    users_without_file: int
    hashed: int
    compared: int
    offending: tuple[dict[str, Any], ...]
    failed: bool


class Timeline(Record):
    """Cores by process over the run, and which arm's turn it was."""

    at_s: tuple[float, ...]
    cores: dict[str, tuple[float, ...]]
    turns: tuple[tuple[str, str, float, float], ...]  # part, arm, begin, end; seconds since the run's start


class Result(Record):
    """Written as ``analysis.json``."""

    run: str
    question: str
    asks: str
    point: PartKind  # the part that the question is about
    share_of: ShareOf | None = None  # and the process, where it is about the part that one takes
    asks_for: AsksFor | None = None  # and what else the first sentence says
    profile: str
    validity: Validity
    exit_code: int
    exit_reason: str
    interrupted: bool
    headline: str
    sentences: tuple[Sentence, ...]
    next_command: str | None
    compare: Comparison | None
    knees: tuple[Knee, ...]
    common_knee: CommonKnee | None = None
    neighbours: Neighbours | None
    sizes: Sizes | None
    offers: Offers | None = None
    kills: Kills | None = None
    crowd: Crowd | None = None
    fleet: Fleet | None = None
    prices: tuple[Price, ...]
    decision: Decision | None = None
    limits: tuple[Limit, ...]
    ledger: LedgerTotal
    timeline: Timeline
    warnings: tuple[Warn, ...]
    margin: float
    precision: float
    seconds: dict[str, float]  # of the run, by part and by "audit", "preparing"
    conditions: dict[str, Any] = Field(default_factory=dict)  # machine, date, network, what is not default
