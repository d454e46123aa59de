"""What a testbed was started with, kept in its run folder: a later wish for something else can be named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from compose import envfile, scaling, settings, topology

FILE = "settings.env"
NOT_OF_THE_TESTBED = ("RUNTIME", "ALL", "REPORT", "VAULTBENCH_OFFLINE", "PROMETHEUS_SOURCE")
PROGRAMS = ("PYTHON", "VERSION", "POSTGRES_BIN_DIR", "GRAFANA_HOME", *settings.PROGRAMS)

_FOLLOWS = re.compile(r"[A-Z]+_\d+_(ADMIN_)?PORT|[A-Z]+_(PROCESSES|URLS?)")


def names(env: Mapping[str, str]) -> list[str]:
    """Every setting that a testbed is started with, none of them secret."""
    chosen = [name for name in settings.CHOICES if name not in NOT_OF_THE_TESTBED]
    counted = ("WORKERS", "REPLICAS", "DB_POOL_MAX", *scaling.CHOSEN)
    ports = (*envfile.read(settings.PORTS), *scaling.default_ports(env))
    of_parts = (name for part in scaling.REPLICATED for name in sorted(topology.optional(part)))
    return list(dict.fromkeys([*chosen, *counted, *ports, *of_parts, *PROGRAMS]))


def record(run_dir: Path, env: Mapping[str, str]) -> None:
    """Writes what is in effect."""
    lines = (f"{name}={_quoted(env[name])}\n" for name in names(env) if env.get(name))
    (run_dir / FILE).write_text("".join(lines), encoding="utf-8")


def recorded(run_dir: Path) -> dict[str, str]:
    """What the testbed of a run folder was started with last."""
    return envfile.read(run_dir / FILE) if (run_dir / FILE).exists() else {}


def told(run_dir: Path, env: Mapping[str, str], given: Mapping[str, str]) -> str:
    """What the running testbed would have to change for `env`, and how; `given` was set by hand."""
    known = recorded(run_dir)
    every = dict.fromkeys([*names(env), *known]) if known else {}
    differing = [name for name in every if known.get(name, "") != env.get(name, "")]
    # Not what follows from another one: WORKERS brings a port for each process.
    typed = [name for name in differing if not _FOLLOWS.fullmatch(name) or given.get(name)] or differing
    words = " ".join(f"{name}={shlex.quote(given[name])}" for name in names(env) if given.get(name))
    why = "\n".join(
        f"  {name}: runs with {known.get(name) or 'its default'}, asked for {env.get(name) or 'its default'}"
        for name in typed
    )
    why = why or "  its programs or its description have changed since"
    command = f"make up {words}".strip()
    return f"A testbed with other settings is running:\n{why}\nRun `make down`, then `{command}`."


def _quoted(value: str) -> str:
    """As both start-ups read it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
