"""A fabricated switchback: what k6, the ledger and the looks would have recorded of known rates and costs."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from loadtests.harness.records.plan import NOBODY, Arm, Part, PartKind, Plan, Stretch
from loadtests.harness.records.samples import (
    Counted,
    Event,
    LedgerTable,
    LoadSummary,
    Look,
    Manifest,
    StepSample,
    UploadSample,
    Warn,
)
from loadtests.harness.records.vocabulary import DOWNLOADED, LedgerClass

T0 = 1_000_000.0
OURS = {"gateway": 0.004, "upload": 0.003, "files": 0.001, "pg-upload": 0.001, "pg-files": 0.001}
BESIDE = {"auth": 0.0005, "pg-auth": 0.0005, "minio": 0.003, "k6": 0.002}


def arm(name: str, **given: object) -> Arm:
    values: dict[str, object] = {
        "name": name,
        "of": name,
        "title": name,
        "colour": "#123456",
        "strategy": None if name == NOBODY else "proxy-chunked",
        "file_size_bytes": 1_000_000,
        "piece_bytes": 1_000_000,
        "vus": 0 if name == NOBODY else 8,
    }
    return Arm.model_validate(values | given)


def part(
    *arms: Arm, name: str = "compare", kind: PartKind = PartKind.COMPARE, first: int = 8, most: int = 24,
    login_rate_per_s: float = 0.0, list_rate_per_s: float = 0.0,
) -> Part:  # fmt: skip
    return Part(
        name=name,
        kind=kind,
        arms=arms,
        period_s=3.0,
        washout_s=0.7,
        first_blocks=first,
        most_blocks=most,
        login_rate_per_s=login_rate_per_s,
        list_rate_per_s=list_rate_per_s,
    )


def plan(*parts: Part, **given: object) -> Plan:
    values: dict[str, object] = {
        "run": "r1",
        "question": "proxy-or-direct",
        "asks": "Which is faster?",
        "profile": "ci",
        "seed": 1,
        "words": {},
        "arms": parts[0].arms,
        "parts": parts,
        "margin": 0.10,
        "precision": 0.05,
        "budget_s": 300.0,
        "disk_bytes": 8_000_000_000,
    }
    return Plan.model_validate(values | given)


@dataclass
class World:
    """What is true: uploads per second and CPU-seconds per upload, by arm."""

    rates: Mapping[str, float]
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    noise: float = 0.0  # standard deviation of a period's log rate
    seed: int = 1
    gap_s: float = 5.0  # between stretches
    at: float = T0
    looks: list[Look] = field(default_factory=list)
    uploads: list[UploadSample] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    used: dict[str, float] = field(default_factory=dict)
    busy: float = 0.0
    idle_cpu: Mapping[str, float] = field(default_factory=dict)  # cores used whosever turn it is

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def play(self, own: Part, blocks: int, *, instance: int = 0, shift: Mapping[str, float] | None = None,
             cut_after_s: float | None = None) -> Stretch:  # fmt: skip
        """A stretch of whole blocks. ``shift`` multiplies the rates of this one alone."""
        names = [one.name for one in own.arms]
        order = [name for _ in range(blocks) for name in self._block(names)]
        per_block = len(order) // blocks
        before = sum(one.part == own.name for one in self.stretches) * 100
        stretch = Stretch(
            stretch=f"s{len(self.stretches) + 1:03}",
            part=own.name,
            t0=self.at,
            period_s=own.period_s,
            washout_s=own.washout_s,
            order=tuple(order),
            instance=instance,
            blocks=tuple(before + i // per_block for i in range(len(order))),
            cut_at=None if cut_after_s is None else self.at + cut_after_s,
        )
        factors = [math.exp(self.random.gauss(0.0, self.noise)) for _ in order]
        speeds = [
            self.rates.get(n, 0.0) * f * (shift or {}).get(n, 1.0)
            for n, f in zip(order, factors, strict=True)
        ]
        self.uploads += self._load(own, stretch, speeds)
        self._look_at(stretch, speeds)
        self.stretches.append(stretch)
        self.at += own.period_s * len(order) + self.gap_s
        return stretch

    def _block(self, names: Sequence[str]) -> list[str]:
        forth = self.random.sample(list(names), len(names))
        return forth + forth[::-1]

    def _load(self, own: Part, stretch: Stretch, speeds: Sequence[float]) -> Iterator[UploadSample]:
        """VUs that look whose turn it is before each upload, evenly out of step."""
        end = stretch.t0 + stretch.period_s * len(stretch.order)
        for vu in range(max(one.vus for one in own.arms)):
            now = stretch.t0 + 0.01 * vu
            while now < end:
                index = int((now - stretch.t0) // stretch.period_s)
                turn = own.arm(stretch.order[index])
                if vu >= turn.vus or speeds[index] <= 0:
                    now = stretch.t0 + (index + 1) * stretch.period_s + 0.01 * vu
                    continue
                took = turn.vus / speeds[index]
                yield upload(stretch, turn.name, now, now + took, size_bytes=turn.file_size_bytes)
                now += took

    def _look_at(self, stretch: Stretch, speeds: Sequence[float]) -> None:
        """Looks where periods and their counted parts begin; everything is used evenly in a period."""
        self._look(stretch.t0)
        for index, name in enumerate(stretch.order):
            begin, end = stretch.counted(index)
            for at, seconds in ((begin, stretch.washout_s), (end, end - begin)):
                for process, cost in self.costs.get(name, OURS | BESIDE).items():
                    self.used[process] = self.used.get(process, 0.0) + cost * speeds[index] * seconds
                for process, cores in self.idle_cpu.items():
                    self.used[process] = self.used.get(process, 0.0) + cores * seconds
                self._look(at)

    def _look(self, at: float) -> None:
        lives = dict.fromkeys(self.used, 7)
        rss = dict.fromkeys(self.used, 50000000)
        self.looks.append(
            Look(
                at=at, cpu_s=dict(self.used), lives=lives, rss_bytes=rss, host_busy_s=sum(self.used.values())
            )
        )


def upload(stretch: Stretch, name: str, began: float, durable: float, **given: object) -> UploadSample:
    values: dict[str, object] = {
        "upload_ref": "u",
        "stretch": stretch.stretch,
        "arm": name,
        "user_id": "u1",
        "size_bytes": 1_000_000,
        "intent_at": began,
        "started_at": began,
        "acked_at": durable,
        "durable_at": durable,
        "ledger": LedgerClass.VERIFIED,
    }
    return UploadSample.model_validate(values | given)


def ledger(stretches: Sequence[Stretch], uploads: Sequence[UploadSample], **given: object) -> LedgerTable:
    audited = [one for one in uploads if DOWNLOADED not in one.flags]  # downloads are in no audit
    count, size = len(audited), sum(one.size_bytes for one in audited)
    values: dict[str, object] = {
        "audit": 1,
        "stack": "",
        "stretches": tuple(stretch.stretch for stretch in stretches),
        "intents": count,
        "acks": count,
        "classes": {"verified": count},
        "by_arm": {},
        "by_user": {"u1": {"intents": count, "verified": count}},
        "flags": {},
        "hashed": count,
        "compared": 0,
        "baseline_files": 0,
        "verified_bytes": size,
        "stored_bytes": size,
        "failed": False,
    }
    return LedgerTable.model_validate(values | given)


def manifest(**given: object) -> Manifest:
    values: dict[str, object] = {
        "run": "r1",
        "question": "proxy-or-direct",
        "profile": "ci",
        "started_at": T0 - 20,
        "ended_at": T0 + 1000,
        "command": "make stress",
        "words": {},
        "host": {"cores": 2, "memory_bytes": 8_000_000_000},
        "tools": {},
        "settings": {},
        "databases": {},
        "scripts": {},
        "seeds": {},
        "verified_how": "hashed",
        "k6_cores": 2.0,
    }
    return Manifest.model_validate(values | given)


K6_ENDED = LoadSummary(exit_code=0, requests=1)


@dataclass
class FakeBundle:
    """What ``Bundle`` gives, from memory."""

    of_manifest: Manifest
    of_plan: Plan
    world: World
    of_ledgers: Sequence[LedgerTable]
    of_steps: Sequence[StepSample] = ()
    of_counted: Sequence[Counted] = ()
    of_events: Sequence[Event] = ()
    of_warnings: Sequence[Warn] = ()
    of_load: LoadSummary | None = K6_ENDED

    def manifest(self) -> Manifest:
        return self.of_manifest

    def plan(self) -> Plan:
        return self.of_plan

    def stretches(self) -> Sequence[Stretch]:
        return self.world.stretches

    def uploads(self) -> Sequence[UploadSample]:
        return self.world.uploads

    def steps(self) -> Sequence[StepSample]:
        return self.of_steps

    def looks(self) -> Sequence[Look]:
        return self.world.looks

    def ledgers(self) -> Sequence[LedgerTable]:
        return self.of_ledgers

    def counted(self) -> Sequence[Counted]:
        return self.of_counted

    def events(self) -> Sequence[Event]:
        return self.of_events

    def warnings(self) -> Sequence[Warn]:
        return self.of_warnings

    def load(self) -> LoadSummary | None:
        return self.of_load


def bundle(world: World, *parts: Part, planned: Plan | None = None, **given: object) -> FakeBundle:
    """All that ``world`` played, audited at once."""
    return FakeBundle(
        manifest(),
        planned or plan(*parts),
        world,
        (ledger(world.stretches, world.uploads),),
        **given,  # type: ignore[arg-type]
    )
