"""The records a run leaves behind, and nothing else.

Every stage reads the files of the stage before it, so these types are all that the stages share. Times are
epoch seconds of the harness host's clock, sizes bytes; what was not measured is ``None``, never zero.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from loadtests.harness.records.vocabulary import LedgerClass, Question, Severity, Validity

__all__ = [  # with the vocabulary
    "Counters", "Event", "Intent", "K6Summary", "LedgerClass", "LedgerTable", "Load", "Manifest",
    "MonitorSample", "Outcome", "Plan", "ProcessUse", "Question", "Record", "Severity", "StepSample",
    "Trial", "TrialPlan", "UploadSample", "Validity", "Warn",
]  # fmt: skip


class Record(BaseModel):
    """Base of every record: immutable, and an unknown member is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Warn(Record):
    """One warning: data, not a log line.

    ``metric``, ``value`` and ``limit`` are the evidence; ``advice`` says what would help.
    """

    code: str
    severity: Severity
    message: str
    metric: str | None = None
    value: float | str | None = None
    limit: float | str | None = None
    advice: str | None = None
    trial: str | None = None


class Load(Record):
    """The load of one trial, as handed to k6."""

    executor: Literal["constant-vus", "constant-arrival-rate", "ramping-vus", "per-vu-iterations", "none"]
    vus: int | None = None  # closed loops; for an open loop the pre-allocated VUs
    max_vus: int | None = None
    rate_per_s: float | None = None  # open loops
    iterations: int | None = None  # per-vu-iterations only
    stages: tuple[tuple[float, int], ...] = ()  # (seconds, target) of ramping-vus
    warmup_s: float = 0.0
    window_s: float = 0.0
    think_s: float = 0.0  # sleep inside one iteration, as the script has it
    complete_pause_s: float = 0.0  # sleep before the last request of an upload (SLEEPS=seed)
    login_rate_per_s: float = 0.0  # neighbours: open arrivals of logins
    list_rate_per_s: float = 0.0  # neighbours: open arrivals of file lists
    login_each: bool = False  # LOGIN=each: one login inside every iteration


class TrialPlan(Record):
    """One arm at one level, to be run from a verified clean state."""

    trial: str  # e.g. "t007"; unique and sorted in the order planned
    question: Question
    arm: str  # a strategy's name, "raw-put", or "none" (neighbours alone)
    file_size_bytes: int
    load: Load
    seed: int
    level: str  # label of the swept level, e.g. "32 VU"
    block: int | None = None
    pair: int | None = None
    position: int | None = None  # 0..3 within its ABBA or BAAB block
    settle_limit_s: float = 30.0
    rest_s: float = 2.0  # store and databases are quiet for so long before the load


class Plan(Record):
    """A frozen run: what will be done, in order, before anything starts."""

    run: str
    experiment: str
    profile: Literal["smoke", "ci", "full"]
    seed: int
    strategies: tuple[str, ...]
    file_size_bytes: int
    scale: float
    overrides: dict[str, str]
    trials: tuple[TrialPlan, ...]
    estimated_s: float
    margin: float  # equivalence margin of the profile, 0.05 = ±5 %
    requests_per_flow: dict[str, int]  # by strategy, for one upload of file_size_bytes
    statements_per_upload: dict[str, float] = Field(default_factory=dict)  # expected, authentication apart
    store_requests_per_upload: dict[str, float] = Field(default_factory=dict)  # expected of our services
    strategy_titles: dict[str, str] = Field(default_factory=dict)  # from the manifests, for the report
    strategy_colours: dict[str, str] = Field(default_factory=dict)  # "#rrggbb"
    factors: tuple[str, ...] = ("strategy",)  # what the arms of a pair are allowed to differ in


class Intent(Record):
    """The client decided to upload: recorded before the first byte left."""

    upload_ref: str
    trial: str
    strategy: str
    user_id: str
    size_bytes: int
    sha256: str
    at: float
    scheduled_at: float | None = None  # open arrivals: when it was due


class Outcome(Record):
    """What the client saw in the end. Without one, the client was cut off."""

    upload_ref: str
    acked: bool
    upload_uuid: str | None = None
    started_at: float
    authorised_at: float | None = None  # session granted
    transferred_at: float | None = None  # last byte answered
    ended_at: float  # ack, or the failure
    step: str | None = None  # the step that failed
    status: int | None = None  # its HTTP status; 0 = no answer
    error_code: str | None = None


class UploadSample(Record):
    """One upload, joined from intent, outcome, rows and object by the ledger."""

    upload_ref: str
    trial: str
    strategy: str
    user_id: str
    size_bytes: int
    sha256: str
    intent_at: float
    scheduled_at: float | None = None  # open arrivals: when it was due, whenever the generator began it
    upload_uuid: str | None = None
    started_at: float | None = None
    authorised_at: float | None = None
    transferred_at: float | None = None
    acked_at: float | None = None
    failed_at: float | None = None
    failed_step: str | None = None
    failed_status: int | None = None
    failed_code: str | None = None
    durable_at: float | None = None  # database's clock, offset corrected
    visible_at: float | None = None
    ledger: LedgerClass
    flags: tuple[str, ...] = ()  # "G-10" early ack, "G-12" hollow iteration, "hashed" = content read back


class StepSample(Record):
    """One timed request that is not an upload (login, list), or one raw PUT."""

    trial: str
    step: str
    started_at: float
    duration_ms: float
    status: int
    ok: bool
    scheduled_at: float | None = None  # open arrivals: when it was due


class ProcessUse(Record):
    """What one process used inside the steady window."""

    name: str  # gateway, auth, upload, files, pg-auth, pg-upload, pg-files, minio, k6, harness, rest
    pid: int | None = None
    start_ticks: int | None = None
    container: str | None = None  # id, where it runs in one
    cpu_s: float
    peak_rss_bytes: int | None = None  # highest resident size seen in the window
    restarted: bool = False


class Counters(Record):
    """Differences of the services' own counters over the whole load (not only the window)."""

    statements: dict[str, float] = Field(default_factory=dict)  # by database: auth_db, upload_db, files_db
    store_requests: dict[str, float] = Field(default_factory=dict)  # by operation, as our services sent them
    gateway_bytes_in: float | None = None
    gateway_bytes_out: float | None = None


class LedgerTable(Record):
    """Counts of one trial's reconciliation, and every offending row."""

    trial: str
    intents: int
    acks: int
    classes: dict[str, int]  # LedgerClass value -> intents
    flags: dict[str, int]  # "G-04", "G-09", "G-10", "G-11", "G-12" -> count
    hashed: int  # objects read back and hashed
    compared: int  # objects compared by size and ETag only
    baseline_files: int  # other users' files that were there before
    verified_bytes: int
    stored_bytes: int  # sum of the verified objects' sizes in the store: must equal verified_bytes
    offending: tuple[dict[str, Any], ...] = ()
    failed: bool  # a class that fails the trial is present


class K6Summary(Record):
    """What k6 itself counted, from its end-of-test summary."""

    iterations: int
    dropped_iterations: int
    http_reqs: int
    iteration_duration_mean_ms: float | None = None
    http_req_duration_p50_ms: float | None = None
    http_req_duration_p95_ms: float | None = None
    exit_code: int


class Trial(Record):
    """One trial as it was run."""

    plan: TrialPlan
    started_at: float
    load_started_at: float
    window_start: float
    window_end: float
    load_ended_at: float
    settled_at: float
    ended_at: float
    k6: K6Summary
    processes: tuple[ProcessUse, ...]
    host_cpu_s: float | None = None  # busy CPU-seconds of the host in the window
    host_cores: float
    k6_cores_allowed: float
    counters: Counters
    mean_active_vus: float | None = None  # over the window
    mean_gateway_in_flight: float | None = None
    gateway_rate_per_s: float | None = None
    gateway_mean_latency_s: float | None = None
    uploads_in_window: int  # verified and durable inside the steady window
    goodput_per_s: float
    goodput_bytes_per_s: float
    steady_cut_s: float | None = None  # long holds: seconds before goodput was steady; goodput is the rest's
    iterations_per_s: float  # upload iterations started in the window; logins and lists are steps
    validity: Validity
    warnings: tuple[Warn, ...] = ()
    interrupted: bool = False
    clock_offset_s: dict[str, float] = Field(default_factory=dict)  # database -> its clock minus ours
    # What the trial ran with, flat ("gateway.LOG_LEVEL"): a pair agrees in all but what Plan.factors names.
    config: dict[str, str] = Field(default_factory=dict)


class MonitorSample(Record):
    """One second of one process, or of the host (name "host")."""

    at: float
    trial: str | None
    name: str
    pid: int | None = None
    start_ticks: int | None = None
    container: str | None = None
    cpu_cores: float
    rss_bytes: int | None = None
    extra: dict[str, float] = Field(default_factory=dict)


class Event(Record):
    at: float
    kind: str  # trial-start, phase, restart, fault, warning, interrupt
    trial: str | None = None
    detail: dict[str, Any] = Field(default_factory=dict)


class Manifest(Record):
    """Where, when and with what a run was made. Secrets never enter it."""

    run: str
    experiment: str
    profile: str
    started_at: float
    ended_at: float | None = None
    interrupted: bool = False
    git_revision: str | None = None
    git_dirty: bool | None = None
    command: str
    overrides: dict[str, str]
    host: dict[str, Any]  # cpu_model, cores, memory_bytes, kernel, cgroup, nofile, ports, pressure, ...
    runtime: str = "native"  # or "compose": results of the two are not compared
    containers: dict[str, dict[str, Any]] = Field(default_factory=dict)  # image and limits as read back
    tools: dict[str, str]  # minio, k6, postgres, python, library versions
    settings: dict[str, dict[str, Any]]  # by process, as read back from /settings
    databases: dict[str, dict[str, str]]  # by database, pg_settings read back
    scripts: dict[str, str]  # file -> SHA-256
    seeds: dict[str, int]
    verified_how: str  # what was hashed and what was compared
    notes: dict[str, Any] = Field(default_factory=dict)
