"""Several processes in one container: who gets what, who is started again, and how all end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.kit import workers
from services.upload.settings import Settings as UploadSettings
from tests.environment import load
from tests.unit.compose.test_topology import parts

pytestmark = pytest.mark.unit
ROOT = Path(workers.__file__).parents[2]
WITHIN_S = 30.0
# A worker that writes its name and its settings into a file, and waits.
WORKER = """
import os, signal, sys, time
name = os.environ["INSTANCE"]
open(f"{name}.new", "w").write(f"{os.getpid()} {os.environ['PORT']} {os.environ['ADMIN_PORT']}")
signal.signal(signal.SIGTERM, lambda *_: (open(f"{name}.stopped", "w").close(), sys.exit(0)))
os.rename(f"{name}.new", name)
if os.environ.get("FAILS") == name:
    sys.exit(2)
while True:
    time.sleep(600)
"""


def test_each_gets_a_port_an_admin_port_and_a_name() -> None:
    given = {"PORTS": "9002,9202", "ADMIN_PORTS": "9012,9212", "INSTANCE": "upload-1", "LOG_LEVEL": "info"}
    found = workers.environments(given)
    assert [(one["PORT"], one["ADMIN_PORT"], one["INSTANCE"]) for one in found] == [
        ("9002", "9012", "upload-1"),
        ("9202", "9212", "upload-2"),
    ]
    assert all(one["LOG_LEVEL"] == "info" and one["DRAIN_S"] == workers.DRAIN_S for one in found)
    assert not any(name in one for one in found for name in ("REUSE_PORT", "PORTS", "ADMIN_PORTS"))


def test_equal_ports_are_shared_and_one_alone_is_as_it_was() -> None:
    given = {"PORTS": "9000,9000", "ADMIN_PORTS": "9010,9210", "INSTANCE": "gateway-1", "DRAIN_S": "0.5"}
    assert [(one["REUSE_PORT"], one["DRAIN_S"]) for one in workers.environments(given)] == [("1", "0.5")] * 2
    (alone,) = workers.environments({"PORTS": "9002", "ADMIN_PORTS": "9012", "INSTANCE": "upload-2"})
    assert alone == {"PORT": "9002", "ADMIN_PORT": "9012", "INSTANCE": "upload-2"}


def test_it_gives_what_the_other_start_up_gives() -> None:
    natively = parts(WORKERS="2")
    given = {"PORTS": "9002,9202", "ADMIN_PORTS": "9012,9212", "INSTANCE": "upload-1"}
    for name, own in zip(("upload", "upload-2"), workers.environments(given), strict=True):
        settings = load(UploadSettings, {**natively[name].env, **own})
        assert settings == load(UploadSettings, dict(natively[name].env))


@asynccontextmanager
async def started(folder: Path, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The parent with two workers that write into the folder."""
    (folder / "worker.py").write_text(WORKER)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{folder}", "INSTANCE": "files-1"}
    env |= {"PORTS": "1,2", "ADMIN_PORTS": "11,12", **more}
    command = (sys.executable, "-m", "services.kit.workers", "worker")
    parent = await asyncio.create_subprocess_exec(*command, cwd=folder, env=env)
    try:
        yield parent
    finally:
        if parent.returncode is None:
            parent.terminate()
        await asyncio.wait_for(parent.wait(), WITHIN_S)


def content(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def told(path: Path, other_than: Mapping[str, str] | None = None) -> str:
    """What a worker wrote, once it is not what was there."""
    before = ("", (other_than or {}).get(path.name))
    async with asyncio.timeout(WITHIN_S):
        while (text := content(path)) in before:
            await asyncio.sleep(0.01)
    return text


async def test_a_stop_signal_reaches_all_and_all_end_well(tmp_path: Path) -> None:
    async with started(tmp_path) as parent:
        assert (await told(tmp_path / "files-1")).split()[1:] == ["1", "11"]
        assert (await told(tmp_path / "files-2")).split()[1:] == ["2", "12"]
        parent.terminate()
        assert await asyncio.wait_for(parent.wait(), WITHIN_S) == 0
    assert (tmp_path / "files-1.stopped").exists()
    assert (tmp_path / "files-2.stopped").exists()


async def test_one_that_dies_is_started_again_and_the_other_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, so that the time in which a death is a failed start can be none."""
    monkeypatch.setattr(workers, "PROVEN_S", 0.0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "worker.py").write_text(WORKER)
    given = {"PATH": os.environ["PATH"], "PORTS": "1,2", "ADMIN_PORTS": "11,12", "INSTANCE": "files-1"}
    running = asyncio.create_task(workers.run([sys.executable, "worker.py"], workers.environments(given)))
    before = {name: await told(tmp_path / name) for name in ("files-1", "files-2")}
    os.kill(int(before["files-1"].split()[0]), signal.SIGKILL)
    again = await told(tmp_path / "files-1", before)
    assert again.split()[1:] == ["1", "11"]
    assert (tmp_path / "files-2").read_text() == before["files-2"]
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(running, WITHIN_S) == 0


async def test_one_that_cannot_start_ends_all_with_its_code(tmp_path: Path) -> None:
    async with started(tmp_path, FAILS="files-2") as parent:
        assert await asyncio.wait_for(parent.wait(), WITHIN_S) == 2


async def test_alone_it_becomes_the_module_itself(tmp_path: Path) -> None:
    async with started(tmp_path, PORTS="1", ADMIN_PORTS="11") as parent:
        assert (await told(tmp_path / "files-1")).split()[0] == str(parent.pid)
