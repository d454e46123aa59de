"""Trials of ``make bench``: bare PUTs and uploads of the same bytes, in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loadtests.harness.strategies import Strategy
from loadtests.harness.records.model import Load, Plan, Question, TrialPlan
from loadtests.harness.running.raw import RAW_ARM

MIB = 1024 * 1024
PROXY, DIRECT = "proxy-chunked", "direct-multipart"
ARMS = (PROXY, DIRECT)
BIG_PIECE_BYTES = 10 * MIB  # one chunk of 10 MiB: the largest body of a request
MAIN_VUS = 32
MEMORY_VUS = 100
LEVELS = (1, 8, 100)  # beside the main one
ROUNDS = 3
OVERHEAD_S = 7.0


@dataclass(frozen=True, slots=True)
class BenchTrial:
    """A trial and what it is for: ``group`` names the row of the table it feeds."""

    group: str
    plan: TrialPlan
    piece_bytes: int | None = None


def bench_trials(rounds: int = ROUNDS) -> list[BenchTrial]:
    """All trials in order. Within a group, the arms' order turns from round to round."""
    drawn: list[BenchTrial] = []

    def add(
        group: str, arm: str, size_bytes: int, load: Load, *, seed: int, piece_bytes: int | None = None
    ) -> None:
        plan = TrialPlan(
            trial=f"t{len(drawn) + 1:03d}",
            question=Question.RAW if arm == RAW_ARM else Question.BENCH,
            arm=arm,
            file_size_bytes=size_bytes,
            load=load,
            seed=seed,
            level=f"{load.vus} VU, {size_bytes // MIB} MiB",
            block=seed,
        )
        drawn.append(BenchTrial(group, plan, piece_bytes))

    for number in range(rounds):
        for arm in turned([RAW_ARM, *ARMS], number):
            add("main", arm, MIB, closed(MAIN_VUS, 3, 8), seed=number)
    for number in range(rounds):
        for arm in turned([RAW_ARM, PROXY], number):
            add("10 MiB", arm, 10 * MIB, closed(8, 3, 8), seed=number, piece_bytes=BIG_PIECE_BYTES)
        for arm in turned([RAW_ARM, PROXY], number):
            add("100 MiB", arm, 100 * MIB, closed(2, 3, 12), seed=number, piece_bytes=BIG_PIECE_BYTES)
    at_once = Load(executor="per-vu-iterations", vus=MEMORY_VUS, iterations=1, window_s=60)
    add("memory", PROXY, 10 * MIB, at_once, seed=0, piece_bytes=BIG_PIECE_BYTES)
    for vus in LEVELS:
        for arm in ARMS:
            add("levels", arm, MIB, closed(vus, 3, 8), seed=vus)
    return drawn


def turned(arms: list[str], number: int) -> list[str]:
    start = number % len(arms)
    return [*arms[start:], *arms[:start]]


def closed(vus: int, warmup_s: float, window_s: float) -> Load:
    return Load(executor="constant-vus", vus=vus, warmup_s=warmup_s, window_s=window_s)


def bench_plan(run: str, trials: list[BenchTrial], strategies: Mapping[str, Strategy]) -> Plan:
    """The frozen plan of a benchmark."""
    seconds = sum(item.plan.load.warmup_s + item.plan.load.window_s + OVERHEAD_S for item in trials)
    chosen = {name: strategies[name] for name in ARMS}
    return Plan(
        run=run,
        experiment="bench",
        profile="ci",
        seed=0,
        strategies=ARMS,
        file_size_bytes=MIB,
        scale=1.0,
        overrides={},
        trials=tuple(item.plan for item in trials),
        estimated_s=seconds,
        margin=0.10,
        requests_per_flow={name: one.requests_per_flow(MIB) for name, one in chosen.items()},
        strategy_titles={name: one.manifest.title for name, one in chosen.items()},
        strategy_colours={name: one.manifest.colour for name, one in chosen.items()},
    )
