"""Makes plausible bundles without a system: arithmetic in, records out, by the real writer.

The numbers obey the laws the guards check (Little, utilisation, conservation), so a bundle made with
the default recipe is valid, and a test breaks exactly one thing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from loadtests.harness.bundle import BundleWriter
from loadtests.harness.model import (
    Counters,
    Event,
    K6Summary,
    LedgerClass,
    LedgerTable,
    Load,
    Manifest,
    MonitorSample,
    Plan,
    ProcessUse,
    Question,
    StepSample,
    Trial,
    TrialPlan,
    UploadSample,
    Validity,
)

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


def fabricate(folder: Path, recipe: Recipe | None = None) -> Path:
    """Write one whole bundle and return its folder."""
    recipe = recipe or Recipe()
    maker = _Maker(recipe)
    path = folder / f"20260917-120000-EXP-07-{recipe.profile}"
    writer = BundleWriter(path)
    plans = maker.plans()
    writer.write_plan(maker.plan(path.name, plans))
    ended = STARTED_AT
    for index, plan in enumerate(plans):
        cut = recipe.cut_after is not None and index >= recipe.cut_after
        if cut and recipe.cut_after is not None and index > recipe.cut_after:
            break
        ended = maker.write_trial(writer, plan, interrupted=cut)
    writer.write_manifest(maker.manifest(path.name, ended))
    writer.write_warnings(())
    return path


class _Maker:
    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.random = np.random.default_rng(recipe.seed)
        self.clock = STARTED_AT + 5
        self.uploads = 0

    def plans(self) -> list[TrialPlan]:
        recipe, plans = self.recipe, list[TrialPlan]()

        def add(question: Question, arm: str, load: Load, **more: object) -> None:
            label = f"{load.rate_per_s:g} uploads/s" if load.rate_per_s else f"{load.vus} VU"
            fields: dict[str, object] = {"file_size_bytes": MIB, "level": label, "seed": recipe.seed, **more}
            plans.append(
                TrialPlan.model_validate(
                    {
                        "trial": f"t{len(plans) + 1:03d}",
                        "question": question,
                        "arm": arm,
                        "load": load,
                        **fields,
                    }
                )
            )

        for level in recipe.ramp:
            for arm in (PROXY, DIRECT):
                add(Question.RAMP, arm, self._closed(level, 4.0), seed=recipe.seed + level)
        for pair, couple in enumerate(self._couples()):
            for position, arm in enumerate(couple):
                add(
                    Question.CAPACITY, arm, self._closed(recipe.vus, recipe.window_s),
                    pair=pair, block=pair // 2, position=2 * (pair % 2) + position, seed=recipe.seed + pair,
                )  # fmt: skip
        if recipe.saturation:
            for arm in (PROXY, DIRECT, DIRECT, PROXY):
                add(Question.SATURATION, arm, self._closed(round(recipe.vus * 1.5), recipe.window_s))
        if recipe.single:
            for _ in range(2):
                add(Question.SINGLE, SINGLE, self._closed(recipe.vus, recipe.window_s))
        if recipe.large:
            for arm in (PROXY, DIRECT):
                add(Question.LARGE, arm, self._closed(4, recipe.window_s), file_size_bytes=12 * MIB)
        if recipe.neighbours:
            for arm in ("none", PROXY, DIRECT) * 2:
                add(Question.NEIGHBOURS, arm, self._open(0.0 if arm == "none" else 26.4))
        return plans

    def _couples(self) -> list[tuple[str, str]]:
        pairs = self.recipe.pairs
        if self.recipe.order == "AAABBB":
            return [(PROXY, DIRECT)] * pairs
        return [(PROXY, DIRECT) if pair % 2 == 0 else (DIRECT, PROXY) for pair in range(pairs)]

    def _closed(self, vus: int, window_s: float) -> Load:
        return Load(
            executor="constant-vus", vus=vus, warmup_s=2, window_s=window_s, think_s=self.recipe.think_s
        )

    def _open(self, rate: float) -> Load:
        return Load(
            executor="constant-arrival-rate" if rate else "none", rate_per_s=rate or None,
            vus=80 if rate else None, warmup_s=2, window_s=9, login_rate_per_s=7, list_rate_per_s=8,
        )  # fmt: skip

    def plan(self, run: str, trials: list[TrialPlan]) -> Plan:
        arms = self.recipe.arms
        return Plan.model_validate(
            {
                "run": run, "experiment": "EXP-07", "profile": self.recipe.profile, "seed": self.recipe.seed,
                "strategies": tuple(arms), "file_size_bytes": MIB, "scale": 1.0, "overrides": {},
                "trials": trials, "estimated_s": 470.0, "margin": 0.10,
                "requests_per_flow": {name: arm.requests for name, arm in arms.items()},
                "statements_per_upload": {name: arm.statements for name, arm in arms.items()},
                "store_requests_per_upload": {name: arm.store_requests for name, arm in arms.items()},
                "strategy_colours": {PROXY: "#c2410c", DIRECT: "#1d4ed8", SINGLE: "#0f766e"},
                "strategy_titles": {
                    PROXY: "Through the server, in chunks",
                    DIRECT: "Straight to the store, in parts",
                    SINGLE: "Straight to the store, in one request",
                },
            }
        )  # fmt: skip

    def manifest(self, run: str, ended_at: float) -> Manifest:
        return Manifest(
            run=run, experiment="EXP-07", profile=self.recipe.profile,
            started_at=STARTED_AT, ended_at=ended_at,
            interrupted=self.recipe.cut_after is not None, git_revision="0" * 40, git_dirty=False,
            command="make stress", overrides={},
            host={"cpu_model": "Fabricated CPU", "cores": CORES, "memory_bytes": 8 << 30, "kernel": "6.1.0"},
            tools={"minio": "fabricated", "k6": "fabricated", "python": "3.11", "postgres": "16"},
            settings={"gateway": {"LOG_LEVEL": "info"}}, databases={"upload_db": {"fsync": "on"}},
            scripts={"main.js": "0" * 64}, seeds={"order": self.recipe.seed},
            verified_how="200 objects read back and hashed, size and ETag for the rest",
        )  # fmt: skip

    def rate(self, plan: TrialPlan) -> float:
        """Uploads per second that a trial would measure."""
        if plan.arm == "none":
            return 0.0
        if plan.load.rate_per_s:
            return plan.load.rate_per_s
        arm, vus = self.recipe.arms[plan.arm], plan.load.vus or 1
        capacity = arm.capacity_per_s * (1 - math.exp(-vus / 3.2))
        capacity *= float((MIB / plan.file_size_bytes) ** 0.93)
        pause = self.recipe.think_s + self.recipe.hidden_sleep_s
        if pause:
            capacity = min(capacity, vus / (pause + 1 / arm.capacity_per_s))
        return capacity * math.exp(float(self.random.normal(0, self.recipe.noise)))

    def write_trial(self, writer: BundleWriter, plan: TrialPlan, *, interrupted: bool) -> float:
        trial, samples, steps = self._trial(plan, interrupted=interrupted)
        ledger = self._ledger(plan, samples)
        if self.recipe.alter:
            trial, ledger = self.recipe.alter(trial, ledger)
        writer.append_uploads(samples)
        writer.append_steps(steps)
        writer.append_monitor(self._monitor(trial))
        writer.append_events([Event(at=trial.started_at, kind="trial-start", trial=plan.trial)])
        if ledger.intents:
            writer.append_ledger(ledger)
        writer.append_trial(trial)
        return trial.ended_at

    def _trial(
        self, plan: TrialPlan, *, interrupted: bool
    ) -> tuple[Trial, list[UploadSample], list[StepSample]]:
        start = self.clock
        load_start = start + 1
        window_start = load_start + plan.load.warmup_s
        window_end = window_start + plan.load.window_s
        count = round(self.rate(plan) * plan.load.window_s)
        rate = count / plan.load.window_s
        samples = self._samples(plan, count, rate, window_start, window_end)
        self.clock = window_end + 4
        trial = Trial(
            plan=plan, started_at=start, load_started_at=load_start, window_start=window_start,
            window_end=window_end, load_ended_at=window_end, settled_at=window_end + 1,
            ended_at=window_end + 3, k6=self._k6(plan, len(samples), rate, samples),
            processes=self._processes(plan, count),
            host_cpu_s=sum(use.cpu_s for use in self._processes(plan, count)), host_cores=CORES,
            k6_cores_allowed=CORES, counters=self._counters(plan, len(samples)),
            mean_active_vus=None if plan.load.rate_per_s else (plan.load.vus or 0) * 0.995 or None,
            mean_gateway_in_flight=rate * 4 * 0.02, gateway_rate_per_s=rate * 4, gateway_mean_latency_s=0.02,
            uploads_in_window=count, goodput_per_s=rate, goodput_bytes_per_s=rate * plan.file_size_bytes,
            iterations_per_s=rate, validity=Validity.VALID, interrupted=interrupted,
            clock_offset_s={"upload_db": 0.0004},
            config={"strategy": plan.arm, "gateway.LOG_LEVEL": "info", "workload.verify": "sha256"},
        )  # fmt: skip
        return trial, samples, self._steps(plan, window_start)

    def _samples(
        self, plan: TrialPlan, count: int, rate: float, start: float, end: float
    ) -> list[UploadSample]:
        """``count`` uploads durable inside the window, and a warm-up's worth before it."""
        if count == 0:
            return []
        before = round(count * plan.load.warmup_s / plan.load.window_s)
        durable = np.concatenate([
            np.linspace(start - plan.load.warmup_s + 0.2, start - 0.01, before),
            np.linspace(start + 0.001, end - 0.001, count),
        ])  # fmt: skip
        vus = plan.load.vus or 1
        mean = OPEN_MEAN_S[plan.arm] if plan.load.rate_per_s else vus / rate * 0.985
        hidden = 0.0 if self.recipe.sleep_inside else self.recipe.hidden_sleep_s
        if plan.load.rate_per_s is None:
            mean = max(0.005, mean - self.recipe.think_s - hidden)
        drawn = self.random.lognormal(0, 0.35, len(durable))
        drawn *= mean / float(drawn.mean())
        return [self._sample(plan, float(at), float(time)) for at, time in zip(durable, drawn, strict=True)]

    def _sample(self, plan: TrialPlan, durable_at: float, duration_s: float) -> UploadSample:
        self.uploads += 1
        ref = f"u{self.uploads:06d}"
        begin = durable_at - duration_s
        return UploadSample(
            upload_ref=ref, trial=plan.trial, strategy=plan.arm, user_id=f"user{self.uploads % 8}",
            size_bytes=plan.file_size_bytes, sha256=hashlib.sha256(ref.encode()).hexdigest(), intent_at=begin,
            upload_uuid=f"uuid-{ref}", started_at=begin, authorised_at=begin + 0.1 * duration_s,
            transferred_at=begin + 0.8 * duration_s, acked_at=durable_at + 0.001, durable_at=durable_at,
            visible_at=durable_at, ledger=LedgerClass.VERIFIED,
        )  # fmt: skip

    def _k6(self, plan: TrialPlan, iterations: int, rate: float, samples: list[UploadSample]) -> K6Summary:
        arm = self.recipe.arms.get(plan.arm)
        mean_ms = (plan.load.vus or 1) * 0.995 / rate * 1000 if rate and not plan.load.rate_per_s else None
        times = [((s.acked_at or 0) - (s.started_at or 0)) * 1000 for s in samples] or [0.0]
        return K6Summary(
            iterations=iterations, dropped_iterations=0, http_reqs=iterations * (arm.requests if arm else 1),
            checks_passed=iterations, checks_failed=0, iteration_duration_mean_ms=mean_ms,
            http_req_duration_p50_ms=float(np.quantile(times, 0.5)) / 2,
            http_req_duration_p95_ms=float(np.quantile(times, 0.95)) / 2,
            vus_max=plan.load.vus or 1, exit_code=0,
        )  # fmt: skip

    def _processes(self, plan: TrialPlan, count: int) -> tuple[ProcessUse, ...]:
        arm = self.recipe.arms.get(plan.arm)
        scale = (plan.file_size_bytes / MIB) ** 0.93
        cpu = {
            name: ms / 1000 * count * scale
            for name, ms in (arm.cpu_ms if arm else ARMS[PROXY].cpu_ms).items()
        }
        cpu |= {name: ms / 1000 * plan.load.window_s for name, ms in IDLE_CPU_MS_PER_S.items()}
        return tuple(
            ProcessUse(
                name=name, pid=100 + index, start_ticks=1, cpu_s=seconds,
                peak_rss_bytes=RSS[name] * MIB or None,
            )
            for index, (name, seconds) in enumerate(cpu.items())
        )  # fmt: skip

    def _counters(self, plan: TrialPlan, uploads: int) -> Counters:
        arm = self.recipe.arms.get(plan.arm)
        if arm is None:
            return Counters()
        body = plan.file_size_bytes * uploads
        return Counters(
            statements={"auth_db": 0, "upload_db": (arm.statements - 1) * uploads,
                        "files_db": float(uploads)},
            store_requests={"put_object": arm.store_requests * uploads},
            gateway_bytes_in=arm.gateway_bytes[0] * body, gateway_bytes_out=arm.gateway_bytes[1] * body,
            gateway_requests=float(arm.requests * uploads), gateway_latency_sum_s=0.02 * uploads,
        )  # fmt: skip

    def _steps(self, plan: TrialPlan, start: float) -> list[StepSample]:
        slower = {"none": 1.0, PROXY: 2.6, DIRECT: 1.7}.get(plan.arm, 1.0)
        steps = []
        for step, rate, base_ms in (
            ("login", plan.load.login_rate_per_s, 62.0),
            ("list", plan.load.list_rate_per_s, 6.5),
        ):
            for index in range(round(rate * plan.load.window_s)):
                duration = base_ms * slower * float(self.random.lognormal(0, 0.3))
                at = start + (index + 0.5) / rate
                steps.append(
                    StepSample(
                        trial=plan.trial, step=step, started_at=at, duration_ms=duration, status=200, ok=True
                    )
                )
        return steps

    def _ledger(self, plan: TrialPlan, samples: list[UploadSample]) -> LedgerTable:
        size = sum(sample.size_bytes for sample in samples)
        return LedgerTable(
            trial=plan.trial, intents=len(samples), acks=len(samples), classes={"verified": len(samples)},
            flags={}, hashed=min(200, len(samples)), compared=max(0, len(samples) - 200), baseline_files=0,
            verified_bytes=size, stored_bytes=size, failed=False,
        )  # fmt: skip

    def _monitor(self, trial: Trial) -> list[MonitorSample]:
        window = trial.window_end - trial.window_start
        seconds = range(int(trial.ended_at - trial.started_at))
        return [
            MonitorSample(
                at=trial.started_at + second, trial=trial.plan.trial, name=use.name, pid=use.pid,
                start_ticks=use.start_ticks, rss_bytes=use.peak_rss_bytes,
                cpu_cores=use.cpu_s / window if 1 <= second < window + 3 else 0.01,
            )
            for second in seconds
            for use in trial.processes
        ]  # fmt: skip


def on_trial(
    chosen: Callable[[Trial], bool], *, ledger: dict[str, object] | None = None, **changes: object
) -> Callable[[Trial, LedgerTable], tuple[Trial, LedgerTable]]:
    """An ``alter`` that changes fields of the trials chosen, and of their ledgers."""

    def alter(trial: Trial, table: LedgerTable) -> tuple[Trial, LedgerTable]:
        if not chosen(trial):
            return trial, table
        return trial.model_copy(update=changes), table.model_copy(update=ledger or {})

    return alter


def first_of(question: Question) -> Callable[[Trial], bool]:
    seen: list[str] = []

    def chosen(trial: Trial) -> bool:
        if trial.plan.question is question and not seen:
            seen.append(trial.plan.trial)
        return trial.plan.trial in seen

    return chosen


def with_process(trial: Trial, name: str, **changes: object) -> Trial:
    uses = tuple(use.model_copy(update=changes) if use.name == name else use for use in trial.processes)
    return trial.model_copy(update={"processes": uses})


def recipe(**changes: object) -> Recipe:
    return replace(Recipe(), **changes)  # type: ignore[arg-type]
