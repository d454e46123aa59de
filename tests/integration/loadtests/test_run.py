"""A whole run against a whole system: every upload verified, every bound looked at, nothing left behind."""

from __future__ import annotations

import asyncio
import errno
import io
import math
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from uuid import UUID

import pytest
from rich.console import Console

from loadtests.harness.analyse import analyse
from loadtests.harness.checks.missing import NOT_MEASURED
from loadtests.harness.clean import Removed
from loadtests.harness.clients.strategies import Strategy, load_strategies
from loadtests.harness.k6.console import read_tail
from loadtests.harness.k6.tally import Ack
from loadtests.harness.plan import warm_up
from loadtests.harness.records.bundle import Bundle, BundleWriter
from loadtests.harness.records.plan import NOBODY, STOCK, Arm, Part, PartKind, Plan
from loadtests.harness.records.samples import UploadSample
from loadtests.harness.records.vocabulary import DOWNLOADED, RESUMED, LedgerClass, Severity, Validity
from loadtests.harness.run import run_plan
from loadtests.harness.running.play import Player
from loadtests.harness.running.progress import Progress
from loadtests.harness.running.rig import Hold, Rig, open_rig
from loadtests.harness.sentences import told
from loadtests.harness.testbeds.network import Link, slowed
from loadtests.harness.testbeds.system import ROOT, find_system
from loadtests.harness.testbeds.system import System as Stack
from tests import faketime
from tests.stack import System

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

THREE = ("proxy-chunked", "direct-multipart", "direct-single")
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def short_lead_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is measured that the store's deleting could disturb."""
    monkeypatch.setattr("loadtests.harness.run.LEAD_IN_S", 0.3)


def arms_of(names: Iterable[str] = THREE, *, size: int = 256 * 1024, vus: int = 3) -> tuple[Arm, ...]:
    strategies = load_strategies()
    return tuple(
        Arm(
            name=name, of=name, title=name, colour=strategies[name].manifest.colour, strategy=name,
            file_size_bytes=size, piece_bytes=strategies[name].piece_bytes(size), vus=vus,
        )
        for name in names
    )  # fmt: skip


def part_of(kind: PartKind, arms: tuple[Arm, ...], **facts: float) -> Part:
    whole = {"period_s": 0.8, "washout_s": 0.2, "first_blocks": 1, "most_blocks": 1, **facts}
    return Part.model_validate({"name": kind.value, "kind": kind, "arms": arms, **whole})


def plan_of(run: str, *parts: Part, disk_bytes: int = 1 << 30) -> Plan:
    return Plan(
        run=run, question="proxy-or-direct", asks="which?", profile="smoke", seed=7, words={}, arms=arms_of(),
        parts=(part_of(PartKind.WARM_UP, arms_of()), *parts), margin=0.1, precision=0.05, budget_s=60,
        disk_bytes=disk_bytes,
    )  # fmt: skip


def environ_of(system: System) -> dict[str, str]:
    return {**os.environ, **system.stack.env, "VAULTBENCH_RUN_DIR": str(system.stack.run_dir)}


@asynccontextmanager
async def rig_of(system: System, run: str) -> AsyncIterator[Rig]:
    async with open_rig(run, {"": find_system(environ_of(system))}, load_strategies()) as rig:
        yield rig


async def left(rig: Rig) -> Removed:
    """What of the harness's users was still there; what others left is nobody's business."""
    return (await rig.hold.cleaner.clean()).removed


def progress_to(out: io.StringIO) -> Progress:
    return Progress(Console(file=out, width=120))


def check_books(bundle: Bundle) -> None:
    """Every upload that a client decided on is verified and in exactly one audit."""
    samples = bundle.uploads()
    assert samples
    assert {sample.ledger for sample in samples} == {LedgerClass.VERIFIED}
    assert len({sample.upload_ref for sample in samples}) == len(samples)
    for table in bundle.ledgers():
        assert not table.failed, table.offending
        assert table.intents == table.acks == table.classes[LedgerClass.VERIFIED]
    assert sum(table.intents for table in bundle.ledgers()) == len(samples)


async def test_a_switchback_of_three_arms_ends_with_all_uploads_verified(
    system: System, tmp_path: Path
) -> None:
    compare = part_of(PartKind.COMPARE, arms_of(), first_blocks=1, most_blocks=3)
    out, asked, answered = io.StringIO(), list[tuple[str, int]](), list[str]()

    def blocks_wanted(bundle: Bundle, part: Part) -> int:
        asked.append((part.name, len(bundle.uploads())))
        return 2

    async with rig_of(system, "three") as rig:
        await run_plan(
            rig, plan_of("three", compare), BundleWriter(tmp_path), progress_to(out), "a test",
            blocks_wanted=blocks_wanted, answered=lambda _, part: answered.append(part.name),
        )  # fmt: skip
        assert not await left(rig)
    bundle = Bundle(tmp_path)
    check_books(bundle)
    assert [name for name, _ in asked] == ["compare"]
    assert asked[0][1] > 0, "the first stage is in the bundle when its blocks are asked for"
    assert answered == ["compare"]
    played = [stretch for stretch in bundle.stretches() if stretch.part == "compare"]
    assert [stretch.blocks for stretch in played] == [(0,) * 6, (1,) * 6]
    seen = [look.at for look in bundle.looks()]
    bounds = [at for one in played for index in range(len(one.order)) for at in one.counted(index)]
    off_s = [min(abs(at - bound) for at in seen) for bound in bounds]
    assert median(off_s) < 0.05, "a look at every bound, but where the machine was busy"
    used = bundle.looks()[-1].cpu_s
    assert {"gateway", "auth", "upload", "files", "minio", "k6", "harness", "pg-upload"} <= set(used)
    assert {sample.arm for sample in bundle.uploads()} == set(THREE)
    warm_ups = [one for one in bundle.counted() if len(one.uploads) == 1]
    assert {arm for one in warm_ups for arm in one.uploads} == set(THREE), "each arm was counted by itself"
    for one in warm_ups:
        ((name, uploads),) = one.uploads.items()
        strategy = load_strategies()[name]
        assert sum(one.statements.values()) == uploads * sum(strategy.expected_statements(1).values())
        assert sum(one.store_requests.values()) == uploads * strategy.expected_store_requests(1)
    load = bundle.load()
    assert load is not None
    assert load.exit_code == 0
    assert not bundle.manifest().interrupted
    assert "Which is faster?" in out.getvalue()


async def test_a_small_disk_is_emptied_between_stretches(system: System, tmp_path: Path) -> None:
    """So small that every block fills more than half of it, on the slowest machine too."""
    compare = part_of(PartKind.COMPARE, arms_of(THREE[:2]), first_blocks=3, most_blocks=3)
    async with rig_of(system, "disk") as rig:
        plan = plan_of("disk", compare, disk_bytes=compare.arms[0].file_size_bytes)
        await run_plan(rig, plan, BundleWriter(tmp_path), progress_to(io.StringIO()), "a test")
    bundle = Bundle(tmp_path)
    check_books(bundle)
    audits = [table for table in bundle.ledgers() if table.stretches[-1] != "s003"]
    assert len(audits) == 3, "after every block"


async def test_neighbours_and_sizes(system: System, tmp_path: Path) -> None:
    nobody = Arm(
        name=NOBODY,
        of=NOBODY,
        title=NOBODY,
        colour="#000000",
        strategy=None,
        file_size_bytes=0,
        piece_bytes=1,
        vus=0,
    )
    beside = (nobody, *(arm.model_copy(update={"vus": 0}) for arm in arms_of(THREE[:1])))
    neighbours = part_of(PartKind.NEIGHBOURS, beside, login_rate_per_s=5.0, list_rate_per_s=5.0)
    large = tuple(
        arm.model_copy(update={"name": f"{arm.name} 12 MiB", "vus": 1}) for arm in arms_of(size=12 * MIB)
    )
    sizes = part_of(PartKind.SIZES, (*arms_of(size=4096), *large))
    async with rig_of(system, "beside") as rig:
        plan = plan_of("beside", neighbours, sizes)
        await run_plan(rig, plan, BundleWriter(tmp_path), progress_to(io.StringIO()), "a test")
        assert not await left(rig)
    bundle = Bundle(tmp_path)
    check_books(bundle)
    rates = [
        arm.rate_per_s
        for part in bundle.plan().parts
        if part.kind is PartKind.NEIGHBOURS
        for arm in part.arms
    ]
    assert rates[0] is None
    assert rates[1] is not None
    assert rates[1] > 0
    opened = [one for one in bundle.uploads() if one.scheduled_at is not None]
    assert opened
    assert {one.arm for one in opened} == {THREE[0]}
    assert {(one.step, one.arm) for one in bundle.steps()} == {
        (step, arm) for step in ("login", "list") for arm in (NOBODY, THREE[0])
    }
    assert all(one.ok for one in bundle.steps())
    assert {one.size_bytes for one in bundle.uploads()} == {256 * 1024, 4096, 12 * MIB}
    assert {one.arm for one in bundle.uploads() if one.size_bytes == 12 * MIB} == {arm.name for arm in large}


async def test_the_warm_up_finds_the_vus_and_stacks_are_made_anew(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_up, "VU_LEVELS", (1, 2))
    compare = part_of(
        PartKind.COMPARE, arms_of(THREE[:2]), first_blocks=3, most_blocks=3, blocks_per_making=1
    )
    more = tuple(
        arm.model_copy(update={"name": f"{arm.name} {vus} VU", "vus": vus})
        for arm in arms_of(THREE[:1])
        for vus in (3, 6)
    )
    whole = plan_of("found", compare, part_of(PartKind.LEVELS, more))
    plan = whole.model_copy(update={"profile": "ci", "calibrates": True})
    made: list[int] = []
    running = {"": find_system(environ_of(system))}

    async def renew(moved: int) -> Mapping[str, Stack]:
        made.append(moved)
        return running

    async with rig_of(system, "found") as rig:
        rig.revisions = {"proxy-chunked": "1" * 40}
        await run_plan(rig, plan, BundleWriter(tmp_path), progress_to(io.StringIO()), "a test", renew=renew)
        assert not await left(rig)
    bundle = Bundle(tmp_path)
    check_books(bundle)
    (resolved,) = (event.detail for event in bundle.events() if event.kind == "resolved")
    vus = resolved["vus"]
    assert vus in (1, 2)
    found = bundle.plan()
    assert {arm.vus for arm in found.arms} == {vus}
    assert [arm.vus for part in found.parts if part.kind is PartKind.LEVELS for arm in part.arms] == [
        vus, 2 * vus,
    ]  # fmt: skip
    assert len(made) == 2
    assert bundle.manifest().revisions == {"proxy-chunked": "1" * 40}
    played = [stretch for stretch in bundle.stretches() if stretch.part == "compare"]
    assert [stretch.instance for stretch in played] == [0, 1, 2]
    assert [set(stretch.blocks) for stretch in played] == [{0}, {1}, {2}]


async def test_an_interrupt_lets_uploads_end_and_is_audited(system: System, tmp_path: Path) -> None:
    compare = part_of(PartKind.COMPARE, arms_of(), period_s=30.0, first_blocks=1)
    async with rig_of(system, "stopped") as rig:
        run = asyncio.create_task(
            run_plan(
                rig, plan_of("stopped", compare), BundleWriter(tmp_path), progress_to(io.StringIO()), "a test"
            )
        )
        await _compared(tmp_path, run.done)
        rig.stop.set()
        await asyncio.wait_for(run, 60)
        assert not await left(rig)
    bundle = Bundle(tmp_path)
    check_books(bundle)
    assert bundle.manifest().interrupted
    last = bundle.stretches()[-1]
    assert last.part == "compare"
    assert last.cut_at is not None
    assert last.cut_at < last.t0 + 30


async def test_an_interrupt_between_the_probes_of_sizes_is_audited_too(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = part_of(PartKind.SIZES, arms_of(THREE[:2], size=4096))
    async with rig_of(system, "probed") as rig:
        probe = Player.probe

        async def interrupted(player: Player, part: Part, arm_name: str, uploads: int) -> list[Ack]:
            acks = await probe(player, part, arm_name, uploads)
            rig.stop.set()
            return acks

        monkeypatch.setattr(Player, "probe", interrupted)
        plan = plan_of("probed", sizes)
        await run_plan(rig, plan, BundleWriter(tmp_path), progress_to(io.StringIO()), "a test")
        assert not await left(rig)
    bundle = Bundle(tmp_path)
    check_books(bundle)
    assert bundle.stretches()[-1].part == "sizes-probe"
    assert bundle.ledgers()[-1].stretches == (bundle.stretches()[-1].stretch,)


class FullDisk(BundleWriter):
    """No room is left when the first audit writes down its uploads."""

    def append_uploads(self, samples: Sequence[UploadSample]) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


async def test_a_full_disk_of_the_records_leaves_nothing_in_the_system(
    system: System, tmp_path: Path
) -> None:
    async with rig_of(system, "full") as rig:
        with pytest.raises(OSError, match="No space left"):
            await run_plan(rig, plan_of("full"), FullDisk(tmp_path), progress_to(io.StringIO()), "a test")
        assert not await left(rig)
    assert not k6_of(tmp_path)


async def test_nor_does_one_that_is_found_out_when_k6_is_gone(system: System, tmp_path: Path) -> None:
    async with rig_of(system, "full-dead") as rig:
        run = asyncio.create_task(
            run_plan(rig, plan_of("full-dead"), FullDisk(tmp_path), progress_to(io.StringIO()), "a test")
        )
        await _uploaded(tmp_path, 1, run.done)
        (k6,) = k6_of(tmp_path)
        os.kill(k6, signal.SIGKILL)
        with pytest.raises(OSError, match="No space left"):
            await run
        assert not await left(rig)


class CutOff(BundleWriter):
    """Another error at the same moment."""

    def append_uploads(self, samples: Sequence[UploadSample]) -> None:
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


async def test_what_another_error_left_is_there_to_be_looked_at(system: System, tmp_path: Path) -> None:
    async with rig_of(system, "cut-off") as rig:
        with pytest.raises(ConnectionResetError):
            await run_plan(rig, plan_of("cut-off"), CutOff(tmp_path), progress_to(io.StringIO()), "a test")
        assert await left(rig)
        await rig.hold.cleaner.clean()


async def test_a_run_in_which_everything_fails_ends_and_says_at_what(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the system's disk is full; here nobody is let in."""
    sign_up = Hold.create_identities

    async def locked_out(hold: Hold, run: str, count: int) -> None:
        await sign_up(hold, run, count)
        hold.identities = [replace(user, token="no token") for user in hold.identities]

    monkeypatch.setattr(Hold, "create_identities", locked_out)
    compare, out = part_of(PartKind.COMPARE, arms_of(), period_s=30.0), io.StringIO()
    async with rig_of(system, "refused") as rig:
        await run_plan(rig, plan_of("refused", compare), BundleWriter(tmp_path), progress_to(out), "a test")
    bundle = Bundle(tmp_path)
    assert [stretch.part for stretch in bundle.stretches()] == ["warm-up"] * 3
    result = analyse(bundle)
    assert (result.exit_code, result.next_command) == (2, "make status")
    assert "transfers of s001, s002 and s003 failed" in result.exit_reason
    assert "answered 401" in result.exit_reason and "answered 401" in out.getvalue()


def failing(folder: Path, name: str, where: str) -> Strategy:
    """A strategy that completes an upload which nobody began, ``where`` this holds of ``flow``."""
    real = load_strategies()[name]
    script = folder / f"{name}.js"
    script.write_text(
        f"import {{ upload as real }} from '{real.script}';\n"
        f"const nobodys = {{ upload_uuid: '{UUID(int=4)}', etag: 'none' }};\n"
        "export const upload = (flow) =>\n"
        f"  {where} ? flow.api('complete', '/api/upload/single/complete', nobodys) : real(flow);\n"
    )
    return replace(real, script=script)


async def test_an_arm_and_a_size_of_which_everything_fails_leave_the_other_answers(
    system: System, tmp_path: Path
) -> None:
    small, lost = 4096, THREE[2]
    sized = tuple(
        arm.model_copy(update={"name": f"{arm.name} {name}", "of": arm.name, "file_size_bytes": size})
        for size, name in ((small, "4 KiB"), (64 * 1024, "64 KiB"))
        for arm in arms_of()
    )
    plan = plan_of("partly", part_of(PartKind.COMPARE, arms_of()), part_of(PartKind.SIZES, sized))
    where = dict.fromkeys(THREE[:2], f"flow.sizeBytes === {small}") | {lost: "true"}
    folder = tmp_path / "bundle"
    async with rig_of(system, "partly") as rig:
        rig.strategies = {name: failing(tmp_path, name, own) for name, own in where.items()}
        await run_plan(rig, plan, BundleWriter(folder), progress_to(io.StringIO()), "a test")
        assert not await left(rig)
    bundle = Bundle(folder)
    result = told(analyse(bundle))
    assert not bundle.manifest().interrupted and result.validity is Validity.CAUTIONS
    of_lost, of_sizes = (one for one in result.warnings if one.code == NOT_MEASURED)
    assert (result.exit_code, result.exit_reason) == (3, of_lost.message)
    failed = Counter(one.arm for one in bundle.uploads() if not one.verified)
    assert failed.keys() == {
        lost,
        *(arm.name for arm in sized if arm.file_size_bytes == small or arm.of == lost),
    }
    assert re.fullmatch(
        r"not measured: direct-single, of which all (\d+) transfers failed, \1 of them so: "
        "complete answered 404 .*", of_lost.message,
    )  # fmt: skip
    assert of_sizes.message.startswith("not measured: files of 4 KiB and direct-single, of which")
    said = [sentence.text for sentence in result.sentences]
    assert {f"N{one.message[1:]}." for one in (of_lost, of_sizes)} < set(said)
    assert result.compare is not None and result.sizes is not None
    did = {one.arm.name: one.uploads > 0 for one in result.compare.arms}
    assert did == {name: name != lost for name in THREE}


KILLED = """
import asyncio, io, os, sys
from pathlib import Path
from tests.integration.loadtests.test_run import *

async def main() -> None:
    compare = part_of(PartKind.COMPARE, arms_of(), period_s=30.0)
    async with open_rig("killed", {"": find_system(os.environ)}, load_strategies()) as rig:
        writer = BundleWriter(Path(sys.argv[1]))
        await run_plan(rig, plan_of("killed", compare), writer, progress_to(io.StringIO()), "")

asyncio.run(main())
"""


async def test_a_killed_harness_leaves_a_readable_bundle_and_no_k6(system: System, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(tmp_path), cwd=ROOT,
        env=environ_of(system) | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    await _compared(tmp_path, lambda: process.returncode is not None)
    k6 = k6_of(tmp_path)
    assert k6
    process.send_signal(signal.SIGKILL)
    await process.wait()
    bundle = Bundle(tmp_path)
    assert bundle.manifest().ended_at is None
    assert bundle.stretches()[-1].part == "compare"
    assert all(sample.verified for sample in bundle.uploads())
    deadline = time.monotonic() + 60
    while k6_of(tmp_path):
        assert time.monotonic() < deadline, "k6 must end by itself"
        await asyncio.sleep(0.1)
    async with rig_of(system, "after") as rig:
        await rig.hold.cleaner.clean()
        assert not await left(rig)


SET_BACK_S = 600  # the store, whose clock stays, takes signatures of up to 15 minutes ago
# The library that sets the clock makes ``time.sleep`` fail (EINVAL) when it leaves the monotonic clock alone.
WATCHED = """
import asyncio, io, os, select, sys, time
from pathlib import Path
from tests.integration.loadtests.test_run import *

time.sleep = lambda seconds: select.select([], [], [], seconds)

async def main() -> None:
    compare, out = part_of(PartKind.COMPARE, arms_of(), period_s=30.0), io.StringIO()
    async with open_rig("set-back", {"": find_system(os.environ)}, load_strategies()) as rig:
        writer = BundleWriter(Path(sys.argv[1]))
        await run_plan(rig, plan_of("set-back", compare), writer, progress_to(out), "")
        assert not await left(rig)
    print(out.getvalue())

asyncio.run(main())
"""


async def test_a_clock_that_is_set_back_ends_the_run_audited_and_no_time_is_negative(
    system: System, tmp_path: Path
) -> None:
    """The harness's own clock alone: k6, like the servers, does not ask the library for the time."""
    if (library := faketime.library()) is None:
        pytest.skip("libfaketime cannot be had here")
    clock, folder = tmp_path / "clock", tmp_path / "bundle"
    clock.write_text("+0\n")
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WATCHED, str(folder), cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        env=environ_of(system) | {
            "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        },
    )  # fmt: skip
    began = time.monotonic()
    try:
        await _compared(folder, lambda: process.returncode is not None)
    except AssertionError:
        print((await process.communicate())[0].decode())
        raise
    clock.write_text(f"-{SET_BACK_S}\n")
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0
    assert f"The clock of this machine was set back by {SET_BACK_S}.0 s." in " ".join(out.decode().split())

    bundle, lasted_s = Bundle(folder), time.monotonic() - began
    check_books(bundle)
    assert [event.kind for event in bundle.events()].count("clock-step") == 1
    assert [one.severity for one in bundle.warnings() if one.code == "clock-step"] == [Severity.INVALID]
    manifest, last = bundle.manifest(), bundle.stretches()[-1]
    assert manifest.interrupted and manifest.ended_at is not None
    assert 0 < manifest.ended_at - manifest.started_at <= lasted_s
    assert last.part == "compare" and last.cut_at is not None
    assert last.t0 - last.lead_in_s <= last.cut_at < last.t0 + lasted_s
    assert all(event.at >= manifest.started_at for event in bundle.events())
    assert min(analyse(bundle).seconds.values()) >= 0


def k6_of(folder: Path) -> list[int]:
    """Processes whose command line names this folder's console file."""
    wanted = f"{folder}/k6/console.jsonl".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def _compared(folder: Path, ended: Callable[[], bool]) -> None:
    """Wait until uploads of the comparison have ended; whoever plays them may have ``ended`` before."""
    await _uploaded(folder, 4, ended)


async def _uploaded(folder: Path, stretch: int, ended: Callable[[], bool]) -> None:
    wanted = f'"e":"o","s":{stretch},'.encode()
    while not any(wanted in line for line in read_tail(folder / "k6" / "console.jsonl")[0]):
        assert not ended(), f"it ended before its stretch {stretch}"
        await asyncio.sleep(0.05)


def check_downloads(bundle: Bundle, uploads: int) -> list[UploadSample]:
    """Every upload is verified by its audit, every download by whoever received it; returns the downloads."""
    samples = bundle.uploads()
    assert {sample.ledger for sample in samples} == {LedgerClass.VERIFIED}
    for table in bundle.ledgers():
        assert not table.failed, table.offending
    down = [sample for sample in samples if DOWNLOADED in sample.flags]
    assert sum(table.intents for table in bundle.ledgers()) == len(samples) - len(down) >= uploads
    there = {sample.upload_uuid for sample in samples if sample.stretch == STOCK}
    assert {sample.upload_uuid for sample in down} <= there, "each is of a file that was put there for it"
    return down


async def test_a_fleet_downloads_one_file_and_resumes_what_was_cut(system: System, tmp_path: Path) -> None:
    """Through the gateway and from the store, by 3 and by 8 clients in one round. Of a large file most of the
    time is between its first byte and its last."""
    (upload,) = arms_of(("proxy-single",), size=4 * MIB)
    arms = tuple(
        upload.model_copy(update={"name": name, "of": name, "download": name, "cut_every": 3})
        for name in ("proxied", "presigned")
    )
    levels = tuple(
        one.model_copy(update={"name": f"{one.name} {vus} VU", "vus": vus}) for vus in (3, 8) for one in arms
    )
    fleet = part_of(PartKind.FLEET, levels, period_s=1.6, washout_s=0.4)
    plan = plan_of("fleet", fleet).model_copy(
        update={"arms": arms, "parts": (part_of(PartKind.WARM_UP, arms), fleet)}
    )
    async with rig_of(system, "fleet") as rig:
        await run_plan(rig, plan, BundleWriter(tmp_path), progress_to(io.StringIO()), "a test")
        assert not await left(rig)
    bundle = Bundle(tmp_path)
    down = check_downloads(bundle, uploads=2)  # one is put there again after the audit of the warm-up
    assert {one.arm for one in down} >= {level.name for level in levels}
    assert any(RESUMED in one.flags for one in down), "some were cut between their first byte and their last"
    assert not bundle.warnings(), "none of the requests was taken for a stranger's"
    result = analyse(bundle)
    assert result.fleet is not None
    assert [(cell.arm, cell.clients) for cell in result.fleet.cells] == [
        (arm.name, vus) for arm in arms for vus in (3, 8)
    ]
    for cell in result.fleet.cells:
        assert (cell.downloads_per_s.value or 0) > 0 and cell.failed == 0
        assert cell.cpu_s_per_download.value is not None
    through = {price.arm: price.gateway_bytes_out for price in result.prices}
    assert (through["proxied"] or 0) > 0.9 and (through["presigned"] or 0) < 0.1, "of each byte of the file"


async def test_a_batch_of_files_beside_one_by_one(system: System, tmp_path: Path) -> None:
    size, upload = 50_000, "proxy-single"
    one, together = arms_of((upload, f"{upload}-batch"), size=size, vus=2)
    down = one.model_copy(update={"name": "down", "of": "down", "download": "presigned"})
    arms = (
        one,
        together.model_copy(update={"files": 5}),
        down,
        down.model_copy(update={"name": "down-batch", "of": "down-batch", "download": "batch", "files": 5}),
    )
    compare = part_of(PartKind.COMPARE, arms)
    plan = plan_of("batch", compare).model_copy(
        update={"arms": arms, "parts": (part_of(PartKind.WARM_UP, arms), compare)}
    )
    async with rig_of(system, "batch") as rig:
        await run_plan(rig, plan, BundleWriter(tmp_path), progress_to(io.StringIO()), "a test")
        assert not await left(rig)
    bundle = Bundle(tmp_path)
    downloads = Counter(sample.arm for sample in check_downloads(bundle, uploads=10))
    assert set(downloads) == {"down", "down-batch"} and downloads["down-batch"] % 5 == 0
    uploads = Counter(sample.arm for sample in bundle.uploads())
    assert uploads[together.name] > 0 and uploads[together.name] % 5 == 0
    assert not bundle.warnings()
    price = {
        name: (sum(one.statements.values()) / files, sum(one.store_requests.values()) / files)
        for one in bundle.counted()
        if len(one.uploads) == 1
        for name, files in one.uploads.items()
    }
    alone = (4, 1)
    assert price == {
        one.name: alone, together.name: alone, "down": (1, 0), "down-batch": (pytest.approx(1 / 5), 0)
    }  # fmt: skip


async def test_slow_clients_begin_one_after_another_and_keep_to_their_lines(
    system: System, tmp_path: Path
) -> None:
    """Crowds of 4 and 12 over lines of 2 Mbit/s; the analysis has memory and a price for each."""
    link, size = Link(bandwidth_mbit=2.0), 64 * 1024
    line_s = link.transfer_s(size)
    arms = arms_of(("proxy-single-buffered", "direct-single"), size=size, vus=2)
    crowds = []
    for vus in (4, 12):
        loads = tuple(one.model_copy(update={"name": f"{one.name} {vus} VU", "vus": vus}) for one in arms)
        part = part_of(PartKind.CROWD, loads, period_s=2.4, washout_s=0.4, spread_s=line_s)
        crowds.append(part.model_copy(update={"name": f"crowd-{vus}"}))
    plan = plan_of("slow", *crowds).model_copy(
        update={"arms": arms, "parts": (part_of(PartKind.WARM_UP, arms), *crowds), "bandwidth_mbit": 2.0}
    )
    near = find_system(environ_of(system))
    async with (
        slowed(near, link) as far,
        open_rig("slow", {"": far}, load_strategies()) as rig,
    ):
        await run_plan(rig, plan, BundleWriter(tmp_path), progress_to(io.StringIO()), "a test")
        assert not await left(rig)
    bundle = Bundle(tmp_path)
    check_books(bundle)
    took_s = [one.acked_at - one.started_at for one in bundle.uploads() if one.acked_at and one.started_at]
    assert min(took_s) > 0.9 * line_s
    (last,) = [one for one in bundle.stretches() if one.part == "crowd-12"]
    begun: dict[str, float] = {}
    for sample in bundle.uploads():
        if sample.stretch == last.stretch:
            begun[sample.user_id] = min(sample.intent_at, begun.get(sample.user_id, math.inf))
    assert len(begun) == 12
    assert max(begun.values()) >= last.began_at + 11 / 12 * line_s - 0.002, "k6 counts whole milliseconds"
    found = analyse(bundle).crowd
    assert found is not None
    assert [(cell.arm, cell.clients) for cell in found.cells] == [(a.name, n) for a in arms for n in (4, 12)]
    for cell in found.cells:
        assert (cell.most_bytes.value or 0) >= (cell.mean_bytes.value or 0) > 0
        assert cell.cpu_s_per_upload.value is not None
