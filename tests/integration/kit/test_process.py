"""A process's life, seen from outside: how it refuses to start and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import asyncpg
import pytest

from compose import ports
from services.auth.app import MIGRATIONS
from services.kit.migrate import migrate
from services.kit.refusal import EXIT_CODE
from tests.processes import ROOT

pytestmark = pytest.mark.integration

AUTH = {
    "JWT_SECRET": "j" * 32,
    "INTERNAL_KEY_GATEWAY_AUTH": "g" * 32,
    "INTERNAL_KEY_FILES_AUTH": "f" * 32,
    "PATH": os.environ["PATH"],
}


async def start(environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.auth",
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("module", ["gateway", "services.auth", "services.upload", "services.files"])
async def test_without_settings_each_says_all_that_is_missing(module: str) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LOG_LEVEL": "loud"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await child.communicate()
    text = said.decode()
    assert child.returncode == EXIT_CODE
    assert "Traceback" not in text
    assert "PORT is not set" in text
    assert "LOG_LEVEL is 'loud'" in text
    assert text.count(" is not set: expected ") >= 4


async def test_data_of_another_version_ends_it_with_one_line_and_the_remedy(database_url: str) -> None:
    await migrate(database_url, MIGRATIONS, "test")
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE schema_migrations SET checksum = 'other' WHERE version = 1")
    await connection.close()
    port, admin_port = ports.free(2)
    child = await start(
        {**AUTH, "DATABASE_URL": database_url, "PORT": str(port), "ADMIN_PORT": str(admin_port)}
    )
    _, said = await asyncio.wait_for(child.communicate(), 30)
    (line,) = said.decode().splitlines()
    assert line.startswith("auth: migration 1 (")
    assert line.endswith(
        "changed after it was applied: `make clean` deletes the data, or start the code that wrote it"
    )
    assert child.returncode == EXIT_CODE


async def test_a_taken_port_ends_it_with_one_line(database_url: str) -> None:
    port, admin_port = ports.free(2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen(1)
        child = await start(
            {**AUTH, "DATABASE_URL": database_url, "PORT": str(port), "ADMIN_PORT": str(admin_port)}
        )
        _, said = await asyncio.wait_for(child.communicate(), 30)
    assert child.returncode == 1
    assert "Traceback" not in said.decode()
    assert "auth: cannot start" in said.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_lets_running_requests_end(database_url: str, number: signal.Signals) -> None:
    """The request in flight is answered, new connections are refused, the exit code is 0."""
    port, admin_port = ports.free(2)
    child = await start(
        {**AUTH, "DATABASE_URL": database_url, "PORT": str(port), "ADMIN_PORT": str(admin_port)}
    )
    assert child.stdout is not None
    while b'"event":"started"' not in await child.stdout.readline():
        pass
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /login HTTP/1.1\r\nHost: auth\r\nX-Service-Token: x\r\nContent-Length: 2\r\n\r\n")
    assert b"401" in await reader.readline()
    idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
    child.send_signal(number)
    rest, _ = await asyncio.wait_for(child.communicate(), 30)
    assert child.returncode == 0
    assert b'"event":"stopped"' in rest
    assert await idle_reader.read() == b""
    for each in (writer, idle_writer):
        each.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
