"""A Docker engine for tests: real HTTP over a unix socket, answers recorded from a real daemon.

It keeps the little state that the calls change, and refuses what the daemon refuses, in its words.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("engine_replies.json").read_text())
PROJECT = RECORDED["inspect"]["Config"]["Labels"]["com.docker.compose.project"]
SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Box:
    """One container: what the daemon answers about it."""

    inspected: dict[str, Any]
    stats: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.inspected["Id"])

    @property
    def name(self) -> str:
        return str(self.inspected["Name"]).lstrip("/")

    def run(self, running: bool, started_at: str = "2026-11-21T17:00:00.5Z") -> None:
        state = self.inspected["State"]
        state.update(Running=running, Status="running" if running else "exited", StartedAt=started_at)


@dataclass(slots=True)
class FakeEngine:
    """Containers by name, and every call that changed something."""

    boxes: list[Box] = field(default_factory=list)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    created: list[dict[str, Any]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)  # call -> the daemon's words
    printed: dict[str, tuple[int, str]] = field(default_factory=dict)  # program -> exit code and text
    api: str = "1.41"
    followers: list[asyncio.Queue[dict[str, Any] | None]] = field(default_factory=list)

    def add(self, part: str, number: int = 1, **state: Any) -> Box:
        """A running container of a service of the project."""
        box = Box(copy.deepcopy(RECORDED["inspect"]), copy.deepcopy(RECORDED["stats"]))
        box.inspected["Id"] = f"{len(self.boxes) + 1:012d}" + "f" * 52
        box.inspected["Name"] = f"/{PROJECT}-{part}-{number}"
        box.inspected["Config"]["Hostname"] = box.id[:12]
        labels = box.inspected["Config"]["Labels"]
        labels["com.docker.compose.service"] = part
        labels["com.docker.compose.container-number"] = str(number)
        box.inspected["State"].update(state)
        self.boxes.append(box)
        return box

    def find(self, name: str) -> Box:
        for box in self.boxes:
            if name in (box.id, box.name):
                return box
        raise refusal(web.HTTPNotFound, RECORDED["not_found"]["message"].replace("nobody", name))

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/version", self.version)
        root = f"/v{self.api}"
        app.router.add_get(f"{root}/version", self.version)
        app.router.add_get(f"{root}/containers/json", self.list)
        app.router.add_get(f"{root}/containers/{{name}}/json", self.inspect)
        app.router.add_get(f"{root}/containers/{{name}}/stats", self.stats)
        app.router.add_get(f"{root}/images/{{name:.+}}/json", self.image)
        app.router.add_get(f"{root}/events", self.events)
        app.router.add_post(f"{root}/containers/create", self.create)
        app.router.add_post(f"{root}/containers/{{name}}/exec", self.exec_create)
        app.router.add_post(f"{root}/exec/{{id}}/start", self.exec_start)
        app.router.add_get(f"{root}/exec/{{id}}/json", self.exec_inspect)
        app.router.add_post(f"{root}/containers/{{name}}/{{op}}", self.change)
        app.router.add_delete(f"{root}/containers/{{name}}", self.remove)
        return app

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response({**RECORDED["version"], "ApiVersion": self.api})

    async def list(self, request: web.Request) -> web.Response:
        wanted = json.loads(request.query["filters"])["label"]
        found = []
        for box in self.boxes:
            labels = box.inspected["Config"]["Labels"]
            if all(f"{key}={value}" in wanted for key, value in labels.items() if key.endswith(".project")):
                entry = copy.deepcopy(RECORDED["list"])
                state = box.inspected["State"]["Status"]
                entry.update(Id=box.id, Names=[f"/{box.name}"], Labels=labels, State=state)
                found.append(entry)
        return web.json_response(found)

    async def inspect(self, request: web.Request) -> web.Response:
        return web.json_response(self.find(request.match_info["name"]).inspected)

    async def stats(self, request: web.Request) -> web.Response:
        assert (request.query["stream"], request.query["one-shot"]) == ("false", "true")
        box = self.find(request.match_info["name"])
        if not box.inspected["State"]["Running"]:
            return web.json_response({"read": "0001-01-01T00:00:00Z", "cpu_stats": {}, "memory_stats": {}})
        return web.json_response(box.stats)

    async def image(self, _: web.Request) -> web.Response:
        return web.json_response(RECORDED["image"])

    async def events(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.followers.append(queue)
        while (event := await queue.get()) is not None:
            await answer.write(json.dumps(event).encode() + b"\n")
        return answer

    async def create(self, request: web.Request) -> web.Response:
        self._note("create", request)
        body = await request.json()
        self.created.append(body)
        config = {key: value for key, value in body.items() if key not in ("HostConfig", "NetworkingConfig")}
        box = self.add("new")
        box.inspected.update(Name=f"/{request.query['name']}", Config=config, HostConfig=body["HostConfig"])
        box.run(False)
        return web.json_response({"Id": box.id, "Warnings": []}, status=201)

    async def exec_create(self, request: web.Request) -> web.Response:
        self.find(request.match_info["name"])
        return web.json_response({"Id": (await request.json())["Cmd"][0]}, status=201)

    async def exec_start(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=101, headers={"Connection": "Upgrade", "Upgrade": "tcp"})
        await answer.prepare(request)
        text = self.printed.get(request.match_info["id"], (127, "not found"))[1].encode()
        # Two pieces, as a daemon sends them: standard output, then standard error.
        half = len(text) // 2
        assert request.transport is not None
        for stream, piece in ((1, text[:half]), (2, text[half:])):
            request.transport.write(bytes([stream, 0, 0, 0]) + len(piece).to_bytes(4, "big") + piece)
        request.transport.close()
        return answer

    async def exec_inspect(self, request: web.Request) -> web.Response:
        code = self.printed.get(request.match_info["id"], (127, ""))[0]
        return web.json_response({"ExitCode": code, "ProcessConfig": {"tty": False}})

    async def change(self, request: web.Request) -> web.Response:
        op = request.match_info["op"]
        box = self.find(request.match_info["name"])
        self._note(op, request)
        if op == "rename":
            box.inspected["Name"] = f"/{request.query['name']}"
        elif op in ("kill", "stop"):
            box.run(False)
        elif op in ("start", "restart"):
            box.run(True, f"2026-11-21T17:00:{len(self.calls):02d}.25Z")
        elif op in ("pause", "unpause"):
            box.inspected["State"]["Status"] = "paused" if op == "pause" else "running"
        return web.json_response({"StatusCode": 0}) if op == "wait" else web.Response(status=204)

    async def remove(self, request: web.Request) -> web.Response:
        self._note("remove", request)
        self.boxes.remove(self.find(request.match_info["name"]))
        return web.Response(status=204)

    def _note(self, op: str, request: web.Request) -> None:
        if op in self.refuse:
            raise refusal(web.HTTPInternalServerError, self.refuse[op])
        self.calls.append((op, dict(request.query)))


def refusal(kind: type[web.HTTPError], message: str) -> web.HTTPError:
    """As the daemon sends one: its type of content names no charset."""
    answer = kind(text=json.dumps({"message": message}), content_type="application/json")
    answer.charset = None
    return answer


@asynccontextmanager
async def serving(engine: FakeEngine, folder: Path) -> AsyncIterator[str]:
    """The address of a socket on which the engine answers."""
    runner = web.AppRunner(engine.app(), shutdown_timeout=0.1)
    await runner.setup()
    path = str(folder / "engine.sock")
    await web.UnixSite(runner, path).start()
    try:
        yield f"unix://{path}"
    finally:
        for queue in engine.followers:
            queue.put_nowait(None)
        await runner.cleanup()
