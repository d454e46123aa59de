"""k6 as a child process for a whole run, and the stretches that it plays."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.harness import background
from loadtests.harness.background import tasks
from loadtests.harness.clients.payload import stamp_places
from loadtests.harness.clients.strategies import Strategy
from loadtests.harness.clients.users import Identity
from loadtests.harness.k6 import control as control_server
from loadtests.harness.k6.control import Control
from loadtests.harness.k6.rows import Kind, Rows
from loadtests.harness.records.plan import Arm, Part, Stretch
from loadtests.harness.records.samples import LoadSummary
from loadtests.harness.testbeds.affinity import on_cores

SCRIPTS = Path(__file__).parents[1] / "k6"
MAIN_SCRIPT = SCRIPTS / "main.js"
# k6 must not look for extensions or report its use; nothing else of our environment is its business.
QUIET = {"K6_NO_USAGE_REPORT": "true", "K6_AUTO_EXTENSION_RESOLUTION": "false"}
KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG")
START_LIMIT_S = 120.0
END_LIMIT_S = 30.0
REQUEST_LIMIT_S = 60.0  # of one request, see k6/lib/config.js
LEAD_S = 0.4  # from the release of a stretch to its first period
PATTERN_BYTES_PER_S = 400e6  # how fast k6 is sure to get the bytes of its files
SPREAD_PER_VU_S = 0.025  # VUs that begin together would stay in step for a while


class LoadFailed(Exception):
    """k6 did not do what it was asked; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Workers:
    """VUs by what they do. Their ids are given in this order."""

    upload: int
    login: int = 0
    list: int = 0

    @property
    def all(self) -> int:
        return self.upload + self.login + self.list


@dataclass(frozen=True, slots=True)
class Files:
    """What k6 writes, and its configuration, which would else be that of whoever started the run."""

    console: Path
    summary: Path
    log: Path
    config: Path

    @classmethod
    def within(cls, folder: Path) -> Files:
        folder = folder.absolute()
        return cls(folder / "console.jsonl", folder / "summary.json", folder / "log", folder / "config.json")

    def log_tail(self) -> str:
        """The end of what k6 said."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")[-600:].strip() or "(no log)"
        except FileNotFoundError:
            return "(no log)"


@dataclass(frozen=True, slots=True)
class Stocked:
    """A file that is there to be downloaded, by whoever asks."""

    file_id: str
    sha256: str


Shelf = tuple[str, int]  # a stack, and the size of the files on it in bytes
NO_FILES: Mapping[Shelf, Sequence[Stocked]] = {}


def shelf_of(arm: Arm) -> Shelf:
    """Where the files are that an arm downloads."""
    return arm.stack, arm.file_size_bytes


def _sends(arm: Arm) -> bool:
    return arm.strategy is not None and arm.download is None


@dataclass(slots=True)
class Load:
    """One k6 process that was started, and what it asks."""

    files: Files
    control: Control
    rows: Rows
    strategies: Mapping[str, Strategy]
    workers: Workers
    process: asyncio.subprocess.Process = field(repr=False)
    _sizes: set[int] = field(default_factory=set)  # whose bytes k6 has

    async def ready(self) -> None:
        """Wait until all VUs have been made and ask. Raises ``LoadFailed``."""
        await self._while_alive(self.control.idle(), START_LIMIT_S)

    def lead_s(self, arms: Sequence[Arm]) -> float:
        """From now to the first period: every VU must have got what it sends."""
        sent = {arm.file_size_bytes: arm.vus or self.workers.upload for arm in arms if _sends(arm)}
        missing = sum(size * vus for size, vus in sent.items() if size not in self._sizes)
        self._sizes = set(sent)
        return LEAD_S + missing / PATTERN_BYTES_PER_S

    async def release(
        self,
        stretch: Stretch,
        part: Part,
        *,
        gateways: Mapping[str, str],
        identities: Mapping[str, Sequence[Identity]],
        login_each: bool = False,
        uploads: int = 0,
        stocked: Mapping[Shelf, Sequence[Stocked]] = NO_FILES,
    ) -> int:
        """Let all VUs play a stretch; returns the number that the console's lines carry.

        ``gateways`` and ``identities`` are by stack. With ``uploads`` each VU of the first arm sends so
        many files, one after the other, and the order does not matter. ``stocked`` are the files of arms that
        download.
        """
        for arm in part.arms:
            if _sends(arm):
                self.rows.payload(Kind.of(arm))
        spread_s = part.spread_s or min(stretch.washout_s / 2, SPREAD_PER_VU_S * self.workers.upload)
        index = {arm.name: at for at, arm in enumerate(part.arms)}
        message = {
            "begin_ms": stretch.began_at * 1000,
            "t0_ms": stretch.t0 * 1000,
            "period_ms": stretch.period_s * 1000,
            "spread_ms": spread_s * 1000,
            "order": [index[name] for name in stretch.order],
            "arms": [self._told(at, arm, gateways, stocked) for at, arm in enumerate(part.arms)],
            "login_rate": part.login_rate_per_s,
            "list_rate": part.list_rate_per_s,
            "login_each": login_each,
            "uploads": uploads,
        }
        await self.control.release(message, [identities[arm.stack] for arm in part.arms])
        return self.control.number

    def _told(
        self, at: int, arm: Arm, gateways: Mapping[str, str], stocked: Mapping[Shelf, Sequence[Stocked]]
    ) -> dict[str, Any]:
        strategy = self.strategies[arm.strategy] if arm.strategy else None
        stock = stocked[shelf_of(arm)][: arm.files] if arm.download else ()
        return {
            "index": at,
            "name": arm.name,
            "strategy": arm.strategy,
            "variant": strategy.variant if strategy else "",
            "download": arm.download,
            "files": arm.files,
            "cut_every": arm.cut_every,
            "stock": [{"id": one.file_id, "sha256": one.sha256} for one in stock],
            "gateway": gateways[arm.stack],
            "file_bytes": arm.file_size_bytes if strategy else 0,
            "piece_bytes": arm.piece_bytes,
            "kind": str(Kind.of(arm)),
            "stamps": [[place.start, place.end] for place in stamp_places(arm.file_size_bytes)],
            "vus": arm.vus,
            "rate_per_s": arm.rate_per_s,
            "drops": arm.of_capacity is not None,
            "keep_alive": arm.keep_alive,
            "reads": arm.reads,
        }

    async def idle(self, limit_s: float) -> None:
        """Wait until every VU has ended what it began. Raises ``LoadFailed``."""
        await self._while_alive(self.control.idle(), limit_s)

    async def alive_until(self, work: asyncio.Task[None]) -> None:
        """Wait for some work that is only of use while k6 lives. Raises ``LoadFailed``."""
        await self._while_alive(asyncio.shield(work), None)

    async def end(self) -> LoadSummary:
        """No more stretches: every VU ends, and k6 with the last one."""
        await self.control.end()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), END_LIMIT_S)
        await stop_k6(self.process)
        return read_summary(self.files.summary, self.process.returncode or 0)

    async def _while_alive(self, waits: Awaitable[Any], limit_s: float | None) -> None:
        """Wait for something that k6 does while it lives. Raises what that raises, or ``LoadFailed``."""
        async with tasks(waits, self.process.wait()) as (wanted, ended):
            await asyncio.wait({wanted, ended}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if wanted.done():
                wanted.result()
                return
            log = self.files.log_tail()
            if ended.done():
                raise LoadFailed(f"k6 ended with {self.process.returncode} in the middle: {log}")
            raise LoadFailed(f"k6 was not done within {limit_s:.0f} s: {log}")


@asynccontextmanager
async def open_load(
    program: Path,
    files: Files,
    *,
    rows: Rows,
    strategies: Mapping[str, Strategy],
    workers: Workers,
    seed: int,
    variables: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    cores: frozenset[int] | None = None,
) -> AsyncIterator[Load]:
    """Start k6, on these processors if they are named; every figure it pushes carries ``tags``.

    At the end of the block it is ended.
    """
    async with control_server.serving(Control(workers.all, rows)) as control:
        told = {
            "CONTROL_URL": control.url,
            "STRATEGIES": json.dumps({name: str(one.script) for name, one in strategies.items()}),
            "UPLOAD_VUS": workers.upload,
            "LOGIN_VUS": workers.login,
            "LIST_VUS": workers.list,
            "SUMMARY": files.summary,
            "SEED": seed,
            "REQUEST_TIMEOUT": f"{REQUEST_LIMIT_S:.0f}s",
            **(variables or {}),
        }
        process = await start_k6(program, MAIN_SCRIPT, files, told, tags=tags, cores=cores)
        load = Load(files, control, rows, strategies, workers, process)
        try:
            yield load
        finally:
            await stop_k6(process)


async def start_k6(
    program: Path,
    script: Path,
    files: Files,
    told: Mapping[str, object],
    *,
    tags: Mapping[str, str] | None = None,
    cores: frozenset[int] | None = None,
) -> asyncio.subprocess.Process:
    """k6 with a script and the variables that it is told. It leads its own session, so that Ctrl-C reaches
    only the harness."""
    files.log.parent.mkdir(parents=True, exist_ok=True)
    files.config.write_text("{}\n", encoding="ascii")
    # All tags here: one on the command line makes k6 forget those of the script.
    command = [
        "run", "--quiet", "--no-color", "--address", "", "--log-format=raw",
        *(f"--tag={name}={value}" for name, value in (tags or {}).items()),
        f"--config={files.config}", f"--console-output={files.console}", str(script),
    ]  # fmt: skip
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    with files.log.open("wb") as log, on_cores(cores) if cores else nullcontext():
        return await asyncio.create_subprocess_exec(
            program, *command, env=kept | QUIET | {name: str(value) for name, value in told.items()},
            stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip


async def stop_k6(process: asyncio.subprocess.Process) -> None:
    """End k6 now, in order if it can; uploads that it had begun stay as they are."""
    await background.end(process, END_LIMIT_S, signal.SIGINT)


def to_prometheus(url: str) -> dict[str, str]:
    """Variables that make k6 push its own figures too.

    Percentiles are of all that an arm has done so far; from the sums panels make means of a moment.
    """
    return {
        "K6_OUT": "experimental-prometheus-rw",
        "K6_PROMETHEUS_RW_SERVER_URL": f"{url}/api/v1/write",
        "K6_PROMETHEUS_RW_TREND_STATS": "p(50),p(95),p(99),sum",
        "K6_PROMETHEUS_RW_PUSH_INTERVAL": "1s",
        "K6_PROMETHEUS_RW_STALE_MARKERS": "true",
    }


def read_summary(path: Path, exit_code: int) -> LoadSummary:
    """k6's own counts; zeros, with the exit code, if it could not write them to their end."""
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
    except (FileNotFoundError, json.JSONDecodeError):
        metrics = {}

    def value(metric: str, key: str) -> float | None:
        found: float | None = metrics.get(f"{metric}{{role:load}}", {}).get("values", {}).get(key)
        return found

    return LoadSummary(
        exit_code=exit_code,
        requests=int(value("http_reqs", "count") or 0),
        request_p50_ms=value("http_req_duration", "med"),
        request_p95_ms=value("http_req_duration", "p(95)"),
        failed_requests=int(value("http_req_failed", "passes") or 0),
    )
