"""The Docker engine, asked by aiodocker: found, new enough, and each failure a sentence."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiodocker import Docker, DockerError

SOCKET = "unix:///var/run/docker.sock"
OLDEST = (1, 41)  # Docker 20.10: the first that answers statistics at once instead of after a second
TIMEOUT_S = 30.0
TIMEOUT = aiohttp.ClientTimeout(total=TIMEOUT_S)
FAILURES = (DockerError, aiohttp.ClientError, TimeoutError)  # whatever a call of aiodocker may raise

Json = dict[str, Any]


@asynccontextmanager
async def docker_errors(raised: type[Exception], what: str) -> AsyncIterator[None]:
    """Raises ``raised`` with ``what`` and the engine's own words for a call that fails. Also a decorator."""
    try:
        yield
    except FAILURES as error:
        raise raised(f"{what}: {_words(error)}") from error


def _words(error: Exception) -> str:
    if isinstance(error, DockerError):
        return error.message
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


@asynccontextmanager
async def open_docker(url: str = "") -> AsyncIterator[Docker]:
    """An engine that answers and is new enough: at ``url``, else at ``DOCKER_HOST``, else the usual socket.

    Raises one of ``FAILURES``.
    """
    url = url or os.environ.get("DOCKER_HOST") or SOCKET
    try:
        docker = Docker(url, timeout=TIMEOUT)
    except ValueError as error:
        raise DockerError(0, f"{url} is no address of a Docker engine") from error
    async with docker:
        api = str((await docker.version())["ApiVersion"])
        if tuple(int(part) for part in api.split(".")) < OLDEST:
            raise DockerError(0, f"the Docker engine speaks API {api}; 1.41 (Docker 20.10) is needed")
        yield docker


async def statistics(docker: Docker, container: str) -> Json:
    """What the container's control group says now; aiodocker's own call waits for two looks of the engine."""
    url = f"{docker.docker_host}/{docker.api_version}/containers/{container}/stats"
    async with docker.session.get(url, params={"stream": "false", "one-shot": "true"}) as answer:
        content: Json = await answer.json()
        if answer.status != 200:
            raise DockerError(answer.status, str(content.get("message", answer.status)))
        return content


async def output_of(docker: Docker, container: str, command: Sequence[str]) -> tuple[int, str]:
    """Exit code of a command inside the container, and what it printed."""
    execution = await docker.containers.container(container).exec(command)
    printed = bytearray()
    async with asyncio.timeout(TIMEOUT_S), execution.start(detach=False) as stream:
        while (message := await stream.read_out()) is not None:
            printed += message.data
    code = (await execution.inspect())["ExitCode"]
    return (-1 if code is None else int(code)), printed.decode(errors="replace")
