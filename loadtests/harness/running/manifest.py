"""Where, when and with what a run is made: read from the machine and the processes themselves."""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from loadtests.harness.k6.rows import PATTERN_SEED
from loadtests.harness.ledger.audit import verified_how
from loadtests.harness.ledger.by_contract import verified_by_contract
from loadtests.harness.records.plan import Plan
from loadtests.harness.records.samples import Manifest
from loadtests.harness.running.rig import Rig

LIBRARIES = ("aiohttp", "asyncpg", "minio", "numpy", "prometheus-client", "pydantic", "scipy", "uvloop")
PG_SETTINGS = (
    "server_version", "shared_buffers", "max_connections", "fsync", "full_page_writes",
    "synchronous_commit", "wal_sync_method", "autovacuum", "max_wal_size", "checkpoint_timeout",
)  # fmt: skip
HONEST = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum": "on"}
KERNEL_LIMITS = {
    "ephemeral_ports": "net/ipv4/ip_local_port_range",
    "somaxconn": "net/core/somaxconn",
    "time_wait_reuse": "net/ipv4/tcp_tw_reuse",
}
T = TypeVar("T")


class DishonestSettings(Exception):
    """A database runs without the guarantees that the comparison rests on."""


async def make_manifest(rig: Rig, plan: Plan, *, started_at: float, command: str) -> Manifest:
    """Everything but the end of the run. Raises ``DishonestSettings``."""
    databases = await databases_of(rig)
    refuse_dishonest(databases)
    revision, dirty = await asyncio.to_thread(git_state, rig.system.root, rig.system.environ)
    return Manifest(
        run=plan.run,
        question=plan.question,
        profile=plan.profile,
        started_at=started_at,
        git_revision=revision,
        git_dirty=dirty,
        command=command,
        words=plan.words,
        host=host_facts(),
        runtime=rig.hold.testbed.runtime,
        containers=await rig.hold.testbed.facts(),
        tools=await tool_versions(rig),
        settings=await settings_of_all(rig),
        databases=databases,
        scripts=script_hashes(rig.system.root),
        revisions=dict(rig.revisions),
        seeds={"order": plan.seed, "payload": PATTERN_SEED},
        verified_how=verified(rig),
        notes={
            "identities": len(rig.hold.identities),
            "tokens": "a login before every upload" if plan.login_each else "prepared before the load",
            "run_mode": rig.hold.testbed.run_mode,
            "keep_alive": "k6 keeps its connections; payload bytes are random, unique by stamps",
            "observing": rig.hold.testbed.observing,
        },
        k6_cores=float(len(rig.cores.generator)),
    )  # fmt: skip


def verified(rig: Rig) -> str:
    """How uploads were verified, on our stacks and on others."""
    ours = verified_how(rig.read_all)
    others = [stack for stack, hold in rig.holds.items() if hold.system is None]
    return f"{ours}. {', '.join(others)}: {verified_by_contract(rig.read_all)}" if others else ours


async def databases_of(rig: Rig) -> dict[str, dict[str, str]]:
    """Settings of every database; those of a stack that has a name are ``<stack>/<database>``."""
    found = {
        stack: await database_settings(hold.databases.named())
        for stack, hold in rig.holds.items()
        if hold.databases is not None
    }
    return of_stacks(found)


async def settings_of_all(rig: Rig) -> dict[str, dict[str, Any]]:
    """Settings in effect of every process of every stack."""
    return of_stacks({stack: await hold.settings() for stack, hold in rig.holds.items()})


def of_stacks(found: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """By ``<stack>/<name>``, or by the name alone in the running testbed."""
    return {
        f"{stack}/{name}" if stack else name: own
        for stack, some in found.items()
        for name, own in some.items()
    }


async def database_settings(databases: Mapping[str, asyncpg.Connection]) -> dict[str, dict[str, str]]:
    """``pg_settings`` as the servers report them."""
    query = "SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY($1)"
    return {
        name: {row["name"]: row["value"] for row in await connection.fetch(query, list(PG_SETTINGS))}
        for name, connection in databases.items()
    }


def refuse_dishonest(databases: Mapping[str, Mapping[str, str]]) -> None:
    """A run on settings that may lose acknowledged rows is not recorded."""
    wrong = [
        f"{database} runs with {name}={settings[name]}"
        for database, settings in databases.items()
        for name, wanted in HONEST.items()
        if settings.get(name, wanted) != wanted
    ]
    if wrong:
        raise DishonestSettings("; ".join(wrong) + ": such a database may lose what it confirmed")


def host_facts() -> dict[str, Any]:
    """The machine, as far as it bears on a result."""
    limits = {name: _text(Path("/proc/sys") / path) for name, path in KERNEL_LIMITS.items()}
    return {
        "cpu_model": cpu_model(),
        "cores": float(len(os.sched_getaffinity(0))),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": platform.release(),
        "system": platform.system(),
        "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "cgroup": _text(Path("/proc/self/cgroup")).splitlines()[:1],
        "load_before": _text(Path("/proc/loadavg")),
        "pressure_cpu": _text(Path("/proc/pressure/cpu")).splitlines()[:1],
        **limits,
    }


def cpu_model() -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


async def tool_versions(rig: Rig) -> dict[str, str]:
    """Versions of every program and library that takes part."""
    found = dict(await rig.hold.testbed.versions())
    found["k6"] = await asyncio.to_thread(k6_version, rig.k6_program)
    found["python"] = sys.version.split()[0]
    # The store and its client library have the same name.
    libraries = {name: metadata.version(name) for name in LIBRARIES}
    return found | {f"{name} library" if name in found else name: own for name, own in libraries.items()}


def k6_version(program: Path) -> str:
    """The first line of what it says of itself."""
    answer = subprocess.run([program, "version"], capture_output=True, text=True, timeout=20, check=False)
    return answer.stdout.split("\n")[0].strip()


def script_hashes(root: Path) -> dict[str, str]:
    """SHA-256 of everything that shapes the load."""
    folders = [root / "loadtests" / name for name in ("k6", "strategies", "questions")]
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def git_state(root: Path, environ: Mapping[str, str]) -> tuple[str | None, bool | None]:
    """Revision and whether files differ from it; nothing outside a repository.

    A container holds no repository: whoever starts it says so by ``GIT_REVISION`` and ``GIT_DIRTY``.
    """
    if told := environ.get("GIT_REVISION"):
        return told, environ.get("GIT_DIRTY", "") == "1"

    def ask(*words: str) -> str | None:
        try:
            answer = subprocess.run(
                ["git", *words], cwd=root, capture_output=True, text=True, timeout=20, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return answer.stdout.strip()

    revision, status = ask("rev-parse", "HEAD"), ask("status", "--porcelain")
    return revision, None if status is None else bool(status)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
