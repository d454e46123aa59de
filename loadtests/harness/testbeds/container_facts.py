"""What a manifest says of containers: versions as they tell them, images, limits as read back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from aiodocker import Docker

from loadtests.harness.testbeds import container_stats
from loadtests.harness.testbeds.container import Listed
from loadtests.harness.testbeds.docker_engine import FAILURES, output_of, statistics

# How a part says its version; by the first word of its name.
VERSION_OF = {
    "gateway": ("python", "--version"), "auth": ("python", "--version"),
    "upload": ("python", "--version"), "files": ("python", "--version"),
    "pg": ("postgres", "--version"), "minio": ("minio", "--version"),
    "prometheus": ("prometheus", "--version"), "grafana": ("grafana", "--version"),
    "nginx": ("nginx", "-v"), "pgbouncer": ("pgbouncer", "--version"),
    "redis": ("redis-server", "--version"),
    "toxiproxy": ("toxiproxy", "--version"),
}  # fmt: skip


async def versions(docker: Docker, running: Sequence[Listed]) -> dict[str, str]:
    """First line of what each part says of itself; one that says nothing is absent."""
    told = await asyncio.gather(*(_version(docker, one) for one in running))
    found = {one.part: version for one, version in zip(running, told, strict=True) if version}
    return {**found, "docker": str((await docker.version()).get("Version", ""))}


async def _version(docker: Docker, one: Listed) -> str:
    command = VERSION_OF.get(one.part.split("-")[0])
    if command is None:
        return ""
    with contextlib.suppress(*FAILURES):
        code, text = await output_of(docker, one.id, command)
        return text.strip().splitlines()[0].strip() if code == 0 and text.strip() else ""
    return ""


async def facts(docker: Docker, running: Sequence[Listed]) -> dict[str, dict[str, Any]]:
    """Image and limits of each part."""
    found = await asyncio.gather(*(_facts(docker, one) for one in running))
    return {one.part: own for one, own in zip(running, found, strict=True)}


async def _facts(docker: Docker, one: Listed) -> dict[str, Any]:
    inspected = await docker.containers.container(one.id).show()
    image, stats = await asyncio.gather(docker.images.inspect(inspected["Image"]), statistics(docker, one.id))
    return {
        "container": one.short,
        "image": inspected["Config"]["Image"],
        "image_id": inspected["Image"],
        "digests": image.get("RepoDigests") or [],
        "image_labels": image.get("Config", {}).get("Labels") or {},
        "started_at": inspected["State"]["StartedAt"],
        "restarts": inspected.get("RestartCount", 0),
        "limits": container_stats.limits(inspected, stats),
        "throttled": container_stats.throttled(stats),
    }
