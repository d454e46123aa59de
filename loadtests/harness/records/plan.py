"""What will be measured: arms, the load they get by turns, and how sure an answer must be.

A plan is written before the load begins. What is known only later (how many blocks an answer needs, the
arrival rate beside which others are watched) is in the stretches and parts as they were run.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from loadtests.harness.records.base import Record, Size
from loadtests.harness.records.ways import UnitPrices, Way

NOBODY = "nobody"  # name of the arm that uploads nothing
STOCK = "prepared"  # stretch and arm of files that are uploaded before a stretch, for it to download
# The process whose part in the processor time a question is about: the load generator's in all of it, or the
# auth service's in that of the services.
ShareOf = Literal["k6", "auth"]
# What else a question asks for: the way for each file size, or reads that do not reach the databases.
AsksFor = Literal["sizes", "reads"]
# How a client that downloads gets its files: through the gateway, or from the store with an address that the
# gateway signs, for one file or for several at once.
Delivery = Literal["proxied", "presigned", "batch"]


class PartKind(StrEnum):
    """What a part of a run is for."""

    WARM_UP = "warm-up"  # both arms, judged by nobody; yields the time of an upload and the VUs
    COMPARE = "compare"  # which arm is faster, and what an upload costs
    LEVELS = "levels"  # each arm against itself with fewer and with more VUs
    NEIGHBOURS = "neighbours"  # logins and lists beside nobody and beside each arm
    RATES = "rates"  # each arm at each offered rate, below what it can do and above
    SIZES = "sizes"  # from which file size on which strategy is faster
    KILL = "kill"  # each arm's upload service is killed under load: what was acknowledged and is gone
    CROWD = "crowd"  # memory and processor time by how many slow clients there are at once
    FLEET = "fleet"  # downloads by how many clients there are at once


# Parts that a question is about where it has one: its comparison then only says what fits, or how soon arms
# answer, and nobody asks which of them is the fastest.
POINTS = (PartKind.KILL, PartKind.CROWD, PartKind.FLEET, PartKind.RATES)


class Arm(Record):
    """What one side of a comparison is. Every record and picture is keyed by ``name``, never by strategy."""

    name: str  # unique in its part: "proxy-chunked", "A", "proxy-chunked 24 VU"
    of: str  # the arm of the question that this is a level of; its own name where it is none
    title: str  # in words: "through the server, in chunks"
    colour: str  # "#rrggbb"
    strategy: str | None  # None: nobody uploads; of an arm that downloads: how its files were put there
    download: Delivery | None = None  # None: it uploads
    files: int = 1  # in one request
    cut_every: int | None = None  # every n-th download of a client is cut and resumed; None: none is
    file_size_bytes: int
    piece_bytes: int  # size of one request's body
    vus: int  # closed loop; 0 where arrivals are open
    rate_per_s: float | None = None  # open arrivals
    of_capacity: float | None = None  # their rate as a share of what the arms can do, which the run finds out
    keep_alive: bool = True  # connections serve one request after another; else each gets a new one
    reads: int = 0  # how often a client looks at the file's entry after its upload
    scraped: bool = False  # the metrics of all its processes are read once in each of its turns
    stack: str = ""  # which stack serves it; "" is the running testbed
    asked: dict[str, str] = Field(default_factory=dict)  # words that make it differ, as typed
    target: str | None = None  # base URL of another implementation of the contract

    @property
    def stored_bytes(self) -> int:
        """What one of its files adds to the store."""
        return 0 if self.download else self.file_size_bytes


class Part(Record):
    """One switchback: arms that take turns inside one load."""

    name: str  # unique in the run
    kind: PartKind
    arms: tuple[Arm, ...]
    period_s: float
    washout_s: float = 0.0
    login_rate_per_s: float = 0.0
    list_rate_per_s: float = 0.0
    spread_s: float | None = None  # within which the clients begin; None: as long as the washout allows
    first_blocks: int = 1  # blocks before the spread is looked at; a round counts as a block
    most_blocks: int = 1  # what the budget allows
    blocks_per_making: int | None = None  # stacks are made anew after so many; None: never
    kill_after_s: float | None = None  # from the beginning of every period; None: nobody is killed

    def arm(self, name: str) -> Arm:
        """Raises ``KeyError``."""
        return {arm.name: arm for arm in self.arms}[name]


class Stretch(Record):
    """A piece of load without a pause, as it was run.

    Period ``i`` lasts from ``t0 + i * period_s`` to ``t0 + (i + 1) * period_s`` and belongs to the arm
    ``order[i]`` and the block ``blocks[i]``, which is unique in its part. Its first
    ``washout_s`` do not count. The arm of the first period begins ``lead_in_s`` before ``t0``: what a pause
    left behind (deletions, idle processes) is over when the first period counts.
    """

    stretch: str  # "s001"
    part: str
    t0: float
    period_s: float
    washout_s: float = 0.0
    order: tuple[str, ...]
    blocks: tuple[int, ...]
    lead_in_s: float = 0.0
    instance: int = 0  # which making of the stacks; a block never spans two
    cut_at: float | None = None  # an interrupt ended it here

    @property
    def began_at(self) -> float:
        """When its load began."""
        return self.t0 - self.lead_in_s

    @property
    def ended_at(self) -> float:
        """When its last period ended, or it was cut."""
        end = self.t0 + self.period_s * len(self.order)
        return end if self.cut_at is None else min(end, self.cut_at)

    def begin(self, index: int) -> float:
        """Of a period."""
        return self.t0 + index * self.period_s

    def counted(self, index: int) -> tuple[float, float]:
        """Begin and end of the counted part of a period."""
        begin = self.begin(index)
        return begin + self.washout_s, begin + self.period_s


Metric = Literal[
    "uploads_per_s",  # verified uploads
    "cpu_s_per_upload",  # of our services and their databases
    "durable_ms",  # median time until an upload is durable
    "acked_p95_ms",  # at an offered rate, of what is admitted
    "refusal_share",  # processor time of a refusal, as a share of that of a served upload
    "recovery_s",  # after an offered rate, until the lowest one is served as it is in calm
    "login_p95_ms",  # beside uploads
    "list_p95_ms",
    "statements",  # SQL, for one upload and the reads that follow it
    "cpu_share",  # of one service's in all services' processor time
    "failed_share",  # uploads that the client saw fail, of all it began
    "ghost_share",  # acknowledged uploads that are not there, of all it began
    "held_share",  # memory of gateway and upload that each further slow client takes, of its file
    "downloads_per_s",  # verified downloads of a fleet
]


class Decides(Record):
    """What must be measured for a claim to hold: ``arm`` over ``over``, or ``arm`` alone, in a metric.

    Either numbers (``least``, ``most``, or both) or a direction (``shows``).
    """

    metric: Metric
    arm: str
    over: str | None = None  # what it is compared with; None: the arm's own value
    process: str | None = None  # of cpu_share: whose
    rate: float | None = None  # share of capacity that is offered; None: the closed loop
    over_rate: float | None = None  # of what it is compared with
    clients: int | None = None  # of downloads_per_s: how many there are at once
    over_clients: int | None = None
    file_size: Size | None = None  # bytes, of the part that compares sizes; None: the main comparison
    least: float | None = None
    most: float | None = None
    shows: Literal["more", "less", "equal"] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Decides:
        numbers = self.least is not None or self.most is not None
        if numbers == (self.shows is not None):
            raise ValueError("expected least and/or most, or else `shows` with more, less or equal")
        if self.shows is not None and self.over is None:
            raise ValueError("`shows` needs `over`: more, less or equal than what?")
        if self.metric in ("acked_p95_ms", "refusal_share", "recovery_s") and self.rate is None:
            raise ValueError(f"{self.metric} is of an offered rate: rate")
        if self.metric == "refusal_share" and self.over_rate is None:
            raise ValueError("refusal_share says at which rate uploads cost what they cost: over_rate")
        if (self.process is not None) != (self.metric == "cpu_share"):
            raise ValueError("cpu_share, and nothing else, says whose: process")
        fleet = self.metric == "downloads_per_s"
        if (self.clients is not None) != fleet or (self.over_clients is not None) != (
            fleet and self.over is not None
        ):
            raise ValueError(
                "downloads_per_s, and nothing else, says of how many clients: clients, and over_clients of "
                "what it is compared with"
            )
        return self


class Claim(Record):
    """What a source says about a question, restated; it holds when all of ``decides`` does."""

    source: str
    claim: str
    from_vus: int | None = None  # it speaks of so many clients and more
    decides: tuple[Decides, ...] = Field(min_length=1)


class Plan(Record):
    """A run before anything starts."""

    run: str
    question: str  # its file's name; "ab" for arms of the command line
    asks: str  # the question in plain words
    profile: Literal["smoke", "ci", "full"]
    seed: int
    words: dict[str, str]  # as given on the command line
    arms: tuple[Arm, ...]  # of the comparison, the first is what the others are compared with
    parts: tuple[Part, ...]
    margin: float  # differences below it do not matter: 0.10 is ±10 %
    precision: float  # wanted half-width of the main ratios
    budget_s: float
    fail_on_loss: float | None = None  # what the last arm may lose against the first, as a share
    rtt_ms: float = 0.0
    bandwidth_mbit: float | None = None
    disk_bytes: int  # the load pauses when half of it is full
    replicated: bool = False  # stacks are made anew; the making, not the block, is the unit
    login_each: bool = False
    calibrates: bool = False  # the warm-up decides how many VUs there are
    pairs: tuple[tuple[str, str], ...] = ()  # which arms are compared (base, arm); none: each with each
    requests_per_upload: dict[str, float] = Field(default_factory=dict)  # by arm; of a batch, a file's share
    statements_per_upload: dict[str, float] = Field(default_factory=dict)  # expected, by arm
    store_requests_per_upload: dict[str, float] = Field(default_factory=dict)  # expected, by arm
    claims: tuple[Claim, ...] = ()
    expected: str | None = None  # what we expected before measuring
    share_of: ShareOf | None = None  # what the first sentence says; with neither: which arm is faster
    asks_for: AsksFor | None = None
    ways: tuple[Way, ...] = ()  # of arms whose cost is told: those that differ in their strategy
    prices: UnitPrices | None = None  # for that cost in money; a report may be given others

    def with_part(self, changed: Part) -> Plan:
        """The same with this in the place of its part of that name."""
        parts = tuple(changed if part.name == changed.name else part for part in self.parts)
        return self.model_copy(update={"parts": parts})

    @property
    def point(self) -> PartKind:
        """The part that the question is about."""
        kinds = {part.kind for part in self.parts}
        return next((kind for kind in POINTS if kind in kinds), PartKind.COMPARE)
