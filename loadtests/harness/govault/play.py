"""One ramp: k6 from its start to its end, looked at every second, cut where memory or disk would run out."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.harness.background import tasks
from loadtests.harness.clients.users import Identity
from loadtests.harness.govault.records import Course, Ramp
from loadtests.harness.govault.source import FILE_BYTES, PEAK_VUS, UPLOAD_METHODS, is_success
from loadtests.harness.k6.console import read_tail
from loadtests.harness.load import SCRIPTS, Files, LoadFailed, start_k6, stop_k6
from loadtests.harness.plan.planning import GIB
from loadtests.harness.plan.room import available_bytes
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.run import sites_of
from loadtests.harness.running.rig import Rig
from loadtests.harness.watch import Watcher

SCRIPT = SCRIPTS / "govault" / "study.js"
LOOK_S = 1.0
LEAST_FREE_BYTES = 512 * 1024**2  # of memory; below it the system that is measured would suffer


@dataclass(slots=True)
class Seen:
    """What the lines of a ramp say so far."""

    console: Path
    requests: int = 0
    failed: int = 0  # requests
    acked: int = 0
    vus: set[int] = field(default_factory=set)
    first_at: float | None = None
    _offset: int = 0

    def read(self) -> None:
        raw, self._offset = read_tail(self.console, self._offset)
        for text in raw:
            with contextlib.suppress(ValueError, KeyError, TypeError):  # the audit says that it is not whole
                self._count(json.loads(text))

    def _count(self, line: dict[str, Any]) -> None:
        if line["e"] == "o":
            self.acked += line["ok"]
        elif line.get("step") == "round":
            self.vus.add(line["u"])
            self.first_at = self.first_at or line["t"] / 1000
        elif line["e"] == "q":
            self.requests += 1
            self.failed += not is_success(line["st"])


def users_file(path: Path, users: Sequence[Identity]) -> Path:
    """The users of one ramp for k6; with their passwords, so it belongs into a private folder."""
    facts = [{"email": user.email, "password": user.password, "token": user.token} for user in users]
    path.write_text(json.dumps(facts), encoding="utf-8")
    return path


async def play(
    rig: Rig, course: Course, number: int, writer: BundleWriter, tell: Callable[[Seen], None]
) -> Ramp:
    """Run the ramp of this number (from 1) under the first of the rig's users; an interrupt ends it.

    ``tell`` is called every second. Raises ``LoadFailed`` where k6 ended without a single round.
    """
    ramp = course.ramps[number - 1]
    files = Files.within(writer.k6_folder / ramp.stretch)
    told = {
        "GATEWAY_URL": rig.hold.gateway_url,
        "UPLOAD_METHOD": UPLOAD_METHODS[ramp.method],
        "SCALE": ramp.vus / PEAK_VUS,
        "TIME": course.time,
        "USERS_FILE": users_file(rig.work_dir / "users.json", rig.hold.identities[: ramp.vus]),
        "RAMP": number,
        "PREFIX": f"{course.run}.{ramp.stretch}",
        "SUMMARY": files.summary,
        **await rig.hosts(),
    }
    seen = Seen(files.console)
    process = await start_k6(rig.k6_program, SCRIPT, files, told, cores=rig.cores.generator)
    watcher = Watcher(sites_of(rig), rig.http, process.pid, rig.activity.looked)
    try:
        stopped = await _watched(rig, course, process, watcher=watcher, seen=seen, tell=tell)
    finally:
        await stop_k6(process)
        writer.append_looks(watcher.take())
    seen.read()
    if seen.first_at is None and not rig.stop.is_set():
        raise LoadFailed(f"k6 ended with {process.returncode} before a single round: {files.log_tail()}")
    if process.returncode and stopped is None:
        stopped = "generator", f"k6 ended with {process.returncode}: {files.log_tail()}"
    return ramp.model_copy(
        update={
            "began_at": seen.first_at,
            "ended_at": rig.now(),
            "iterations": iterations_of(files.summary),
            "stopped": stopped[0] if stopped else None,
            "why": stopped[1] if stopped else "",
        }
    )


def why_stopped(rig: Rig) -> tuple[str, str]:
    """Who ended the study."""
    return "interrupt", "Ctrl-C" if rig.interrupted else "the clock was set"


async def _watched(
    rig: Rig,
    course: Course,
    process: asyncio.subprocess.Process,
    *,
    watcher: Watcher,
    seen: Seen,
    tell: Callable[[Seen], None],
) -> tuple[str, str] | None:
    """Until k6 ends by itself (nothing) or must be ended (why)."""
    async with tasks(process.wait(), rig.stop.wait()) as (ended, interrupted):
        await watcher.meet()
        while True:
            await asyncio.wait({ended, interrupted}, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return None
            await watcher.look()
            seen.read()
            tell(seen)
            if interrupted.done():
                return why_stopped(rig)
            if found := exhausted(seen, course.disk_bytes, available_bytes()):
                return found


def exhausted(seen: Seen, disk_bytes: int, memory_bytes: int) -> tuple[str, str] | None:
    """Whether a ramp must end before its time."""
    stored = (seen.acked + len(seen.vus)) * FILE_BYTES
    if stored >= disk_bytes:
        return "disk", f"its uploads had filled the {disk_bytes / GIB:.1f} GiB that may be used (DISK=)"
    if memory_bytes < LEAST_FREE_BYTES:
        return "memory", f"{memory_bytes / GIB:.2f} GiB of memory were left, with {len(seen.vus)} clients"
    return None


def iterations_of(summary: Path) -> int | None:
    """What k6 counted as complete; nothing where it was killed before it could say."""
    try:
        metrics = json.loads(summary.read_text(encoding="utf-8"))["metrics"]
    except FileNotFoundError:
        return None
    return int(metrics.get("iterations", {}).get("values", {}).get("count", 0))
