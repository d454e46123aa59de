"""Stacks beside a running testbed: two with other settings, made anew, and gone without a trace."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from minio import Minio

from compose import store_key
from loadtests.harness.clients.users import create_users
from loadtests.harness.stacks import (
    Helper,
    Stacks,
    StacksError,
    open_helper,
    open_stacks,
)
from loadtests.harness.testbeds import processes
from loadtests.harness.testbeds.native_testbed import NativeTestbed
from loadtests.harness.testbeds.network import Link
from loadtests.harness.testbeds.processes import Watched
from loadtests.harness.testbeds.system import ROOT
from loadtests.harness.words import ArmWords
from tests.stack import System

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

INLINE = ArmWords(
    processes={"upload": {"FINALISE": "inline", "DB_POOL_MAX": "7"}}, asked={"FINALISE": "inline"}
)
DETACHED = ArmWords(processes={"upload": {"FINALISE": "detached"}}, asked={"FINALISE": "detached"})
NEAR = {"A": Link(), "B": Link()}


def environ_of(system: System) -> dict[str, str]:
    return {
        **os.environ,
        **system.stack.env,
        "VAULTBENCH_RUN_DIR": str(system.stack.run_dir),
        "VAULTBENCH_ENV_FILE": str(system.stack.run_dir / "no.env"),
    }


async def known(helper: Helper) -> None:
    await helper.know({"A": None, "B": None})


async def state_of(system: System) -> dict[str, set[str]]:
    """Everything that a comparison could leave in the testbed: databases, buckets, keys, processes, files."""
    databases = set[str]()
    for part in ("auth", "upload", "files"):
        connection = await asyncpg.connect(system.database_url(part))
        rows = await connection.fetch("SELECT datname FROM pg_database")
        databases |= {f"{part}/{row['datname']}" for row in rows}
        await connection.close()
    pids = {f"{name}/{row['pid']}" for name, row in system.stack.rows().items()}
    files = {path.name for path in (system.stack.run_dir / "ab").glob("*")}
    return {"databases": databases, "store": in_store(system), "processes": pids, "files": files}


def in_store(system: System) -> set[str]:
    """Buckets, keys and policies."""
    env = system.stack.env
    place, user, password = f"127.0.0.1:{env['S3_PORT']}", env["MINIO_ROOT_USER"], env["MINIO_ROOT_PASSWORD"]
    root = Minio(place, user, password, secure=False)
    admin = store_key.admin(f"http://{place}", user, password)
    keys = {*json.loads(admin.user_list()), *json.loads(admin.policy_list())}
    return {bucket.name for bucket in root.list_buckets()} | keys


async def pids_of(stacks: Stacks) -> set[int]:
    found = set[int]()
    for system in stacks.systems.values():
        found |= {one.pid for one in await NativeTestbed(system.run_dir).watched()}
    return found


async def users_in(stacks: Stacks, arm: str) -> int:
    connection = await asyncpg.connect(stacks.systems[arm].endpoints.databases["auth"])
    try:
        return int(await connection.fetchval("SELECT count(*) FROM users"))
    finally:
        await connection.close()


async def sign_up(gateway_url: str, name: str) -> None:
    async with aiohttp.ClientSession() as http:
        await create_users(http, gateway_url, name, 1)


async def test_two_stacks_come_up_are_made_anew_and_leave_nothing(system: System) -> None:
    before, environ = await state_of(system), environ_of(system)
    async with open_helper(environ) as helper, AsyncExitStack() as stack:
        await known(helper)
        arms = {"A": INLINE, "B": DETACHED}
        stacks = await stack.enter_async_context(open_stacks(helper, arms, NEAR, environ))
        print("started:", dict(stacks.making.took_s))
        assert stacks.expected["A"]["upload"]["FINALISE"] == "inline"
        assert stacks.expected["B"]["upload"]["FINALISE"] == "detached"
        assert stacks.expected["B"]["upload"]["DB_POOL_MAX"] == 20
        first, started = await pids_of(stacks), {arm: one.run_dir for arm, one in stacks.systems.items()}
        assert len(first) == 8, "four processes each, and no database or store of their own"
        assert {one.name for one in await stacks.shared.watched()} == {
            "pg-auth",
            "pg-upload",
            "pg-files",
            "minio",
        }
        for arm in arms:
            await sign_up(stacks.systems[arm].gateway_url, f"stack-{arm.lower()}")
            assert await users_in(stacks, arm) == 1

        for moved in (1, 0):
            making = await stacks.renew(moved)
            print("made anew:", making.order, round(making.seconds, 1), dict(making.took_s))
            places = {arm: one.run_dir for arm, one in stacks.systems.items()}
            assert (places["A"] == started["B"]) is bool(moved)
            assert [await users_in(stacks, arm) for arm in arms] == [0, 0]
            assert not first & await pids_of(stacks)
        last = await pids_of(stacks)
    assert not [pid for pid in first | last if processes.stat_fields(pid) is not None]
    assert await state_of(system) == before


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ({"A": ArmWords(processes={"upload": {"FINALISE": "never"}}), "B": ArmWords()},
         r"A: upload: FINALISE is 'never': expected one of inline, queued, detached"),
        ({"A": ArmWords(processes={"files": {"DB_POOL_MIN": "9", "DB_POOL_MAX": "3"}}), "B": ArmWords()},
         r"A: files: DB_POOL_MIN is 9: expected at most DB_POOL_MAX, 3"),
        ({"A": ArmWords(),
          "B": ArmWords(processes={"upload": {"FINALISE": "inline"}}, asked={"FINALISE": "inline"})},
         r"A and B are the same in the end: what B asks for \(FINALISE=inline\) has no effect"),
        ({"A": ArmWords(), "B": ArmWords(processes={"upload": {"DB_POOL_MAX": "500"}})},
         r"could open 5\d\d connections to the database of upload, which has room for \d+ more"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_before_anything_starts(
    system: System, arms: Mapping[str, ArmWords], said: str
) -> None:
    before, environ = await state_of(system), environ_of(system)
    async with open_helper(environ) as helper:
        await known(helper)
        with pytest.raises(StacksError, match=said):
            async with open_stacks(helper, arms, NEAR, environ):
                pass
    assert await state_of(system) == before


async def test_an_unknown_revision(system: System) -> None:
    async with open_helper(environ_of(system)) as helper:
        with pytest.raises(StacksError, match="there is no revision no-such-branch in this repository"):
            await helper.know({"A": "no-such-branch"})


PARTS = ("gateway", "auth", "upload", "files")


@pytest.mark.parametrize(
    ("first", "second", "in_first", "in_second"),
    [
        ({"stack": {"POOLER": "none"}},
         {"stack": {"POOLER": "pgbouncer"}, "processes": {"files": {"CACHE": "redis"}}},
         set(), {"pgbouncer", "redis"}),
        ({"stack": {"REPLICAS": "1", "STORE": "minio"}}, {"stack": {"REPLICAS": "2", "STORE": "versitygw"}},
         {"nginx", "minio"}, {"nginx", "gateway-2", "upload-2", "files-2", "versitygw"}),
    ],
    ids=["pooler and redis", "replicas and store"],
)  # fmt: skip
async def test_parts_that_an_arm_names(
    system: System, first: dict[str, Any], second: dict[str, Any], in_first: set[str], in_second: set[str]
) -> None:
    """Each arm has its own, the running testbed none of them; a user can be made through all of it."""
    before, environ = await state_of(system), environ_of(system)
    arms = {"A": ArmWords(**first), "B": ArmWords(**second)}
    async with open_helper(environ) as helper, AsyncExitStack() as stack:
        await known(helper)
        stacks = await stack.enter_async_context(open_stacks(helper, arms, NEAR, environ))
        await stacks.renew(1)
        for arm, wanted in (("A", in_first), ("B", in_second)):
            watched = await NativeTestbed(stacks.systems[arm].run_dir).watched()
            assert {one.name for one in watched} == {*PARTS, *wanted}
            await sign_up(stacks.systems[arm].gateway_url, "parts")
    assert await state_of(system) == before


async def test_an_arm_can_be_further_away(system: System) -> None:
    """URLs of its stack are signed for the near end of its own way, also after the arms changed places."""
    before, environ = await state_of(system), environ_of(system)
    arms, links = {"A": ArmWords(), "B": ArmWords(rtt_ms=40)}, {"A": Link(), "B": Link(rtt_ms=40)}
    async with open_helper(environ) as helper, AsyncExitStack() as stack:
        await known(helper)
        stacks = await stack.enter_async_context(open_stacks(helper, arms, links, environ))
        signed = stacks.systems["B"].public_store
        await stacks.renew(1)
        near, far = stacks.systems["A"], stacks.systems["B"]
        assert far.public_store == signed != near.public_store
        assert await fastest_s(f"{far.gateway_url}/ready") >= 0.039
        assert await fastest_s(f"http://{far.public_store}/minio/health/ready") >= 0.039
        assert await status_of(f"{near.gateway_url}/ready") == 200
    assert await state_of(system) == before


async def fastest_s(url: str) -> float:
    """Seconds of the faster one of two answers, on a connection that is open already for the second."""
    times = []
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            began = time.monotonic()
            async with http.get(url) as answer:
                assert answer.status == 200
            times.append(time.monotonic() - began)
    return min(times)


async def status_of(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status


async def test_a_revision_runs_from_its_own_files(system: System) -> None:
    """What is committed against the working tree as it is: nothing of git's own changes."""
    before, environ = await state_of(system), environ_of(system)
    git = snapshot_of_git()
    arms = {"A": ArmWords(revision="HEAD"), "B": ArmWords(revision="")}
    async with open_helper(environ) as helper, AsyncExitStack() as stack:
        await helper.know({arm: words.revision for arm, words in arms.items()})
        stacks = await stack.enter_async_context(open_stacks(helper, arms, NEAR, environ))
        assert len(stacks.revisions["A"]) == 40
        assert stacks.revisions["B"] == ""
        folders = set[Path]()
        for one in stacks.systems.values():
            watched = await NativeTestbed(one.run_dir).watched()
            folders |= set(map(folder_of, watched))
        assert len(folders) == 2
        assert ROOT not in folders
    assert await state_of(system) == before
    assert snapshot_of_git() == git


def folder_of(process: Watched) -> Path:
    return Path(f"/proc/{process.pid}/cwd").readlink()


def snapshot_of_git() -> list[list[str]]:
    """Folders of worktrees, what differs from the last commit, what is stashed."""
    asked = (["worktree", "list", "--porcelain"], ["status", "--porcelain"], ["stash", "list"])
    found = [subprocess.check_output(["git", *one], cwd=ROOT, text=True).splitlines() for one in asked]
    # Somebody may commit in another worktree meanwhile.
    return [[line for line in lines if not line.startswith(("HEAD ", "branch "))] for lines in found]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """An empty run folder that other accounts may pass through."""
    tmp_path.chmod(0o755)
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


async def test_without_a_testbed_databases_and_store_are_started_and_ended(run_dir: Path) -> None:
    environ = {
        **os.environ,
        "VAULTBENCH_RUN_DIR": str(run_dir),
        "VAULTBENCH_ENV_FILE": str(run_dir / "no.env"),
    }
    async with open_helper(environ) as helper, AsyncExitStack() as stack:
        await known(helper)
        arms = {"A": INLINE, "B": DETACHED}
        stacks = await stack.enter_async_context(open_stacks(helper, arms, NEAR, environ))
        shared = {one.pid for one in await stacks.shared.watched()}
        assert len(shared) == 4
    assert not [pid for pid in shared if processes.stat_fields(pid) is not None]
    assert everything_in(run_dir) == ["ab"]


def everything_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]
