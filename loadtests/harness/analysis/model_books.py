"""What an analysis says about reach and about the ledger: parts of ``model.Analysis``."""

from __future__ import annotations

from loadtests.harness.records.model import Record


class Level(Record):
    """Reach of one planned level."""

    question: str
    arm: str
    level: str
    planned: int
    attempted: int
    valid: int
    reached: bool
    reason: str | None = None
    evidence: str | None = None


class Reach(Record):
    id: str = "reach"
    planned: int
    reached: int
    levels: tuple[Level, ...]
    text: str


class LedgerRow(Record):
    trial: str
    question: str
    arm: str
    level: str
    intents: int
    acks: int
    counts: dict[str, int]
    hashed: int
    compared: int
    failed: bool


class LedgerView(Record):
    id: str = "ledger"
    rows: tuple[LedgerRow, ...]
    by_arm: dict[str, dict[str, int]]
    totals: dict[str, int]
    failed: bool


class Failure(Record):
    """Uploads of one arm that failed in the same way."""

    arm: str
    step: str
    status: int | None  # 0: no answer
    code: str | None
    count: int


class AlertRow(Record):
    """One stretch of firing; ``at_s`` since the run began."""

    at_s: float
    trial: str | None
    name: str
    severity: str
    where: str
    meaning: str
    firing_s: float
    still: bool  # it fired to the end of the run


class AlertView(Record):
    id: str = "alerts"
    rows: tuple[AlertRow, ...] = ()
    text: str = ""
