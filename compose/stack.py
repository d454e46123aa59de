"""One testbed: start it detached, wait for it, ask it, end it.

The product's own and those of the test suite differ in folder, ports and secrets only:

    env = stack.isolated_env(os.environ)                      # free ports, new secrets
    running = stack.start(run_dir, env, without=["prometheus"])
    stack.wait_healthy(running)
    running.control("kill", "upload")
    running.destroy()                                         # ends it and deletes what it made
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose import (
    control,
    credentials,
    envfile,
    grafana,
    life,
    part,
    ports,
    room,
    scaling,
    scraping,
    settings,
    store,
    topology,
)
from compose.cores import cores
from compose.installer.programs import Installer
from compose.part import Part
from compose.prepare import owned_folders, prepare, publish
from compose.unit import LOST, UP

HEALTHY_TIMEOUT_S, POLL_S = 90.0, 0.05
Rows = dict[str, dict[str, Any]]


class StackError(Exception):
    """The testbed cannot be started or did not become healthy; the text says why."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A testbed in a run folder. `env` is the environment its topology was resolved from."""

    run_dir: Path
    env: Mapping[str, str]

    def control(self, op: str, part: str = "", *, timeout_s: float = 90.0, **more: Any) -> dict[str, Any]:
        """One operation of the supervisor: status, stop, kill, pause, resume, restart (`env={…}`)."""
        return control.call(self.run_dir, op, part, timeout_s=timeout_s, **more)

    def rows(self) -> Rows:
        """What the supervisor says about each part now."""
        rows: Rows = self.control("status")["parts"]
        return rows

    def running(self) -> bool:
        """Whether a supervisor holds the run folder."""
        return life.locked(self.run_dir)

    def stop(self) -> bool:
        """Ends all processes; data stays."""
        return life.stop(self.run_dir)

    def destroy(self) -> None:
        """Ends all processes and deletes the run folder and what belongs to it elsewhere."""
        life.stop(self.run_dir)
        for folder in owned_folders(self.run_dir):
            shutil.rmtree(folder)


def isolated_env(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for a testbed of one's own: free ports, new secrets, programs as in `environ`."""
    raw = envfile.read(settings.PORTS)
    names = [name for name in raw if name.endswith("_PORT")]
    names += scaling.default_ports(scaling.counts(environ, cores()))
    inherited = {key: value for key, value in environ.items() if key not in raw}
    found = dict(zip(names, map(str, ports.free(len(names))), strict=True))
    resolved = envfile.resolve(raw, found)
    chosen = scaling.extended(resolved, {**inherited, **found}, cores())
    return {**inherited, **chosen, **credentials.generate()}


def resolve(
    env: Mapping[str, str],
    *,
    without: Iterable[str] = (),
    environment: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Part]:
    """The parts for a prepared environment; `environment` adds variables to single parts."""
    left_out = {*without, *scraping.absent_exporters(env)}
    if not env.get("PROMETHEUS_BIN"):
        left_out.add("prometheus")
    if "prometheus" in left_out:  # nobody would read them
        left_out.update(scraping.EXPORTERS)
    if left_out & {"pg-auth", "pg-upload", "pg-files"}:
        left_out.add("roles")
    if store.chosen(env) in left_out:
        left_out.add("store-key")
    if not env.get("GRAFANA_HOME") or "prometheus" in left_out:
        left_out.add(grafana.PART)
    added = environment or {}
    return [
        dataclasses.replace(one, env={**one.env, **added.get(one.name, {})})
        for one in topology.load_topology(env, without=left_out)
    ]


def start(
    run_dir: Path,
    env: Mapping[str, str],
    *,
    without: Iterable[str] = (),
    environment: Mapping[str, Mapping[str, str]] | None = None,
) -> Stack:
    """Prepares the folder and starts all parts; returns before they are healthy.

    It ends with the calling thread at the latest, so a killed test run leaves nothing behind.
    Programs come from MINIO_BIN, POSTGRES_BIN_DIR … when set, else from the tool cache, into which they are
    installed when missing. Raises `StackError` when a port is taken.
    """
    left_out = set(without)
    wanted = ("postgres", store.chosen(env), "prometheus", *scaling.programs(env))
    needed = [name for name in wanted if name not in left_out]
    with Installer(env, echo=lambda line: print(line, file=sys.stderr)) as tools:
        ready = prepare(run_dir, {**env, **tools.locate(needed)})
    parts = resolve(ready, without=left_out, environment=environment)
    check_ports(parts, ready)
    publish(run_dir, ready)
    life.launch(run_dir, parts, tied=True)
    return Stack(run_dir, ready)


def check_ports(parts: Iterable[Part], env: Mapping[str, str]) -> None:
    """Tries every port of every part before anything starts; `env` has their names."""
    wanted = {port: one.host for one in parts for port in one.ports}
    taken = ports.busy(wanted, wanted)
    # No part listens there, but every run would find what another testbed has there. What else does will go.
    taken += [one for one in ports.busy([int(env[ports.OF_RUNS])]) if one.testbed]
    if taken:
        raise StackError(ports.explained(taken, env, settings.free_shift(env)))


def wait_healthy(
    stack: Stack,
    *,
    timeout_s: float = HEALTHY_TIMEOUT_S,
    watch: Callable[[Rows], None] = lambda rows: None,
) -> Rows:
    """Returns when every part is up; raises `StackError` with the last log lines when one is lost."""
    end = time.monotonic() + timeout_s
    while True:
        rows = stack.rows()
        watch(rows)
        lost = [name for name, row in rows.items() if row["state"] in LOST]
        if lost:
            raise StackError(_story(stack, rows, lost))
        slow = [name for name, row in rows.items() if row["state"] not in UP]
        if not slow:
            return rows
        if time.monotonic() > end:
            raise StackError(f"not healthy after {timeout_s:.0f} s\n" + _story(stack, rows, slow))
        time.sleep(POLL_S)


def _story(stack: Stack, rows: Rows, names: Sequence[str]) -> str:
    """Why each of these parts is not up. Those that only wait for another say so in one line."""
    lines, run_dir = [], stack.run_dir
    for name in names:
        lines.append(f"{name}: {rows[name]['state']} {rows[name]['detail']}".rstrip())
        if rows[name]["state"] not in ("not-started", "waiting"):
            lines += [f"    {line}" for line in control.last_lines(run_dir, name)]
            lines.append(f"    (all of it: {run_dir}/logs/{name}.log)")
    if not (space := room.of(run_dir, stack.env)).enough:
        lines.append(f"The disk is nearly full: {space}. Make room, then run make up again.")
    return "\n".join(lines)


def digest(parts: Sequence[Part]) -> str:
    """Names a set of parts: equal parts, equal digest. The supervisor reports the one it runs."""
    return hashlib.sha256(part.dump(parts).encode()).hexdigest()
