"""What a manifest says of containers: versions as they tell them, images, limits as read back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from loadtests.harness.running import engine_stats
from loadtests.harness.running.container import Listed
from loadtests.harness.running.engine_api import Engine, EngineError

# How a part says its version; by the first word of its name.
VERSION_OF = {
    "gateway": ("python", "--version"), "auth": ("python", "--version"),
    "upload": ("python", "--version"), "files": ("python", "--version"),
    "pg": ("postgres", "--version"), "minio": ("minio", "--version"),
    "prometheus": ("prometheus", "--version"), "grafana": ("grafana", "--version"),
    "nginx": ("nginx", "-v"), "pgbouncer": ("pgbouncer", "--version"),
    "toxiproxy": ("toxiproxy", "--version"),
}  # fmt: skip


async def versions(engine: Engine, running: Sequence[Listed]) -> dict[str, str]:
    """First line of what each part says of itself; one that says nothing is absent."""
    told = await asyncio.gather(*(_version(engine, one) for one in running))
    found = {one.part: version for one, version in zip(running, told, strict=True) if version}
    return {**found, "docker": str((await engine.version()).get("Version", ""))}


async def _version(engine: Engine, one: Listed) -> str:
    command = VERSION_OF.get(one.part.split("-")[0])
    if command is None:
        return ""
    with contextlib.suppress(EngineError):
        code, text = await engine.run(one.id, command)
        return text.strip().splitlines()[0].strip() if code == 0 and text.strip() else ""
    return ""


async def facts(engine: Engine, running: Sequence[Listed]) -> dict[str, dict[str, Any]]:
    """Image and limits of each part."""
    found = await asyncio.gather(*(_facts(engine, one) for one in running))
    return {one.part: own for one, own in zip(running, found, strict=True)}


async def _facts(engine: Engine, one: Listed) -> dict[str, Any]:
    inspected = await engine.inspect(one.id)
    image, stats = await asyncio.gather(engine.image(inspected["Image"]), engine.stats(one.id))
    return {
        "container": one.short,
        "image": inspected["Config"]["Image"],
        "image_id": inspected["Image"],
        "digests": image.get("RepoDigests") or [],
        "image_labels": image.get("Config", {}).get("Labels") or {},
        "started_at": inspected["State"]["StartedAt"],
        "restarts": inspected.get("RestartCount", 0),
        "limits": engine_stats.limits(inspected, stats),
        "throttled": engine_stats.throttled(stats),
    }
