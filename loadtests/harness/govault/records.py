"""What a study leaves in its bundle: the course of its ramps, and what they showed."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from loadtests.harness.claims import Decision
from loadtests.harness.govault.source import Method
from loadtests.harness.records.base import Record
from loadtests.harness.records.bundle import BundleError, unreadable
from loadtests.harness.records.result import Interval, Latency, LedgerTotal
from loadtests.harness.records.samples import Warn

COURSE, FINDINGS = "study.json", "findings.json"


class Ramp(Record):
    """One ramp, as planned and as it was run."""

    stretch: str  # its name in the ledger and in its k6 folder
    level: int  # VUs at the source's peak
    vus: int  # at ours: the level times SCALE
    method: Method
    began_at: float | None = None  # first round
    ended_at: float | None = None  # k6 had ended
    iterations: int | None = None  # that k6 counted as complete; None: it was killed
    stopped: str | None = None  # why it was cut short, or not run: disk, memory, nofile, time-budget, ...
    why: str = ""  # the same in words, with the evidence

    @property
    def run(self) -> bool:
        return self.began_at is not None

    @property
    def whole(self) -> bool:
        return self.run and self.stopped is None


class Course(Record):
    """A study while it goes on; written again after every ramp."""

    run: str
    words: dict[str, str]
    scale: float
    time: float
    budget_s: float | None  # None: as long as it takes
    disk_bytes: int
    ramps: tuple[Ramp, ...]
    users: tuple[str, ...] = ()  # their ids; a ramp has the first of them

    def with_ramp(self, at: int, ramp: Ramp) -> Course:
        return self.model_copy(update={"ramps": (*self.ramps[:at], ramp, *self.ramps[at + 1 :])})


class Step(Record):
    """One step of the rounds of a ramp. ``tried`` are those whose end was seen."""

    step: str
    tried: int
    ok: int
    median: Latency
    p95: Latency


class Row(Record):
    """What one ramp showed. Rates are over ``seconds``, from its first request to its last answer."""

    level: int
    vus: int
    method: Method
    reached_vus: int  # that began a round
    mean_vus: float
    seconds: float
    rounds: int  # begun
    iterations: int | None  # complete, as k6 counts
    requests: int
    failed: int  # of them: every request counts, login and list included
    errors: Interval
    rps: float
    median: Latency
    p95: Latency
    intents: int
    acked: int
    verified: int
    files_per_s: float
    lost: int  # acknowledged and not there
    other_classes: dict[str, int]  # of the ledger, besides verified
    users: int
    users_without: int  # a file
    without_why: dict[str, int]  # users without a file by what became of them
    steps: tuple[Step, ...]
    failures: dict[str, int]  # "step status" or "step transport-code" -> requests
    cpu_share: dict[str, float]  # of all processors' time, by process
    busy_share: float | None  # of all processors
    k6_peak_bytes: int | None
    whole: bool


class Told(Record):
    """One sentence of the source, and what this run makes of it."""

    claim: str
    theirs: str
    ours: str
    decision: Decision
    why: str


class Missing(Record):
    """A ramp that was not run, or not to its end."""

    level: int
    vus: int
    method: Method
    reason: str
    why: str


class Findings(Record):
    """What the report shows; ``facts`` are lines about machine, time and command."""

    run: str
    headline: str
    about: str
    cautions: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    scale: float
    time: float
    interrupted: bool
    rows: tuple[Row, ...]
    missing: tuple[Missing, ...]
    claims: tuple[Told, ...]
    password_hash: str | None = None  # of the auth service; None: not known, or not the same everywhere
    ledger: LedgerTotal
    warnings: tuple[Warn, ...] = Field(default=())
    exit_code: int


def is_study(path: Path) -> bool:
    """Whether a bundle is that of a study."""
    return (path / COURSE).exists()


def read_course(path: Path) -> Course:
    """Raises ``BundleError``."""
    try:
        return Course.model_validate_json((path / COURSE).read_bytes())
    except FileNotFoundError as error:
        raise BundleError(f"{path} holds no {COURSE}: it is no run of make govault") from error
    except ValidationError as error:
        raise unreadable(path / COURSE, error) from error
