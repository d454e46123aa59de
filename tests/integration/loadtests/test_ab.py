"""``make ab`` as a process: what it says and how it ends, and that a testbed is as it was before."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from loadtests.harness.k6.console import read_tail
from loadtests.harness.question import questions
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.running import rig as rig_module
from loadtests.harness.testbeds import processes
from loadtests.harness.testbeds.system import ROOT
from tests.integration.loadtests.test_stacks import environ_of, everything_in, state_of
from tests.stack import System, running_system

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

TWO_STACKS = {"PROFILE": "smoke", "A": "FINALISE=inline", "B": "FINALISE=detached"}
COMPARING = 3  # the stretch after the warm-ups of two arms
SOON_S = 150  # half a minute, where the machine does nothing else
NO_WINNER = "A smoke run names no winner"
# As users start it, but the gateways' counts are looked at more often than every 15 s.
WATCHFUL = """
from functools import partial
from loadtests.cli import main
from loadtests.harness.metrics import strangers
strangers.watching_for_strangers = partial(strangers.watching_for_strangers, look_s=2.0)
main()
"""


async def start(system: System, results: Path, **words: str) -> asyncio.subprocess.Process:
    return await start_as(("-m", "loadtests", "ab"), system, results, words)


async def ask(system: System, results: Path, **words: str) -> asyncio.subprocess.Process:
    return await start_as(("-m", "loadtests", "ask"), system, results, words)


async def start_as(
    program: tuple[str, str, str], system: System, results: Path, words: Mapping[str, str]
) -> asyncio.subprocess.Process:
    environ = {name: value for name, value in environ_of(system).items() if name not in ("PROFILE", "TARGET")}
    return await asyncio.create_subprocess_exec(
        sys.executable, *program, cwd=ROOT,
        env={**environ, "VAULTBENCH_RESULTS": str(results), "COLUMNS": "500", **words},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    said, _ = await process.communicate()
    return process.returncode, said.decode()


def bundles_in(results: Path) -> list[Path]:
    return list(results.iterdir())


def bundle_in(results: Path) -> Bundle:
    (path,) = results.iterdir()
    return Bundle(path)


def console_lines(results: Path) -> list[bytes]:
    return [line for path in results.glob("*/k6/console.jsonl") for line in read_tail(path)[0]]


async def uploaded(results: Path, process: asyncio.subprocess.Process, stretch: int) -> None:
    """Wait until an upload of a stretch has ended."""
    while not any(b'"e":"o","s":%d,' % stretch in line for line in console_lines(results)):
        assert process.returncode is None, await ended(process)
        await asyncio.sleep(0.05)


def work_folders(folder: Path) -> list[Path]:
    return list(folder.glob(f"{rig_module.WORK}*"))


def held_by(word: str) -> list[int]:
    """Processes that have a word in their command line or among their settings."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and int(entry.name) != os.getpid() and word.encode() in told:
            found.append(int(entry.name))
    return found


def started_beside(system: System) -> str:
    """What a comparison calls its stacks; their eight processes are told it."""
    (folder,) = (system.stack.run_dir / "ab").glob("vb_ab_*")
    assert len(held_by(folder.name)) >= 8
    return folder.name


async def until(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 120
    while not await holds():
        assert loop.time() < deadline, what
        await asyncio.sleep(0.1)


async def test_two_settings_are_compared_on_stacks_that_are_gone_afterwards(
    system: System, tmp_path: Path
) -> None:
    before, results = await state_of(system), tmp_path / "results"
    code, said = await ended(await start(system, results, TMPDIR=str(tmp_path), **TWO_STACKS))
    assert code == 0, said
    assert "A: FINALISE=inline" in said
    assert "Stacks ready after" in said
    assert NO_WINNER in said
    bundle = bundle_in(results)
    assert {sample.ledger for sample in bundle.uploads()} == {LedgerClass.VERIFIED}
    assert {stretch.instance for stretch in bundle.stretches()} == {0, 1}, "made anew once"
    settings = bundle.manifest().settings
    assert [settings[f"{arm}/upload"]["FINALISE"] for arm in "AB"] == ["inline", "detached"]
    assert await state_of(system) == before
    assert work_folders(tmp_path) == []


async def test_a_prepared_question_ends_with_claimed_measured_why(system: System, tmp_path: Path) -> None:
    before = await state_of(system)
    code, said = await ended(await ask(system, tmp_path, Q="observing", PROFILE="smoke"))
    assert code == 0, said
    for piece in (
        "Claimed, measured, why",
        "Claimed",
        "(vaultbench)",
        "Verdict",
        "undecided",
        "Because",
        "A smoke run is too short",
    ):
        assert piece in said
    bundle = bundle_in(tmp_path)
    assert bundle.plan().question == "observing"
    assert {arm.name: arm.scraped for arm in bundle.plan().arms} == {"not observed": False, "observed": True}
    settings = bundle.manifest().settings
    assert settings["not observed/gateway"]["LOGGING"] == "off"
    assert await state_of(system) == before


async def test_the_prepared_questions_are_listed_and_nothing_begins(system: System, tmp_path: Path) -> None:
    code, said = await ended(await ask(system, tmp_path))
    assert code == 0, said
    assert all(f"{name} " in said for name in questions())
    code, said = await ended(await ask(system, tmp_path, Q="hahs"))
    assert (code, "did you mean hash?" in said) == (2, True)
    assert everything_in(tmp_path) == []


async def test_everything_that_is_wrong_is_said_at_once(system: System, tmp_path: Path) -> None:
    before = await state_of(system)
    words = {
        "PROFILE": "smok", "VUS": "0", "SEED": "x", "FAIL_ON_LOSS": "much",
        "A": "FINALIZE=inline gateway.FINALISE=inline REPLICAS=99",
        "B": "STRATEGY=directsingle PROFILE=ci nonsense PIDS=/no/such/file",
    }  # fmt: skip
    code, said = await ended(await start(system, tmp_path, **words))
    assert code == 2
    for problem in (
        "A: FINALIZE is read by nobody; did you mean FINALISE?",
        "A: gateway does not read FINALISE; upload does",
        "A: REPLICAS=99: expected a whole number from 1 to 8",
        "B: PROFILE is for the whole run; it stands before A and B",
        "B: nonsense: expected NAME=value, or service.NAME=value",
        "B: STRATEGY=directsingle: expected one of proxy-chunked, direct-multipart, direct-single",
        "B: PIDS=/no/such/file: expected a file with `name pid` in each line, of processes that run",
        "FAIL_ON_LOSS=much: expected a share",
        "PROFILE=smok: expected one of smoke, ci, full; did you mean smoke?",
        "SEED=x: expected a whole number",
        "VUS=0: expected a whole number from 1 to 2000",
    ):
        assert problem in said
    assert everything_in(tmp_path) == [], "nothing began"
    assert await state_of(system) == before


async def test_ctrl_c_in_the_load_ends_in_order(system: System, tmp_path: Path) -> None:
    before = await state_of(system)
    process = await start(system, tmp_path, **TWO_STACKS)
    await uploaded(tmp_path, process, COMPARING)
    process.send_signal(signal.SIGINT)
    code, said = await ended(process)
    assert code == 130, said
    assert "run was interrupted" in said
    bundle = bundle_in(tmp_path)
    assert bundle.manifest().interrupted
    assert {sample.ledger for sample in bundle.uploads()} == {LedgerClass.VERIFIED}
    assert await state_of(system) == before
    assert not held_by(str(tmp_path))


async def test_a_killed_harness_leaves_nothing(system: System, tmp_path: Path) -> None:
    """Its stacks are taken away by the process that has them; k6 ends when nobody answers it."""
    before = await state_of(system)
    process = await start(system, tmp_path, **TWO_STACKS)
    await uploaded(tmp_path, process, 1)
    stacks = started_beside(system)
    process.kill()
    await process.communicate()

    async def as_before() -> bool:
        return await state_of(system) == before and not held_by(str(tmp_path)) and not held_by(stacks)

    await until("the stacks and k6 must go", as_before)


async def test_what_a_killed_comparison_left_is_named_and_removed(system: System, tmp_path: Path) -> None:
    before = await state_of(system)
    process = await start(system, tmp_path, **TWO_STACKS)
    await uploaded(tmp_path, process, 1)
    stacks = started_beside(system)
    owners = [pid for pid in held_by("compose.beside") if processes_parent(pid) == process.pid]
    assert owners
    for pid in (process.pid, *owners):
        os.kill(pid, signal.SIGKILL)
    await process.communicate()
    assert await state_of(system) != before
    code, said = await ended(await start(system, tmp_path, PROFILE="nonsense"))
    assert code == 2
    assert "removed what a killed comparison left: " in said
    assert f"{stacks}_0_upload" in said

    async def as_before() -> bool:
        return await state_of(system) == before and not held_by(str(tmp_path)) and not held_by(stacks)

    await until("stacks and k6 must go", as_before)


def processes_parent(pid: int) -> int | None:
    fields = processes.stat_fields(pid)
    return None if fields is None else int(fields[1])


# -- another implementation


@contextmanager
def other_implementation(folder: Path) -> Iterator[tuple[System, Path]]:
    """A second testbed of which the harness is told the address, and a file with its processes."""
    with running_system() as other:
        pids = folder / "pids"
        pids.write_text(
            "".join(f"{part} {row['pid']}\n" for part, row in other.stack.rows().items() if row["pid"])
        )
        yield other, pids


async def files_of(system: System) -> int:
    connection = await asyncpg.connect(system.database_url("files"))
    try:
        return int(await connection.fetchval("SELECT count(*) FROM files WHERE deleted_at IS NULL"))
    finally:
        await connection.close()


async def test_another_implementation_is_compared_by_its_address_alone(
    system: System, tmp_path: Path
) -> None:
    before, results = await state_of(system), tmp_path / "results"
    with other_implementation(tmp_path) as (other, pids):
        theirs = await state_of(other)
        code, said = await ended(
            await start(system, results, PROFILE="smoke", TARGET=other.gateway, PIDS=str(pids))
        )
        assert code == 0, said
        assert await files_of(other) == 0
        assert await state_of(other) == theirs
    assert NO_WINNER in said
    bundle = bundle_in(results)
    samples = bundle.uploads()
    assert {sample.ledger for sample in samples} == {LedgerClass.VERIFIED}
    assert {sample.arm for sample in samples} == {"A", "B"}
    assert {(table.stack, table.failed) for table in bundle.ledgers()} == {("", False), ("B", False)}
    assert {"gateway", "pg-upload", "B/gateway", "B/pg-upload"} <= set(bundle.looks()[-1].cpu_s)
    assert "not-decidable" in {warn.code for warn in bundle.warnings()}
    manifest = bundle.manifest()
    assert not [name for name in (*manifest.settings, *manifest.databases) if name.startswith("B/")]
    assert "B: in each audit 100 seeded files downloaded" in manifest.verified_how
    assert await state_of(system) == before


async def test_what_cannot_be_another_implementation_is_refused(system: System, tmp_path: Path) -> None:
    for words, problem in (
        ({"TARGET": system.gateway}, "is the running testbed itself"),
        ({"TARGET": "http://127.0.0.1:9"}, "http://127.0.0.1:9 does not answer"),
    ):
        code, said = await ended(await start(system, tmp_path, PROFILE="smoke", **words))
        assert code == 2, said
        assert problem in said
        assert not bundles_in(tmp_path), "a run that was refused leaves no folder"


# -- somebody else


async def test_somebody_else_s_uploads_end_a_run_soon(system: System, tmp_path: Path) -> None:
    """Real uploads of a stranger on the running testbed, beside a run that would take six minutes."""
    words = {"PROFILE": "ci", "VUS": "2", "FILE_SIZE": "64KiB"}
    process = await start_as(("-c", WATCHFUL, "ab"), system, tmp_path, words)
    await uploaded(tmp_path, process, COMPARING)
    clock = asyncio.get_running_loop().time
    began = clock()
    ending = asyncio.create_task(ended(process))
    async with aiohttp.ClientSession() as http:
        token = await stranger(http, system.gateway)
        while not ending.done() and clock() - began < SOON_S:
            await upload(http, system.gateway, token)
            await asyncio.sleep(0.5)
    took_s = clock() - began
    code, said = await ending
    assert took_s < SOON_S, said
    assert code in (1, 2), "invalid, and the audit says so where their files are there"
    assert "Somebody else uses the system: " in said
    assert "upload" in said.partition("Somebody else uses the system: ")[2].splitlines()[0]
    assert bundle_in(tmp_path).manifest().interrupted


async def stranger(http: aiohttp.ClientSession, url: str) -> str:
    name = f"stranger-{os.getpid()}-{id(http)}"
    facts = {"username": name, "email": f"{name}@example.org", "password": "a long password of theirs"}
    async with http.post(f"{url}/auth/signup", json=facts) as answer:
        return str((await answer.json())["token"])


async def upload(http: aiohttp.ClientSession, url: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "X-File-Name": "theirs.txt"}
    async with http.post(f"{url}/api/upload/file", data=b"not ours", headers=headers) as answer:
        assert answer.status == 201, await answer.text()
