"""A real MinIO for these tests, on a free loopback port, and clients of it."""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.kit.clock import World
from services.kit.s3 import S3Address, S3Client, open_client
from services.kit.s3.bucket import create_bucket

READY_WITHIN_S = 30.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/minio/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _wait_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not _ready(port):
        assert process.poll() is None, "MinIO ended at start"
        assert time.monotonic() < deadline, "MinIO was not ready in time"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Address]:
    program = os.environ.get("MINIO_BIN") or shutil.which("minio")
    if program is None:
        pytest.skip("no MinIO program: set MINIO_BIN")
    port, folder = _free_port(), tmp_path_factory.mktemp("minio")
    keys = {"MINIO_ROOT_USER": "access" + secrets.token_hex(4), "MINIO_ROOT_PASSWORD": secrets.token_hex(16)}
    environment = {**os.environ, **keys, "MINIO_UPDATE": "off", "MINIO_SITE_REGION": "us-east-1"}
    command = [program, "server", "--quiet", "--address", f"127.0.0.1:{port}", str(folder / "data")]
    with Path(folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_ready(process, port)
            yield S3Address(
                endpoint=f"http://127.0.0.1:{port}",
                public_endpoint=f"http://localhost:{port}",
                bucket="test-files",
                access_key=keys["MINIO_ROOT_USER"],
                secret_key=keys["MINIO_ROOT_PASSWORD"],
            )
        finally:
            process.terminate()
            process.wait(10)


class Observed(list[tuple[str, str]]):
    """The observer of a client: what was asked and how it ended."""

    def __call__(self, op: str, result: str, seconds: float) -> None:
        assert seconds >= 0
        self.append((op, result))


@pytest.fixture
def observed() -> Observed:
    return Observed()


@pytest.fixture
async def store(address: S3Address, observed: Observed) -> AsyncIterator[S3Client]:
    await create_bucket(address)
    async with open_client(address, World(), observed) as client:
        yield client


@pytest.fixture
def key() -> str:
    return f"users/{secrets.token_hex(4)}/{secrets.token_hex(8)}"
