"""What Ctrl-C and a limit below the load make of ``make stress``. Whole runs: tests/integration/grafana."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from loadtests.harness.k6.console import read_tail
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.testbeds.system import ROOT
from tests.stack import System, running_system

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


async def start(system: System, results: Path, **words: str) -> asyncio.subprocess.Process:
    environ = {
        **{name: value for name, value in os.environ.items() if name != "PROFILE"},
        **system.stack.env,
        "VAULTBENCH_RUN_DIR": str(system.stack.run_dir),
        "VAULTBENCH_RESULTS": str(results),
        **words,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests", "stress", cwd=ROOT, env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


def bundle_in(results: Path) -> Bundle:
    (path,) = results.iterdir()
    return Bundle(path)


def uploaded(results: Path) -> bool:
    """Whether an upload has ended."""
    lines = [line for path in results.glob("*/k6/console.jsonl") for line in read_tail(path)[0]]
    return any(json.loads(line)["e"] == "o" for line in lines)


async def test_a_limit_below_the_load_is_named(tmp_path: Path) -> None:
    """A small limit stands for a fast machine, whose load would reach the usual one."""
    with running_system({"gateway": {"RATE_LIMIT_IP": "700"}}) as system:
        process = await start(system, tmp_path, PROFILE="smoke")
        said, _ = await process.communicate()
    output = " ".join(said.decode().split())
    assert process.returncode == 0, output
    assert "the rate limiter set the numbers" in output
    assert "were answered 429" in output


async def test_ctrl_c_ends_in_order(system: System, tmp_path: Path) -> None:
    process = await start(system, tmp_path, PROFILE="smoke")
    while not uploaded(tmp_path):
        assert process.returncode is None
        await asyncio.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = await process.communicate()
    assert process.returncode == 130, said.decode()
    bundle = bundle_in(tmp_path)
    assert bundle.manifest().interrupted
    assert bundle.uploads()
    assert {upload.ledger for upload in bundle.uploads()} == {LedgerClass.VERIFIED}
