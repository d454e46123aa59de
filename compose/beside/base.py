"""What stacks share: databases and store of the running testbed, or such that are started for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compose import credentials, envfile, life, postgres, scaling, scraping, settings, stack, store
from compose.installer.programs import Installer
from compose.stack import Stack

CLUSTERS = tuple(f"pg-{name}" for name in postgres.DATABASES)
# Of databases that are started for a comparison: enough for any pool that a setting allows for two stacks.
CONNECTIONS = "600"


@dataclass(frozen=True, slots=True)
class Base:
    """`env` holds ports and secrets of databases and store. `run_dir` is whose parts they are."""

    run_dir: Path
    env: Mapping[str, str]
    ours: bool  # started for the comparison; nobody else uses it


def found(now: settings.Settings) -> Base | None:
    """The running testbed's databases and store; None when they do not all run."""
    if not life.locked(now.run_dir):
        return None
    rows = life.read_state(now.run_dir).get("parts", {})
    published = envfile.read(now.run_dir / "ports.env") if (now.run_dir / "ports.env").exists() else {}
    needed = (*CLUSTERS, store.chosen(published))
    if any(rows.get(name, {}).get("state") != "healthy" for name in needed):
        return None
    kept = envfile.read(now.secrets_file) if now.secrets_file.exists() else {}
    known = {name: os.environ.get(name) or kept.get(name, "") for name in credentials.SIZES}
    return Base(now.run_dir, {**now.env, **published, **known}, ours=False)


def started(folder: Path, chosen_store: str) -> Base:
    """Databases and a store of their own; they end with the calling thread at the latest."""
    quiet = {name: value for name, value in os.environ.items() if name not in envfile.read(settings.PORTS)}
    env = stack.isolated_env(
        {**quiet, "STORE": chosen_store, "TOPOLOGY": "", "WORKERS": "1", "POOLER": "none"}
    )
    env |= {f"PG_{name.upper()}_CONNECTIONS": CONNECTIONS for name in scaling.POOLED}
    without = {*scaling.REPLICATED, "prometheus", *scraping.EXPORTERS}
    running = stack.start(folder, env, without=without)
    stack.wait_healthy(running)
    return Base(folder, running.env, ours=True)


def ended(base: Base) -> None:
    """Ends what was started for the comparison and deletes its data; leaves everything else alone."""
    if base.ours:
        Stack(base.run_dir, base.env).destroy()


def programs(names: tuple[str, ...]) -> dict[str, str]:
    """Where external programs are; installs what is missing."""
    with Installer(os.environ, echo=lambda line: print(line, file=sys.stderr)) as tools:
        return tools.locate(names)
