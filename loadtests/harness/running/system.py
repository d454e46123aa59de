"""Where the running system is: ports, secrets, processes, programs. Found, never started."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from loadtests.harness.running import connections, processes
from loadtests.harness.running.connections import Endpoints

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ("gateway", "auth", "upload", "files")
CLUSTERS = ("pg-auth", "pg-upload", "pg-files")
PARTS = (*SERVICES, *CLUSTERS, "minio")
CONTROL_TIMEOUT_S = 90.0


class SystemNotUp(Exception):
    """There is nothing to measure; the message is for people and names the command that helps."""


class SupervisorRefused(Exception):
    """The supervisor did not do what was asked; the message holds its reason."""


@dataclass(frozen=True, slots=True)
class System:
    """One running testbed on this machine."""

    root: Path
    run_dir: Path
    gateway_url: str
    admin_urls: Mapping[str, str]
    endpoints: Endpoints
    public_store: str  # host:port that presigned URLs are signed for
    environ: Mapping[str, str] = field(repr=False)

    def parts(self) -> dict[str, dict[str, Any]]:
        """State of every part as the supervisor last wrote it."""
        return dict(read_state(self.run_dir)["parts"])

    def watched(self) -> list[processes.Watched]:
        """The parts that run now, with the start time that goes with their pid."""
        found = []
        for name, part in self.parts().items():
            pid = part.get("pid")
            ticks = processes.start_ticks(pid) if pid else None
            if pid and ticks is not None:
                found.append(processes.Watched(name, pid, ticks, family=name in CLUSTERS))
        return found


def find_system(environ: Mapping[str, str], root: Path = ROOT) -> System:
    """The system of this checkout. ``VAULTBENCH_RUN_DIR`` names another state folder.

    Raises ``SystemNotUp`` if it does not run.
    """
    run_dir = Path(environ.get("VAULTBENCH_RUN_DIR") or root / ".run")
    settings = connections.read_environment(root, environ)
    state = read_state(run_dir)
    down = [name for name in PARTS if state["parts"].get(name, {}).get("state") != "healthy"]
    if down:
        raise SystemNotUp(f"The system is not up ({', '.join(down)} not healthy). Start it with: make up")
    try:
        endpoints = connections.read_endpoints(settings)
    except connections.ConnectionsError as error:
        raise SystemNotUp(f"The settings of the system are incomplete: {error}") from error
    ports = {name: settings[f"{name.upper()}_PORT"] for name in SERVICES}
    return System(
        root=root,
        run_dir=run_dir,
        gateway_url=f"http://127.0.0.1:{ports['gateway']}",
        admin_urls={name: f"http://127.0.0.1:{_admin_port(settings, name)}" for name in SERVICES},
        endpoints=endpoints,
        public_store=settings.get("S3_PUBLIC_ENDPOINT", f"http://localhost:{settings['S3_PORT']}").split(
            "//"
        )[-1],
        environ=settings,
    )


def _admin_port(settings: Mapping[str, str], name: str) -> int:
    explicit = settings.get(f"{name.upper()}_ADMIN_PORT")
    return int(explicit) if explicit else int(settings[f"{name.upper()}_PORT"]) + 10


def read_state(run_dir: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((run_dir / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SystemNotUp("The system is not up. Start it with: make up") from None
    supervisor = state.get("supervisor_pid")
    if supervisor and processes.stat_fields(supervisor) is None:
        raise SystemNotUp("The system is not up any more (its supervisor is gone). Start it with: make up")
    return state


async def settings_of(http: aiohttp.ClientSession, admin_url: str) -> dict[str, Any]:
    """What a process says of itself: service, instance, pid, start, all settings without secrets."""
    async with http.get(f"{admin_url}/settings", timeout=aiohttp.ClientTimeout(total=5)) as answer:
        answer.raise_for_status()
        content: dict[str, Any] = await answer.json()
        return content


async def control(run_dir: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """One request to the supervisor, e.g. ``{"op": "restart", "part": "upload", "env": {...}}``.

    Raises ``SystemNotUp`` if nobody listens and ``SupervisorRefused``.
    """
    answer = await asyncio.wait_for(asyncio.to_thread(_ask, run_dir, request), CONTROL_TIMEOUT_S)
    if not answer.get("ok"):
        raise SupervisorRefused(f"the supervisor refused {request.get('op')}: {answer.get('error')}")
    return answer


def _ask(run_dir: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    # A socket's path may have 107 bytes only; through the folder's descriptor it is always short.
    folder = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(CONTROL_TIMEOUT_S)
            client.connect(f"/proc/self/fd/{folder}/ctl.sock")
            client.sendall(json.dumps(dict(request)).encode() + b"\n")
            with client.makefile("r", encoding="utf-8") as lines:
                content: dict[str, Any] = json.loads(
                    lines.readline() or '{"ok": false, "error": "no answer"}'
                )
                return content
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise SystemNotUp("The supervisor does not listen. Start the system with: make up") from error
    finally:
        os.close(folder)


def find_k6(environ: Mapping[str, str], root: Path = ROOT) -> Path:
    """The k6 program: ``K6_BIN``, else the newest one in the tool cache, else on the path."""
    if environ.get("K6_BIN"):
        return Path(environ["K6_BIN"])
    cache_home = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    caches = [Path(environ["VAULTBENCH_TOOLS"])] if environ.get("VAULTBENCH_TOOLS") else []
    for cache in (*caches, cache_home / "vaultbench", root / ".tools"):
        found = sorted((cache / "k6").glob("*/bin/k6"), key=lambda path: path.stat().st_mtime)
        if found:
            return found[-1]
    on_path = shutil.which("k6", path=environ.get("PATH"))
    if on_path is None:
        raise SystemNotUp("k6 is not installed. Install it with: make up")
    return Path(on_path)
