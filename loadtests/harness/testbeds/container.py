"""One container of a Compose project, as the engine lists and inspects it, and how it is made anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiodocker import Docker
from aiodocker.containers import DockerContainer

from loadtests.harness.testbeds import container_stats
from loadtests.harness.testbeds.docker_engine import FAILURES, TIMEOUT

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONE_OFF = "com.docker.compose.oneoff"
# The environment a container had before an arm changed it.
OWN_ENVIRONMENT = "vaultbench.own-environment"
BENCH = "bench"  # the service that we are ourselves
ID_LENGTH = 12
STOP_GRACE_S = 40  # longer than a process may drain its requests
STOP_TIMEOUT = aiohttp.ClientTimeout(total=STOP_GRACE_S + 30)


@dataclass(frozen=True, slots=True)
class Listed:
    """A container that belongs to the system; ``part`` is its service, with its number from the second on."""

    id: str
    part: str
    state: str  # "running", "exited", ...

    @property
    def short(self) -> str:
        return self.id[:ID_LENGTH]


def listed(entry: DockerContainer) -> Listed | None:
    """A line of the engine's list; nothing for the one that measures and what runs for one command."""
    labels = entry["Labels"] or {}
    if not belongs(labels):
        return None
    return Listed(entry.id, part_name(labels), str(entry["State"]))


def belongs(labels: Mapping[str, str]) -> bool:
    """Whether a container with these labels is a part of the system."""
    return labels.get(SERVICE, BENCH) != BENCH and labels.get(ONE_OFF, "False") != "True"


def part_name(labels: Mapping[str, str]) -> str:
    """``upload``, ``upload-2``: as the same part is called when it runs without containers."""
    number = labels.get(NUMBER, "1")
    return labels[SERVICE] if number == "1" else f"{labels[SERVICE]}-{number}"


def started_ns(inspected: Mapping[str, Any]) -> int:
    """When this life of the container began; 0 when it does not run."""
    state = inspected.get("State", {})
    return container_stats.nanoseconds(str(state.get("StartedAt", ""))) if state.get("Running") else 0


def own_environment(inspected: Mapping[str, Any]) -> list[str]:
    """``NAME=value`` lines as the Compose file gave them, whatever an arm has put over them since."""
    config = inspected["Config"]
    kept = (config.get("Labels") or {}).get(OWN_ENVIRONMENT)
    return list(json.loads(kept) if kept else config.get("Env") or [])


def has_environment(inspected: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    """Whether the container was made with exactly these settings over its own."""
    wanted = merged(own_environment(inspected), environment)
    return sorted(wanted) == sorted(inspected["Config"].get("Env") or [])


def merged(own: list[str], environment: Mapping[str, str]) -> list[str]:
    """Lines of ``own`` with those of ``environment`` over them."""
    values = dict(line.partition("=")[::2] for line in own) | dict(environment)
    return [f"{name}={value}" for name, value in values.items()]


def like(inspected: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """What to ask the engine for: the same container with these settings over its own."""
    config, own = dict(inspected["Config"]), own_environment(inspected)
    labels = {name: value for name, value in (config.get("Labels") or {}).items() if name != OWN_ENVIRONMENT}
    if environment:
        labels[OWN_ENVIRONMENT] = json.dumps(own)
    if inspected["Id"].startswith(config.get("Hostname") or "-"):
        config.pop("Hostname")  # nobody chose it: the engine names each container after its id
    return {
        **config,
        "Env": merged(own, environment),
        "Labels": labels,
        "HostConfig": inspected["HostConfig"],
        "NetworkingConfig": {"EndpointsConfig": _networks(inspected)},
    }


async def replace(docker: Docker, inspected: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """The same container with another environment, which an engine cannot change in place.

    If the new one cannot be made or started, the old one runs again, and what failed is raised.
    """
    old, name = docker.containers.container(inspected["Id"]), str(inspected["Name"]).lstrip("/")
    await old.stop(t=STOP_GRACE_S, timeout=STOP_TIMEOUT)
    await old.rename(f"{name}-before")
    made = None
    try:
        made = await docker.containers.create(like(inspected, environment), name=name)
        await made.start()
    except FAILURES:
        if made is not None:
            await made.delete(force=True, timeout=TIMEOUT)
        await old.rename(name)
        await old.start()
        raise
    await old.delete(force=True, timeout=TIMEOUT)


def _networks(inspected: Mapping[str, Any]) -> dict[str, Any]:
    """Networks with the names others call the container by; addresses are given anew."""
    short = inspected["Id"][:ID_LENGTH]
    return {
        name: {"Aliases": [alias for alias in network.get("Aliases") or [] if alias != short]}
        for name, network in inspected["NetworkSettings"]["Networks"].items()
    }
