"""Where, when and how a run was measured, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from loadtests.harness.records.plan import Arm
from loadtests.harness.records.result import Result
from loadtests.harness.sentences import arms_of, comparisons, names_of, network_of
from loadtests.harness.wording import capital, duration, listed, listed_arms, network, size
from loadtests.harness.words import OF_NETWORK

OWN_NETWORK = "the machine's own"


def about(result: Result) -> str:
    """The first line under the question: what was uploaded, by how many, over what, on what and when."""
    found, host = result.conditions, result.conditions.get("host") or {}
    arms = _first_arms(result)
    slow = [cell.clients for cell in result.crowd.cells] if result.crowd else []
    at_once = sorted([*slow, *([cell.clients for cell in result.fleet.cells] if result.fleet else [])])
    sizes, clients = (list(dict.fromkeys(values)) for values in (
        [size(arm.file_size_bytes) for arm in arms],
        [str(vus) for vus in at_once or [arm.vus for arm in arms] if vus],
    ))  # fmt: skip
    slower = network_of(result)
    parts = [
        f"files of {listed(sizes)}" if sizes else "",
        f"{listed(clients)} clients at once" if clients else "",
        f"a network of {slower}" if slower else "",
        f"{cores(host.get('cores'))} for everything, load generator included",
        moment(found.get("started_at")),
    ]
    return capital(", ".join(part for part in parts if part)) + "."


def _first_arms(result: Result) -> list[Arm]:
    """The arms of the main comparison, or of what there is instead of one."""
    compared = comparisons(result)
    return [one.arm for one in compared[0].arms] if compared else arms_of(result)


def facts(result: Result) -> list[tuple[str, str]]:
    """Where and how it was measured, in a few lines."""
    found, host = result.conditions, result.conditions.get("host") or {}
    named = [f"{arm.name} is {arm.title}" for arm in _first_arms(result) if _named(arm)]
    lines = [
        ("arms", "; ".join(named)),
        ("machine", machine(host)),
        ("measured", f"{measured(found.get('started_at'), found.get('ended_at'))}, profile {result.profile}"),
        ("network", networks(result)),
        ("not the default", not_default(result) or "nothing"),
        ("revision", revision(result)),
        ("command", str(found.get("command") or "")),
        ("checked", str(found.get("verified_how") or "")),
    ]
    if found.get("runtime", "native") != "native":
        lines.insert(2, ("runs in", "containers; do not compare with a run of plain processes"))
    return [(name, text) for name, text in lines if text]


def networks(result: Result) -> str:
    """What is between clients and system; where arms differ in it, what each has."""
    names, found = names_of(result), dict[str, list[str]]()
    for arm in _first_arms(result):
        own = _network_of_arm(arm, result.conditions) or OWN_NETWORK
        found.setdefault(own, []).append(names.get(arm.of, arm.name))
    if len(found) > 1:
        return "; ".join(f"{own} ({listed_arms(arms)})" for own, arms in found.items())
    return next(iter(found), network_of(result) or OWN_NETWORK)


def _network_of_arm(arm: Arm, conditions: dict[str, Any]) -> str:
    """Its own word, else the run's, else the question's for all arms."""
    words = conditions.get("words") or {}
    rtt_ms, bandwidth = (
        float(arm.asked.get(word) or words.get(word) or conditions.get(word.lower()) or 0.0)
        for word in OF_NETWORK
    )
    return network(rtt_ms, bandwidth)


def _named(arm: Arm) -> bool:
    """Whether it goes by a name that does not say what it is."""
    return len(arm.name) > 1 and arm.title != arm.name != arm.strategy


def not_default(result: Result) -> str:
    """Words, settings, topology and limits that are not the default, in one line."""
    return "; ".join(result.conditions.get("not_default") or [])


def revision(result: Result) -> str:
    """Of the checkout, or of each arm where they differ."""
    by_arm: dict[str, str] = result.conditions.get("revisions") or {}
    if len(set(by_arm.values())) > 1:
        return ", ".join(f"{arm} {text[:12] or 'the working tree'}" for arm, text in by_arm.items())
    known = str(result.conditions.get("git_revision") or "unknown")[:12]
    return known + (" with local changes" if result.conditions.get("git_dirty") else "")


def moment(seconds: float | None) -> str:
    if seconds is None:
        return "at an unknown time"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def measured(begin: float | None, end: float | None) -> str:
    """When a run began, and how long it took."""
    took = "not ended" if begin is None or end is None else duration(end - begin)
    return f"{moment(begin)}, {took}"


def machine(host: Mapping[str, Any]) -> str:
    """Processor, cores and memory."""
    words = [str(host.get("cpu_model") or "unknown processor"), cores(host.get("cores"))]
    if isinstance(host.get("memory_bytes"), int | float):
        words.append(size(host["memory_bytes"]))
    return ", ".join(words)


def cores(value: float | None) -> str:
    """2 rather than 2.0; a container may have one and a half."""
    return "unknown cores" if value is None else f"{value:g} {'core' if value == 1 else 'cores'}"
