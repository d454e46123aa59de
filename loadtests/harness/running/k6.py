"""k6 as a child process: what it is told by environment variables, what it says by files."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.harness.strategies import Strategy
from loadtests.harness.records.model import Load, TrialPlan
from loadtests.harness.running.affinity import on_cores
from loadtests.harness.running.console import read_tail

SCRIPTS = Path(__file__).parents[2] / "k6"
MAIN_SCRIPT = SCRIPTS / "main.js"
# k6 must not look for extensions or report its use; nothing else of our environment is its business.
QUIET = {"K6_NO_USAGE_REPORT": "true", "K6_AUTO_EXTENSION_RESOLUTION": "false"}
KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG")
STOP_GRACE_S = 70.0  # longer than one request may take
POLL_S = 0.02
AFTER_WINDOW_S = 0.3  # our look at the window's end comes a little late on a busy machine


class K6Failed(Exception):
    """k6 did not do what it was asked; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Files:
    """Everything one k6 process reads and writes."""

    table: Path | None
    pattern: Path | None
    identities: Path
    console: Path
    summary: Path
    log: Path


def environment(
    plan: TrialPlan,
    files: Files,
    *,
    gateway_url: str,
    strategy: Strategy | None,
    piece_bytes: int,
    start_spread_s: float,
    linger_s: float = 0.0,
    journey: bool = False,
) -> dict[str, str]:
    """The variables of ``k6/lib/config.js`` for one trial."""
    load = plan.load
    values: dict[str, Any] = {
        "GATEWAY_URL": gateway_url,
        "STRATEGY": plan.arm,
        "STRATEGY_JS": strategy.script if strategy else "",
        "VARIANT": strategy.variant if strategy else "",
        "PIECE_BYTES": piece_bytes,
        "FILE_BYTES": plan.file_size_bytes,
        "PATTERN": files.pattern or "",
        "TABLE": files.table or "",
        "IDENTITIES": files.identities,
        "SUMMARY": files.summary,
        "SEED": plan.seed,
        "EXECUTOR": load.executor,
        "VUS": load.vus or 1,
        "MAX_VUS": load.max_vus or 0,
        "RATE_PER_S": load.rate_per_s or 0,
        "ITERATIONS": load.iterations or 1,
        "STAGES": json.dumps(load.stages),
        "LOAD_S": load_s(load, linger_s),
        "START_SPREAD_MS": round(start_spread_s * 1000),
        "LOGIN_EACH": int(load.login_each),
        "JOURNEY": int(journey),
        "THINK_S": load.think_s,
        "COMPLETE_PAUSE_S": load.complete_pause_s,
        "LOGIN_RATE_PER_S": load.login_rate_per_s,
        "LIST_RATE_PER_S": load.list_rate_per_s,
    }
    return {name: str(value) for name, value in values.items()}


def to_prometheus(url: str) -> dict[str, str]:
    """Variables that make k6 push its own figures too.

    Once a second: windows last a few seconds, and a series ends with its run of k6, so a longer interval
    would leave the last push alone, and a panel's step over it. Percentiles are of each push's own interval.
    """
    return {
        "K6_OUT": "experimental-prometheus-rw",
        "K6_PROMETHEUS_RW_SERVER_URL": f"{url}/api/v1/write",
        "K6_PROMETHEUS_RW_TREND_STATS": "p(50),p(95),p(99)",
        "K6_PROMETHEUS_RW_PUSH_INTERVAL": "1s",
        "K6_PROMETHEUS_RW_STALE_MARKERS": "true",
    }


def load_s(load: Load, linger_s: float = 0.0) -> float:
    """How long arrivals last. They go on a little after the window, so that its end sees full load;
    ``linger_s`` is how late that end may be."""
    if load.stages:
        return sum(seconds for seconds, _ in load.stages)
    return load.warmup_s + load.window_s + AFTER_WINDOW_S + linger_s


@dataclass(frozen=True, slots=True)
class K6:
    """One k6 process that was started."""

    files: Files
    process: asyncio.subprocess.Process = field(repr=False)

    async def wait_started(self, limit_s: float) -> float:
        """When the load began (k6 says so after all VUs are made). Raises ``K6Failed``."""
        deadline = asyncio.get_running_loop().time() + limit_s
        while asyncio.get_running_loop().time() < deadline:
            for line in read_tail(self.files.console)[0]:
                if line.get("e") == "s":
                    return float(line["t"]) / 1000
            if self.process.returncode is not None:
                raise K6Failed(f"k6 ended with {self.process.returncode} before the load: {self.log_tail()}")
            await asyncio.sleep(POLL_S)
        raise K6Failed(f"k6 did not begin within {limit_s:.0f} s: {self.log_tail()}")

    async def wait_ended(self, limit_s: float) -> int:
        """Its exit code. A k6 that outlives the limit is stopped."""
        try:
            return await asyncio.wait_for(self.process.wait(), limit_s)
        except TimeoutError:
            return await self.stop()

    async def stop(self) -> int:
        """Ask it to end: running uploads may finish, none is begun; after the grace period, kill it."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(self.process.wait(), STOP_GRACE_S)
            except TimeoutError:
                self.process.kill()
        return await self.process.wait()

    def log_tail(self) -> str:
        try:
            return self.files.log.read_text(encoding="utf-8", errors="replace")[-600:].strip() or "(no log)"
        except FileNotFoundError:
            return "(no log)"


async def start_k6(
    program: Path,
    files: Files,
    variables: Mapping[str, str],
    script: Path = MAIN_SCRIPT,
    *,
    tags: Mapping[str, str] | None = None,
    cores: frozenset[int] | None = None,
) -> K6:
    """Start k6, on these processors if they are named; every figure it pushes carries ``tags``.

    It leads its own session, so that Ctrl-C reaches only the harness.
    """
    command = [
        "run", "--quiet", "--no-color", "--address", "", "--log-format=raw",
        *(f"--tag={name}={value}" for name, value in (tags or {}).items()),
        f"--console-output={files.console}", str(script),
    ]  # fmt: skip
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    where = on_cores(cores) if cores else nullcontext()
    with files.log.open("wb") as log, where:
        process = await asyncio.create_subprocess_exec(
            program, *command, env=kept | QUIET | dict(variables), stdout=log, stderr=log,
            stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    return K6(files, process)


def table_rows(load: Load, file_size_bytes: int, bytes_per_s: float, linger_s: float = 0.0) -> int:
    """How many uploads a trial can make at most, with room to spare.

    ``bytes_per_s`` is what the machine can possibly store; open loops need their arrivals only.
    """
    if load.executor == "per-vu-iterations":
        return (load.vus or 1) * (load.iterations or 1)
    seconds = load_s(load, linger_s) + 1.0
    if load.executor == "constant-arrival-rate":
        return int((load.rate_per_s or 0) * seconds) + 10
    in_flight = max([load.vus or 0, *(target for _, target in load.stages)])
    # A small file is limited by requests, not by bytes.
    per_s = min(bytes_per_s / max(file_size_bytes, 1), 1500.0)
    return int(per_s * seconds) + in_flight + 10
