"""Trials of a fabricated bundle: samples, counters, CPU and ledger that agree with each other."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.records.model import (
    Counters,
    Event,
    K6Summary,
    LedgerClass,
    LedgerTable,
    MonitorSample,
    ProcessUse,
    StepSample,
    Trial,
    TrialPlan,
    UploadSample,
    Validity,
)
from loadtests.harness.records.switchback import holds
from tests.unit.loadtests.fabricate_recipe import (
    ARMS,
    CORES,
    DIRECT,
    IDLE_CPU_MS_PER_S,
    MIB,
    OPEN_MEAN_S,
    PROXY,
    RSS,
    STARTED_AT,
    Recipe,
)


class TrialMaker:
    """Makes one trial after the other; its clock is the only time there is."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.random = np.random.default_rng(recipe.seed)
        self.clock = STARTED_AT + 5
        self.uploads = 0

    def rate(self, plan: TrialPlan, level: int | None = None) -> float:
        """Uploads per second that a trial would measure; ``level``: with other VUs than its own."""
        if plan.arm == "none":
            return 0.0
        if plan.load.rate_per_s:
            return plan.load.rate_per_s
        arm, vus = self.recipe.arms[plan.arm], level or plan.load.vus or 1
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
        turns = self._turns(plan, load_start)
        window_end = window_start + (plan.load.window_s or sum(end - begin for _, begin, end in turns))
        count = sum(turn[0] for turn in turns) if turns else round(self.rate(plan) * plan.load.window_s)
        rate = count / (window_end - window_start)
        if turns:
            samples = [one for turn in turns for one in self._samples(plan, turn[0], rate, *turn[1:])]
        else:
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

    def _turns(self, plan: TrialPlan, start: float) -> list[tuple[int, float, float]]:
        """(uploads, from, to) of every turn of a proof of saturation."""
        return [
            (round(self.rate(plan, vus) * (end - begin)), start + begin, start + end)
            for vus, begin, end in holds(plan.load)
        ]

    def _samples(
        self, plan: TrialPlan, count: int, rate: float, start: float, end: float
    ) -> list[UploadSample]:
        """``count`` uploads durable inside the window, and a warm-up's worth before it."""
        if count == 0:
            return []
        before = round(count * plan.load.warmup_s / (end - start))
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
            iteration_duration_mean_ms=mean_ms,
            http_req_duration_p50_ms=float(np.quantile(times, 0.5)) / 2,
            http_req_duration_p95_ms=float(np.quantile(times, 0.95)) / 2,
            exit_code=0,
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
