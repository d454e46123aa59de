"""The question *durable* as a process: real kills of its own stacks, beside a testbed that nobody touches."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadtests.harness.metrics.exporter import BLOCKS_DONE, FAULT, RATIO, TURN
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.samples import KILL, RECOVERED
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.report.page import HTML, MARKDOWN, read_result
from tests.integration.loadtests.test_ab import ask, bundle_in, ended
from tests.integration.loadtests.test_stacks import state_of
from tests.stack import System

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ARMS = ("inline", "queued", "detached")
ALLOWED = {  # what may become of an upload around a kill; nothing is broken, doubled or foreign
    LedgerClass.VERIFIED,
    LedgerClass.LOST,
    LedgerClass.CLEAN_FAILURE,
    LedgerClass.NO_TRACE,
    LedgerClass.STUCK,
    LedgerClass.LATE_SUCCESS,
}


async def test_only_the_run_s_own_stacks_are_killed_and_every_upload_is_accounted_for(
    system: System, tmp_path: Path
) -> None:
    before = await state_of(system)
    process = await ask(system, tmp_path, Q="durable", PROFILE="smoke", VUS="16")
    running = asyncio.create_task(ended(process))
    told = await told_to_the_testbed(system, running)
    code, said = await running
    assert code == 0, said
    assert await state_of(system) == before, "the running testbed has the processes that it had"
    assert told >= {
        (TURN, "kill"), (FAULT, "killed upload"), (BLOCKS_DONE, "kill"), (RATIO, "compare"),
    }  # fmt: skip
    bundle = bundle_in(tmp_path)
    kills = check_kills(bundle)
    check_uploads(bundle, kills)
    result = read_result(bundle.path)
    assert result.kills is not None
    for one in result.kills.arms:
        assert one.acknowledged == one.kept + one.gone > 0
        assert one.gone == 0 or one.arm == "detached", "who waits for the file or for a job loses nothing"
    assert result.headline.startswith("With the upload service killed in mid-load, ")
    for text in (said, *((bundle.path / name).read_text(encoding="utf-8") for name in (HTML, MARKDOWN))):
        assert "Of 13,425 iterations that ended" in text
    assert result.headline in " ".join(said.split())
    assert result.headline in (bundle.path / MARKDOWN).read_text(encoding="utf-8")


async def told_to_the_testbed(system: System, running: asyncio.Task[Any]) -> set[tuple[str, str]]:
    """What Prometheus of the running testbed would read until the run has ended: names of series, with the
    part that each is of, or the fault."""
    url = f"http://127.0.0.1:{system.stack.env['HARNESS_METRICS_PORT']}/metrics"
    found = set[tuple[str, str]]()
    async with aiohttp.ClientSession() as http:
        while not running.done():
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with http.get(url) as answer:
                    page = await answer.text()
                samples = (one for family in text_string_to_metric_families(page) for one in family.samples)
                found |= {(one.name, _of_what(one.labels)) for one in samples}
            await asyncio.sleep(0.2)
    return found


def _of_what(labels: Mapping[str, str]) -> str:
    return f"{labels['fault']} {labels['target']}" if "fault" in labels else labels.get("part", "")


def check_kills(bundle: Bundle) -> dict[str, str]:
    """One kill for each arm, in its own turn, after which the service came back; stretches by arm."""
    (part,) = [one for one in bundle.plan().parts if one.kind is PartKind.KILL]
    turns = {one.stretch: one for one in bundle.stretches() if one.part == part.name}
    told = {kind: [one for one in bundle.events() if one.kind == kind] for kind in (KILL, RECOVERED)}
    assert Counter(event.detail["stack"] for event in told[KILL]) == Counter(ARMS)
    assert [event.detail["stretch"] for event in told[RECOVERED]] == [
        event.detail["stretch"] for event in told[KILL]
    ]
    for event in told[KILL]:
        turn = turns[event.detail["stretch"]]
        assert part.arm(turn.order[0]).stack == event.detail["stack"]
        assert turn.t0 + (part.kill_after_s or 0.0) <= event.at < turn.ended_at, "in mid-load"
    return {event.detail["stack"]: event.detail["stretch"] for event in told[KILL]}


def check_uploads(bundle: Bundle, kills: dict[str, str]) -> None:
    killed = set(kills.values())
    samples = bundle.uploads()
    assert {one.ledger for one in samples if one.stretch not in killed} == {LedgerClass.VERIFIED}
    assert {one.ledger for one in samples if one.stretch in killed} <= ALLOWED
    failed = {one.stretch for one in samples if one.failed_at is not None}
    assert failed == killed, "clients saw every kill, and nothing else"
    assert {table.killed for table in bundle.ledgers() if killed & set(table.stretches)} == {True}
    assert not any(table.failed for table in bundle.ledgers())
