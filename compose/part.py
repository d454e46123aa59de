"""What the supervisor is told about one process, and its form on the wire.

A part is a value: the command, the exact environment, what must be up before it, how to ask whether
it is ready and how to stop it. Nothing here knows what the process is for.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Need = Literal["started", "healthy", "done"]


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to a part: `http` a URL that answers 200, `tcp` a port that accepts, `exec` a program
    that exits 0. Exactly one of the three is set. `env` is the whole environment of the program. So many bad
    answers in a row as `retries` says make a part that was healthy unhealthy."""

    http: str | None = None
    tcp: int | None = None
    exec: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 2.0
    retries: int = 1


@dataclass(frozen=True, slots=True)
class Part:
    """One supervised process. `live` defaults to `ready`; without either, running counts as healthy."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, Need] = field(default_factory=dict)
    ready: Probe | None = None
    live: Probe | None = None
    ports: tuple[int, ...] = ()
    host: str = "127.0.0.1"
    user: str | None = None
    cwd: str | None = None
    restart: Literal["on-failure", "never"] = "on-failure"
    oneshot: bool = False
    stop_signal: str = "SIGTERM"
    grace_s: float = 10.0
    version: str = ""


def dump(parts: Sequence[Part]) -> str:
    """The parts as one line of JSON, always the same for the same parts."""
    return json.dumps([dataclasses.asdict(part) for part in parts], sort_keys=True)


def load(text: str) -> list[Part]:
    """Reads what `dump` wrote."""
    return [_part(item) for item in json.loads(text)]


def _part(item: dict[str, Any]) -> Part:
    probes = {key: _probe(item[key]) for key in ("ready", "live")}
    return Part(**{**item, **probes, "command": tuple(item["command"]), "ports": tuple(item["ports"])})


def _probe(item: dict[str, Any] | None) -> Probe | None:
    if item is None:
        return None
    return Probe(**{**item, "exec": tuple(item["exec"]) if item["exec"] else None})
