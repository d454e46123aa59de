"""What a fabricated bundle is made from: the arms' truth and the recipe of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from loadtests.harness.records.model import LedgerTable, Trial

PROXY, DIRECT, SINGLE = "proxy-chunked", "direct-multipart", "direct-single"
STARTED_AT = 1_790_000_000.0
MIB = 1 << 20
CORES = 2.0


@dataclass(frozen=True)
class Arm:
    """An arm's truth: capacity in uploads/s of 1 MiB, and CPU milliseconds of one upload by process."""

    capacity_per_s: float
    cpu_ms: dict[str, float]
    gateway_bytes: tuple[float, float]  # in and out, per payload byte
    statements: float
    store_requests: float
    requests: int


ARMS = {
    PROXY: Arm(
        44.0,
        {"gateway": 5.2, "upload": 7.9, "files": 0.9, "pg-upload": 2.1, "pg-files": 0.9, "minio": 14.5,
         "auth": 0.1, "pg-auth": 0.1, "k6": 9.6},
        (1.0, 1.0), 5, 1, 2,
    ),
    DIRECT: Arm(
        58.0,
        {"gateway": 1.8, "upload": 3.1, "files": 0.9, "pg-upload": 2.6, "pg-files": 0.9, "minio": 13.8,
         "auth": 0.1, "pg-auth": 0.1, "k6": 9.2},
        (0.004, 0.003), 6, 3, 4,
    ),
    SINGLE: Arm(
        66.0,
        {"gateway": 1.3, "upload": 2.2, "files": 0.9, "pg-upload": 1.9, "pg-files": 0.9, "minio": 11.6,
         "auth": 0.1, "pg-auth": 0.1, "k6": 9.0},
        (0.003, 0.002), 4, 1, 3,
    ),
}  # fmt: skip
RSS = {"gateway": 58, "auth": 61, "upload": 66, "files": 57, "pg-auth": 40, "pg-upload": 88, "pg-files": 62,
       "minio": 240, "k6": 310, "harness": 120, "rest": 0}  # fmt: skip
OPEN_MEAN_S = {PROXY: 0.071, DIRECT: 0.052, SINGLE: 0.044}  # one upload at an easy rate
IDLE_CPU_MS_PER_S = {"harness": 12.0, "rest": 15.0}


@dataclass(frozen=True)
class Recipe:
    """What to fabricate. ``alter`` may replace a finished trial or its ledger: the planted defect."""

    profile: str = "ci"
    pairs: int = 6
    vus: int = 16
    think_s: float = 0.0
    hidden_sleep_s: float = 0.0  # a pause that the script does not declare
    sleep_inside: bool = False  # between two requests of a flow, where no clock but the proof can see it
    noise: float = 0.015
    window_s: float = 8.0
    seed: int = 7
    saturation: bool = True
    single: bool = True
    large: bool = True
    ramp: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    neighbours: bool = True
    order: str = "ABBA"
    cut_after: int | None = None  # trials that ran before Ctrl-C
    arms: dict[str, Arm] = field(default_factory=lambda: dict(ARMS))
    alter: Callable[[Trial, LedgerTable], tuple[Trial, LedgerTable]] | None = None


SMOKE = Recipe(profile="smoke", pairs=1, vus=5, saturation=False, single=False, ramp=(), neighbours=False)
SHORT = Recipe(ramp=(), single=False, large=False, neighbours=False)  # pairs and their proof
