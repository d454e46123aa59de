"""What of a run is not the default: words, settings, topology, limits, durability of the databases.

``usual.json`` is written by ``python -m docs.generate`` from the processes' own declarations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence, Set
from functools import cache
from pathlib import Path
from typing import Any

from loadtests.harness.cost import JOINTS
from loadtests.harness.records.plan import Plan
from loadtests.harness.records.samples import Manifest
from loadtests.harness.wording import size

USUAL = Path(__file__).with_name("usual.json")
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}  # as PostgreSQL ships
ADDED = (*JOINTS, "toxiproxy", "versitygw")  # parts that a plain testbed does not have
_SAID = frozenset({"A", "B", "BASE", "PRICES", "PROFILE", "RTT_MS", "BANDWIDTH_MBIT"})  # elsewhere


def unusual(plan: Plan, manifest: Manifest) -> list[str]:
    """One entry for each; those that name a process or an arm begin with it."""
    return [
        *_words(plan),
        *_settings(manifest),
        *_topology(manifest),
        *_limits(manifest),
        *_durability(manifest),
    ]


def _words(plan: Plan) -> Iterator[str]:
    for name, value in plan.words.items():
        if name not in _SAID:
            yield f"{name}={value}"


def _settings(manifest: Manifest) -> Iterator[str]:
    """By setting; the same value of several processes is said once."""
    found: dict[str, list[str]] = {}
    for process, settings in manifest.settings.items():
        usual = _usual().get(_kind(process), {})
        for name, value in settings.items():
            if name in usual and value != usual[name]:
                found.setdefault(f"{name}={_plain(value)}", []).append(process)
    stacks = {_stack(process) for process in manifest.settings}
    for text, processes in found.items():
        yield f"{_whose(processes, stacks)} {text}"


def _whose(processes: Sequence[str], stacks: Set[str]) -> str:
    """Processes by their names; where several stacks have the same ones: "auth, upload of A, B"."""
    by_stack: dict[str, list[str]] = {}
    for process in processes:
        by_stack.setdefault(_stack(process), []).append(process.rpartition("/")[2])
    kinds = list(by_stack.values())
    if len(kinds) == 1 or any(own != kinds[0] for own in kinds):
        return ", ".join(processes)
    arms = "every arm" if by_stack.keys() == stacks and len(stacks) > 2 else ", ".join(by_stack)
    return f"{', '.join(kinds[0])} of {arms}"


def _stack(process: str) -> str:
    return process.rpartition("/")[0]


def _kind(process: str) -> str:
    """The process without its stack and the number of its replica: "A/upload-2" is "upload"."""
    return process.rpartition("/")[2].rstrip("0123456789").rstrip("-")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _topology(manifest: Manifest) -> Iterator[str]:
    replicas: dict[str, int] = {}
    for process in manifest.settings:
        stack, _, name = process.rpartition("/")
        kind = f"{stack}/{_kind(name)}" if stack else _kind(name)
        replicas[kind] = replicas.get(kind, 0) + 1
    yield from (f"{count} of {kind}" for kind, count in replicas.items() if count > 1)
    yield from (f"with {name}" for name in ADDED if name in manifest.tools)


def _limits(manifest: Manifest) -> Iterator[str]:
    cores = manifest.host.get("cores")
    if isinstance(cores, int | float) and manifest.k6_cores < cores:
        yield f"k6 on {manifest.k6_cores:g} of {cores:g} cores"
    for name, facts in manifest.containers.items():
        limits = [f"{facts['cpus']:g} CPUs"] if facts.get("cpus") else []
        limits += [size(facts["memory_bytes"])] if facts.get("memory_bytes") else []
        if limits:
            yield f"{name} limited to {' and '.join(limits)}"


def _durability(manifest: Manifest) -> Iterator[str]:
    for database, settings in manifest.databases.items():
        for name, value in DURABLE.items():
            if settings.get(name, value) != value:
                yield f"{database} {name}={settings[name]}"


@cache
def _usual() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(USUAL.read_text(encoding="utf-8"))
    return found
