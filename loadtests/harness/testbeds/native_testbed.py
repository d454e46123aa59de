"""The system as plain processes of this host: the supervisor's state and control, and ``/proc``."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from loadtests.harness.testbeds import processes
from loadtests.harness.testbeds.processes import Watched
from loadtests.harness.testbeds.testbed import Act, PartState, SystemNotUp, Testbed, TestbedRefused

CONTROL_TIMEOUT_S = 90.0
FAMILIES = ("pg-", "nginx")  # parts whose children do the work


@dataclass(frozen=True, slots=True)
class NativeTestbed(Testbed):
    """The supervisor's processes."""

    run_dir: Path
    runtime: ClassVar[str] = "native"
    run_mode: ClassVar[str] = "native processes on one host"
    observing: ClassVar[str] = "each process once a second; waits for a database every three"

    async def parts(self) -> dict[str, PartState]:
        return read_parts(self.run_dir)

    async def versions(self) -> dict[str, str]:
        return {name: part.version for name, part in read_parts(self.run_dir).items() if part.version}

    async def watched(self) -> list[Watched]:
        found = []
        for name, part in read_state(self.run_dir)["parts"].items():
            pid = part.get("pid")
            ticks = processes.start_ticks(pid) if pid else None
            if pid and ticks is not None:
                found.append(Watched(name, pid, ticks, family=name.startswith(FAMILIES)))
        return found

    async def act(self, what: Act, part: str) -> None:
        await control(self.run_dir, {"op": what, "part": part})

    async def restart(self, part: str, environment: Mapping[str, str]) -> None:
        await control(self.run_dir, {"op": "restart", "part": part, "env": dict(environment)})


@dataclass(frozen=True, slots=True)
class SharedParts(NativeTestbed):
    """Databases and store of a testbed whose services are not looked at: those of other stacks use them."""

    names: frozenset[str] = frozenset()

    async def parts(self) -> dict[str, PartState]:
        return {name: part for name, part in read_parts(self.run_dir).items() if name in self.names}

    async def watched(self) -> list[Watched]:
        # Not super(): a dataclass with slots is another class than the one that it is written in.
        return [one for one in await NativeTestbed.watched(self) if one.name in self.names]


def read_parts(run_dir: Path) -> dict[str, PartState]:
    """Parts as the supervisor last wrote them. Raises ``SystemNotUp``."""
    return {
        name: PartState(str(part.get("state", "")), str(part.get("version") or ""))
        for name, part in read_state(run_dir)["parts"].items()
    }


def read_state(run_dir: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((run_dir / "state.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise SystemNotUp("The system is not up. Start it with: make up") from None
    supervisor = state.get("supervisor_pid")
    if supervisor and processes.stat_fields(supervisor) is None:
        raise SystemNotUp("The system is not up any more (its supervisor is gone). Start it with: make up")
    return state


async def control(run_dir: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """One request to the supervisor, e.g. ``{"op": "restart", "part": "upload", "env": {...}}``.

    Raises ``SystemNotUp`` if nobody listens and ``TestbedRefused``.
    """
    answer = await asyncio.wait_for(asyncio.to_thread(_ask, run_dir, request), CONTROL_TIMEOUT_S)
    if not answer.get("ok"):
        raise TestbedRefused(f"the supervisor refused {request.get('op')}: {answer.get('error')}")
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
