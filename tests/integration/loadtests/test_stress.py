"""``make stress`` as a process: its question asked of a whole system, and what Ctrl-C makes of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from loadtests.harness.console import read_tail
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.testbeds.system import ROOT
from tests.stack import System, running_system

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

PROGRAM = """
import os, sys
from rich.console import Console
from loadtests.harness.commands.stress import stress
from loadtests.harness.analyse import analyse
from loadtests.harness.records.bundle import Bundle

def finish(path, console):
    found = analyse(Bundle(path))
    console.print(f"blocks {found.compare.blocks if found.compare else 0}")
    return found.exit_code

def answered(bundle, part):
    print(f"answered {part.name}", flush=True)

sys.exit(stress(os.environ, "make stress", Console(width=120), finish, answered))
"""


async def start(
    system: System, results: Path, program: Sequence[str] = ("-c", PROGRAM), **words: str
) -> asyncio.subprocess.Process:
    environ = {
        **{name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "PROFILE")},
        **system.stack.env,
        "VAULTBENCH_RUN_DIR": str(system.stack.run_dir),
        "VAULTBENCH_RESULTS": str(results),
        "PYTHONPATH": str(ROOT),
        **words,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, *program, cwd=ROOT, env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


def secrets_of(system: System) -> list[str]:
    secret = ("_PASSWORD", "_SECRET", "SECRET_KEY")
    return [
        value for name, value in system.stack.env.items()
        if value and (name.endswith(secret) or name.startswith("INTERNAL_KEY"))
    ]  # fmt: skip


def bundle_in(results: Path) -> Bundle:
    (path,) = results.iterdir()
    return Bundle(path)


def text_of(bundle: Bundle) -> str:
    """Everything in it that is plain text."""
    files = [file for file in bundle.path.rglob("*") if file.is_file() and file.suffix != ".gz"]
    return "".join(file.read_text(errors="replace") for file in files)


def uploaded(results: Path) -> bool:
    """Whether an upload has ended."""
    lines = [line for path in results.glob("*/k6/console.jsonl") for line in read_tail(path)[0]]
    return any(json.loads(line)["e"] == "o" for line in lines)


async def test_smoke_asks_every_part_and_verifies_every_upload(system: System, tmp_path: Path) -> None:
    process = await start(system, tmp_path, PROFILE="smoke")
    said, _ = await process.communicate()
    output = said.decode()
    assert "Traceback" not in output, output
    bundle = bundle_in(tmp_path)
    parts = {part.name for part in bundle.plan().parts if part.kind is not PartKind.WARM_UP}
    assert {line.split()[1] for line in output.splitlines() if line.startswith("answered")} == parts
    assert {stretch.part for stretch in bundle.stretches()} >= parts
    assert {upload.ledger for upload in bundle.uploads()} == {LedgerClass.VERIFIED}
    assert not [table.offending for table in bundle.ledgers() if table.failed]
    assert "blocks 1" in output
    content = output + text_of(bundle)
    assert secrets_of(system)
    assert not [value for value in secrets_of(system) if value in content]
    assert "eyJ" not in content, "a token"


async def test_a_limit_below_the_load_is_named(tmp_path: Path) -> None:
    """A small limit stands for a fast machine, whose load would reach the usual one."""
    with running_system({"gateway": {"RATE_LIMIT_IP": "2000"}}) as system:
        process = await start(system, tmp_path, program=("-m", "loadtests", "stress"), PROFILE="smoke")
        said, _ = await process.communicate()
    output = " ".join(said.decode().split())
    assert process.returncode == 0, output
    assert "the rate limiter set the numbers of" in output
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
