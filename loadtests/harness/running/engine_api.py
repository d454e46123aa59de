"""The Docker Engine API over its unix socket: just the calls that measuring and faults need.

Paths carry the version that the daemon itself announces, as its own clients do; 1.41 (Docker 20.10) is the
oldest that answers statistics at once instead of after a second.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

SOCKET = "/var/run/docker.sock"
OLDEST = (1, 41)
TIMEOUT_S = 30.0
FRAME_BYTES = 8
STOP_GRACE_S = 40  # longer than a process may drain its requests

Json = dict[str, Any]


class EngineError(Exception):
    """The engine refused or could not be reached; ``status`` is 0 when it did not answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine. Made by ``open_engine``. Every call raises ``EngineError``."""

    http: aiohttp.ClientSession = field(repr=False)
    api: str  # e.g. "1.47"

    async def version(self) -> Json:
        return dict(await self.get("/version"))

    async def containers(self, **labels: str) -> list[Json]:
        """Containers with all these labels, stopped ones too; ``_`` in a name stands for a dot."""
        wanted = [f"{name.replace('_', '.')}={value}" for name, value in labels.items()]
        return list(await self.get("/containers/json", all="1", filters=json.dumps({"label": wanted})))

    async def inspect(self, container: str) -> Json:
        return dict(await self.get(f"/containers/{container}/json"))

    async def stats(self, container: str) -> Json:
        """What the container's control group says now."""
        return dict(
            await self.get(f"/containers/{container}/stats", **{"stream": "false", "one-shot": "true"})
        )

    async def image(self, image: str) -> Json:
        return dict(await self.get(f"/images/{image}/json"))

    async def kill(self, container: str) -> None:
        await self.post(f"/containers/{container}/kill")

    async def wait(self, container: str) -> None:
        """Until it does not run."""
        await self.post(f"/containers/{container}/wait")

    async def pause(self, container: str) -> None:
        await self.post(f"/containers/{container}/pause")

    async def unpause(self, container: str) -> None:
        await self.post(f"/containers/{container}/unpause")

    async def start(self, container: str) -> None:
        await self.post(f"/containers/{container}/start")

    async def stop(self, container: str, grace_s: int = STOP_GRACE_S) -> None:
        await self.post(f"/containers/{container}/stop", timeout_s=grace_s + TIMEOUT_S, t=str(grace_s))

    async def restart(self, container: str, grace_s: int = STOP_GRACE_S) -> None:
        await self.post(f"/containers/{container}/restart", timeout_s=grace_s + TIMEOUT_S, t=str(grace_s))

    async def rename(self, container: str, name: str) -> None:
        await self.post(f"/containers/{container}/rename", name=name)

    async def remove(self, container: str) -> None:
        await self._call("DELETE", f"/containers/{container}", {"force": "true"})

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        """A new container, not started; its id."""
        answer = await self.post("/containers/create", body=body, name=name)
        return str(answer["Id"])

    async def run(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        """Exit code of a command inside the container, and what it printed."""
        wanted = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, "Tty": False}
        made = await self.post(f"/containers/{container}/exec", body=wanted)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        path, body = f"/exec/{made['Id']}/start", {"Detach": False, "Tty": False}
        async with self._asked("POST", path, {}, limits=timeout, body=body) as answer:
            text = unframed(await answer.read()).decode(errors="replace")
        code = (await self.get(f"/exec/{made['Id']}/json")).get("ExitCode")
        return (-1 if code is None else int(code)), text

    async def get(self, path: str, **query: str) -> Any:
        return await self._call("GET", path, query)

    async def post(
        self, path: str, *, body: Mapping[str, Any] | None = None, timeout_s: float = TIMEOUT_S, **query: str
    ) -> Any:
        return await self._call("POST", path, query, body=body, timeout_s=timeout_s)

    async def events(self, since: float, **filters: list[str]) -> AsyncIterator[Json]:
        """Events from an instant on, for as long as somebody reads them."""
        query = {"since": f"{since:.9f}", "filters": json.dumps(filters)}
        endless = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S)
        async with self._asked("GET", "/events", query, limits=endless) as answer:
            async for line in answer.content:
                if line.strip():
                    yield json.loads(line)

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        body: Mapping[str, Any] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Any:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with self._asked(method, path, query, limits=timeout, body=body) as answer:
            content = await answer.read()
            return json.loads(content) if content.strip() else {}

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        limits: aiohttp.ClientTimeout,
        body: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        where = f"{method} {path}"
        try:
            async with self.http.request(
                method, f"http://engine/v{self.api}{path}", params=query, json=body, timeout=limits
            ) as answer:
                if answer.status >= 400:
                    raise EngineError(f"{where}: {await _reason(answer)}", answer.status)
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineError(f"{where}: {error or type(error).__name__}") from error


def unframed(raw: bytes) -> bytes:
    """What a command printed: without a terminal, pieces of its two streams follow each other, each behind
    a byte that names the stream, three empty ones and four with the length."""
    pieces, at = [], 0
    while at + FRAME_BYTES <= len(raw):
        length = int.from_bytes(raw[at + 4 : at + FRAME_BYTES], "big")
        pieces.append(raw[at + FRAME_BYTES : at + FRAME_BYTES + length])
        at += FRAME_BYTES + length
    return b"".join(pieces)


async def _reason(answer: aiohttp.ClientResponse) -> str:
    """The engine's own words."""
    text = await answer.text()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status} {text.strip()[:200]}"


@asynccontextmanager
async def open_engine(path: str = SOCKET) -> AsyncIterator[Engine]:
    """An engine that answers and is new enough. Raises ``EngineError``."""
    connector = aiohttp.UnixConnector(path=path, limit=32)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Engine(http, await _negotiated(http, path))


async def _negotiated(http: aiohttp.ClientSession, path: str) -> str:
    try:
        async with http.get("http://engine/_ping", timeout=aiohttp.ClientTimeout(total=5)) as answer:
            api = answer.headers.get("Api-Version", "")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise EngineError(f"no Docker engine answers at {path}: {error or type(error).__name__}") from error
    try:
        version = tuple(int(part) for part in api.split("."))
    except ValueError:
        version = ()
    if version < OLDEST:
        raise EngineError(
            f"the Docker engine speaks API {api or 'of no version'}; 1.41 (Docker 20.10) is needed"
        )
    return api
