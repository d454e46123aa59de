"""What was seen: uploads, requests, processes, events. Nothing here is derived from two stretches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field

from loadtests.harness.records.base import Record
from loadtests.harness.records.vocabulary import LedgerClass, Severity


class Warn(Record):
    """One warning: data, not a log line. ``metric``, ``value`` and ``limit`` are the evidence."""

    code: str
    severity: Severity
    message: str
    metric: str | None = None
    value: float | str | None = None
    limit: float | str | None = None
    advice: str | None = None
    part: str | None = None


class Intent(Record):
    """The client decided to upload: recorded before the first byte left."""

    upload_ref: str
    stretch: str
    arm: str
    user_id: str
    size_bytes: int
    sha256: str
    at: float
    scheduled_at: float | None = None  # open arrivals: when it was due
    key: str | None = None  # the session's idempotency key where it is not the reference: a file of a batch


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
    """One upload, joined from intent, outcome, rows and object by the ledger; or one download (flag
    ``DOWNLOADED``), which k6 compared with what was uploaded. Then ``upload_ref`` is the file's id, and it is
    durable when it has arrived."""

    upload_ref: str
    stretch: str
    arm: str
    user_id: str
    size_bytes: int
    intent_at: float
    scheduled_at: float | None = None
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
    # ``LedgerFlag``, ``HASHED``, ``UNFINISHED``, ``DOWNLOADED``, ``RESUMED``
    flags: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        return self.ledger is LedgerClass.VERIFIED

    @property
    def begun_at(self) -> float:
        """Its first request; of one without a request, when it was decided on."""
        return self.intent_at if self.started_at is None else self.started_at

    @property
    def due_at(self) -> float:
        """From when its user waits: a load generator that is late itself must not shorten the wait."""
        return self.begun_at if self.scheduled_at is None else self.scheduled_at


class StepSample(Record):
    """One timed request that is not an upload: a login, a list or a look at a file."""

    stretch: str
    arm: str  # whose period it was due in
    step: str
    started_at: float
    duration_ms: float
    status: int
    ok: bool
    scheduled_at: float | None = None

    @property
    def due_at(self) -> float:
        """From when its user waits: a load generator that is late itself must not shorten the wait."""
        return self.started_at if self.scheduled_at is None else self.scheduled_at

    @property
    def waited_s(self) -> float:
        return self.started_at - self.due_at + self.duration_ms / 1000


class Look(Record):
    """What every process had used up at one instant. Processes of a stack are named ``<stack>/<process>``.

    Members that only older runs have are passed over.
    """

    model_config = ConfigDict(extra="ignore")

    at: float
    cpu_s: dict[str, float]  # since the process began
    lives: dict[str, int]  # start ticks: another number is another process
    rss_bytes: dict[str, int]
    host_busy_s: float
    disk_wait_s: float = 0.0  # of all processors together: idle, and something waited for a disk
    pool_waiting: dict[str, float] = Field(default_factory=dict)  # requests without a database connection


CEILINGS = "generator"  # of the load generator, among the notes of a manifest
KILL, RECOVERED = "kill", "recovered"  # events of a planned kill: its processes are gone, and serve again


class Event(Record):
    at: float
    kind: str  # stretch-start, stretch-end, audit, phase, restart, fault, kill, recovered, warning, interrupt
    detail: dict[str, Any] = Field(default_factory=dict)


class Counted(Record):
    """Differences of the services' own counters over one audited piece of load of one stack."""

    stack: str
    stretches: tuple[str, ...]
    uploads: dict[str, int]  # verified, by arm
    statements: dict[str, float]  # by database
    store_requests: dict[str, float]  # by operation
    gateway_bytes_in: float | None = None
    gateway_bytes_out: float | None = None


class LedgerTable(Record):
    """Counts of one audit and every offending row. An audit covers all stretches since the last one."""

    audit: int
    stack: str
    stretches: tuple[str, ...]
    intents: int
    acks: int
    classes: dict[str, int]  # LedgerClass value -> intents
    by_arm: dict[str, dict[str, int]]  # the same by arm
    by_user: dict[str, dict[str, int]]  # user id -> intents, acks, verified, files
    flags: dict[str, int]  # LedgerFlag value -> count
    hashed: int  # objects read back and hashed
    compared: int  # objects compared by size and ETag only
    baseline_files: int  # other users' files that were there before
    verified_bytes: int
    stored_bytes: int  # sum of the verified objects' sizes in the store: must equal verified_bytes
    offending: tuple[dict[str, Any], ...] = ()
    killed: bool = False  # a process was killed on purpose: what was lost is a finding and no failure
    failed: bool  # a class that fails the run is present


class LoadSummary(Record):
    """What k6 said of itself when it ended."""

    exit_code: int
    requests: int
    request_p50_ms: float | None = None
    request_p95_ms: float | None = None
    failed_requests: int = 0


class Ceiling(Record):
    """What the load generator can do by itself with one script and one file size."""

    file_size_bytes: int
    uploads_per_s: float
    floor_ms: float  # median time of an upload that nobody works on


class Manifest(Record):
    """Where, when and with what a run was made. Secrets never enter it."""

    run: str
    question: str
    profile: str
    started_at: float
    ended_at: float | None = None
    interrupted: bool = False
    git_revision: str | None = None
    git_dirty: bool | None = None
    command: str
    words: dict[str, str]
    host: dict[str, Any]  # cpu_model, cores, memory_bytes, kernel, cgroup, nofile, ports, pressure, ...
    runtime: str = "native"  # or "compose": results of the two are not compared
    containers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    tools: dict[str, str]  # minio, k6, postgres, python, library versions
    settings: dict[str, dict[str, Any]]  # by process, as read back from /settings
    databases: dict[str, dict[str, str]]  # by database, pg_settings read back
    scripts: dict[str, str]  # file -> SHA-256
    revisions: dict[str, str] = Field(default_factory=dict)  # by arm
    seeds: dict[str, int]
    verified_how: str
    k6_cores: float  # that the load generator may use
    notes: dict[str, Any] = Field(default_factory=dict)

    @property
    def ceilings(self) -> dict[str, Ceiling]:
        """By strategy; empty where nothing was measured."""
        return {name: Ceiling.model_validate(own) for name, own in self.notes.get(CEILINGS, {}).items()}

    def with_ceilings(self, found: Mapping[str, Ceiling]) -> Manifest:
        """The same with these, by strategy."""
        noted = {CEILINGS: {name: ceiling.model_dump() for name, ceiling in found.items()}}
        return self.model_copy(update={"notes": self.notes | noted})
