"""After all the other tests and one sweep, store, databases and spool agree about what there is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from loadtests.harness.testbeds.system import ROOT
from tests.agreement import disagreements, swept
from tests.contract import flows
from tests.contract.api import Api
from tests.contract.conftest import MakeUser
from tests.contract.flows import MIB, Multipart, Proxy, Single
from tests.stack import System

pytestmark = pytest.mark.contract


async def abandon(user: Api) -> str:
    """One upload of each strategy, given up half way without a word; the id of the proxied one."""
    data = flows.payload(12 * MIB)
    proxied = await flows.start(Proxy(5 * MIB), user, data)
    await Proxy(5 * MIB).send(proxied, 0)
    await flows.start(Multipart(), user, data)
    single = await flows.start(Single(), user, data[:100])
    await Single().send(single, 0)
    return proxied.uuid


def make_sweep(system: System, **words: str) -> subprocess.CompletedProcess[str]:
    """`make sweep` with these words."""
    environ = {**os.environ, **system.stack.env, "VAULTBENCH_RUN_DIR": str(system.stack.run_dir), **words}
    return subprocess.run(
        [sys.executable, "-m", "loadtests", "sweep"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


async def test_the_operator_sweeps_by_command(system: System, make_user: MakeUser) -> None:
    user = await make_user()
    upload = await abandon(user)
    status = {"upload_uuid": upload}
    looked = await asyncio.to_thread(make_sweep, system, DRY_RUN="1", OLDER_THAN_S="0")
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert "would go" in looked.stdout
    assert (await user.ok("GET", "/api/upload/status", params=status))["status"] == "pending"
    done = await asyncio.to_thread(make_sweep, system, OLDER_THAN_S="0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "removed" in done.stdout
    assert (await user.ok("GET", "/api/upload/status", params=status))["status"] == "aborted"


@pytest.mark.parametrize("words", [{"OLDER_THAN_S": "-1"}, {"INTERNAL_KEY_OPERATOR_FILES": ""}])
async def test_the_command_says_what_is_wrong(system: System, words: dict[str, str]) -> None:
    done = await asyncio.to_thread(make_sweep, system, **words)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr


async def test_after_one_sweep_everything_agrees(system: System, make_user: MakeUser) -> None:
    await abandon(await make_user())
    await swept(system)
    assert await disagreements(system) == []
