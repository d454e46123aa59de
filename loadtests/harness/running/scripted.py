"""One upload by a strategy's own script, request by request: for strategies that only k6 knows."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.harness.strategies import Strategy
from loadtests.harness.records.model import Load, Question, TrialPlan
from loadtests.harness.running import k6
from loadtests.harness.running.client import Step, StepFailed
from loadtests.harness.running.console import read_tail
from loadtests.harness.running.rig import Rig
from loadtests.harness.running.trial import piece_bytes, prepare

LIMIT_S = 60.0
ROUTES = {"gateway": "you → gateway", "store": "you → store"}


@dataclass(frozen=True, slots=True)
class Played:
    """An upload that the script says is done."""

    file_id: str
    content: bytes
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where k6 writes what no bundle needs."""

    folder: Path

    def k6_path(self, trial: str, suffix: str) -> Path:
        return self.folder / f"{trial}.{suffix}"


async def play(rig: Rig, strategy: Strategy, size_bytes: int, *, uploads: int = 1) -> Played:
    """Upload ``uploads`` files one after the other and tell of the last. Raises ``StepFailed``.

    The rig needs an identity.
    """
    load = Load(executor="per-vu-iterations", vus=1, iterations=uploads, window_s=LIMIT_S)
    plan = TrialPlan(
        trial=f"script-{secrets.token_hex(4)}", question=Question.CAPACITY, arm=strategy.name,
        file_size_bytes=size_bytes, load=load, seed=0, level="one upload",
    )  # fmt: skip
    files, rows = await asyncio.to_thread(prepare, rig, plan, Scratch(rig.work_dir))
    piece = piece_bytes(rig, plan)
    variables = k6.environment(
        plan, files, gateway_url=rig.system.gateway_url, strategy=strategy, piece_bytes=piece,
        start_spread_s=0.0,
    )  # fmt: skip
    child = await k6.start_k6(rig.k6_program, files, variables | {"TRACE": "1"})
    await child.wait_ended(LIMIT_S)
    lines = read_tail(files.console)[0]
    outcome = next((line for line in reversed(lines) if line["e"] == "o"), None)
    if outcome is None:
        raise StepFailed(f"the script made no upload: {child.log_tail()}")
    if not outcome["ok"] or not outcome["id"]:
        raise StepFailed(f"{outcome['step']}: answered {outcome['st']}: {outcome['code']}")
    content = rig.payload(size_bytes, piece).body(rows[uploads - 1].ref)
    return Played(str(outcome["id"]), content, steps_of(lines))


def steps_of(lines: list[dict[str, Any]]) -> tuple[Step, ...]:
    """The requests of the last upload: those told of between the outcome before it and its own."""
    ends = [-1, *(index for index, line in enumerate(lines) if line["e"] == "o")]
    return tuple(
        Step(line["step"], ROUTES[line["to"]], line["t"] / 1000, line["d"], line["n"])
        for line in lines[ends[-2] + 1 : ends[-1]]
        if line["e"] == "q"
    )
