"""One upload by a strategy's own script, request by request: for strategies that only k6 knows."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.harness.clients.client import Step, StepFailed
from loadtests.harness.clients.strategies import Strategy
from loadtests.harness.k6.console import read_tail
from loadtests.harness.k6.rows import Kind, Rows
from loadtests.harness.load import Files, Workers, open_load
from loadtests.harness.records.plan import Arm, Part, PartKind, Stretch
from loadtests.harness.running.rig import Rig

LIMIT_S = 60.0
ROUTES = {"gateway": "you → gateway", "store": "you → store"}


@dataclass(frozen=True, slots=True)
class Shown:
    """An upload that the script says is done."""

    file_id: str
    content: bytes
    steps: tuple[Step, ...]


async def play(rig: Rig, strategy: Strategy, size_bytes: int, *, uploads: int = 1) -> Shown:
    """Upload ``uploads`` files one after the other and tell of the last. Raises ``StepFailed``.

    The rig needs an identity.
    """
    arm = Arm(
        name=strategy.name, of=strategy.name, title=strategy.manifest.title, colour=strategy.manifest.colour,
        strategy=strategy.name, file_size_bytes=size_bytes, vus=1,
        piece_bytes=strategy.piece_bytes(size_bytes),
    )  # fmt: skip
    part = Part(name="one", kind=PartKind.WARM_UP, arms=(arm,), period_s=LIMIT_S)
    stretch = Stretch(
        stretch="s001", part=part.name, t0=time.time(), period_s=LIMIT_S, order=(arm.name,), blocks=(0,)
    )
    hold = rig.hold
    rows = Rows(f"script-{secrets.token_hex(4)}")
    files = Files.within(rig.work_dir / rows.run)
    async with open_load(
        rig.k6_program, files, rows=rows, strategies={strategy.name: strategy}, workers=Workers(1), seed=0,
        variables=await rig.hosts() | {"TRACE": "1"},
    ) as load:  # fmt: skip
        await load.ready()
        await load.release(
            stretch, part, gateways={"": hold.gateway_url}, identities={"": hold.identities},
            uploads=uploads,
        )  # fmt: skip
        await load.idle(LIMIT_S)
        await load.end()
    rows.close()
    lines = [json.loads(line) for line in read_tail(files.console)[0]]
    outcome = next((line for line in reversed(lines) if line["e"] == "o"), None)
    if outcome is None:
        raise StepFailed(f"the script made no upload: {files.log_tail()}")
    if not outcome["ok"] or not outcome["id"]:
        raise StepFailed(f"{outcome['step']}: answered {outcome['st']}: {outcome['code']}")
    content = rows.payload(Kind.of(arm)).body(outcome["ref"])
    return Shown(str(outcome["id"]), content, steps_of(lines))


def steps_of(lines: Sequence[dict[str, Any]]) -> tuple[Step, ...]:
    """The requests of the last upload: those told of between the outcome before it and its own."""
    ends = [-1, *(index for index, line in enumerate(lines) if line["e"] == "o")]
    return tuple(
        Step(line["step"], ROUTES[line["to"]], line["t"] / 1000, line["d"], line["n"])
        for line in lines[ends[-2] + 1 : ends[-1]]
        if line["e"] == "q"
    )
