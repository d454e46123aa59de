"""`make up`: everything from an empty checkout to a ready testbed; doing it again changes nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console

from compose import (
    behind,
    changes,
    credentials,
    doctor,
    life,
    postgres,
    ready,
    run_folder,
    scaling,
    stack,
    store,
    topology,
    view,
)
from compose.installer.programs import Installer
from compose.part import Part
from compose.prepare import prepare, publish
from compose.scraping import EXPORTER_PROGRAMS
from compose.settings import Settings
from compose.stack import Rows, Stack, StackError
from compose.unit import ENDED, UP

FIRST = ("postgres", "prometheus")
BEHIND = "k6"  # nobody needs it before the first load


def up(settings: Settings, console: Console) -> None:
    """Installs, starts, waits, tells. Raises `StackError`, `ToolError`, … with what to do."""
    began = time.monotonic()
    _record_runtime(settings)
    with _alone(settings.run_dir, console):
        running = life.locked(settings.run_dir)
        if not running:
            doctor.silently(settings, console)
        env = {**settings.env, **_secrets(settings)}
        if not running:  # before minutes are spent on building
            stack.check_ports(stack.resolve({**dict.fromkeys(topology.names(), ""), **env}), env)
        with Installer(env, echo=lambda line: console.print(line, markup=False, highlight=False)) as tools:
            needed = (*FIRST, store.chosen(env), *scaling.programs(env))
            tools.missing((*needed, BEHIND))  # a wrong one of somebody's own is told before anything is built
            env |= tools.locate(needed, optional=EXPORTER_PROGRAMS if tools.find("prometheus") else ())
            env = prepare(settings.run_dir, env)
            waiting = _install_behind(tools, settings)
            testbed = _joined(settings, env, console) if running else _started(settings, env, console)
        _show(testbed, console, began)
        if waiting:
            console.print(waiting, markup=False, highlight=False)


def _install_behind(tools: Installer, settings: Settings) -> str:
    """Installs what only a load needs, in a process of its own that outlives us; what to tell about it.

    Whoever needs it first waits for it, or does it when that process has failed.
    """
    if not tools.missing([BEHIND]):
        return ""
    if settings.offline:
        return f"{BEHIND} is missing: without a network make stress cannot run"
    log = behind.start(settings.run_dir, BEHIND)
    tools.hand_on()  # it may not be so far yet that it has a hold on the caches
    return f"{BEHIND} is being built behind this ({log}); make stress waits for it, make down ends it"


def _record_runtime(settings: Settings) -> None:
    """make chooses between processes and containers; what comes here are processes."""
    if settings.runtime == "compose":
        raise StackError("python -m compose starts processes only; make up RUNTIME=compose starts containers")
    run_folder.own(settings.run_dir)
    (settings.run_dir / "runtime").write_text("native\n")


@contextlib.contextmanager
def _alone(run_dir: Path, console: Console) -> Iterator[None]:
    """One `up` per run folder at a time; the second waits and then finds everything done."""
    with (run_dir / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("another `make up` is at work here; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _secrets(settings: Settings) -> dict[str, str]:
    existing = bool(postgres.existing_data(settings.run_dir))
    return credentials.ensure(settings.secrets_file, os.environ, data_exists=existing)


def _started(settings: Settings, env: Mapping[str, str], console: Console) -> Stack:
    parts = stack.resolve(env)
    stack.check_ports(parts, env)
    publish(settings.run_dir, env)
    changes.record(settings.run_dir, env)
    life.launch(settings.run_dir, parts)
    testbed = Stack(settings.run_dir, env)
    _wait(testbed, parts, console)
    return testbed


def _joined(settings: Settings, env: Mapping[str, str], console: Console) -> Stack:
    """A testbed that runs already: started again where parts have ended, refused when it is another."""
    testbed, parts = Stack(settings.run_dir, env), stack.resolve(env)
    if testbed.control("status")["digest"] != stack.digest(parts):
        raise StackError(changes.told(settings.run_dir, env, os.environ))
    publish(settings.run_dir, env)
    for name, row in testbed.rows().items():
        if row["state"] in ENDED and row["state"] != "done":
            console.print(f"{name} was {row['state']}; starting it again", highlight=False)
            testbed.control("restart", name)
    _wait(testbed, parts, console)
    return testbed


def _wait(testbed: Stack, parts: list[Part], console: Console) -> None:
    seen: dict[str, str] = {}

    def tell(rows: Rows) -> None:
        first = not seen
        for name, row in rows.items():
            if row["state"] != seen.get(name, "waiting") and not (first and row["state"] in UP):
                after = f" after {row['healthy_after_s']:.2f} s" if row["state"] == "healthy" else ""
                console.print(f"{name:<10} {row['state']}{after} {row['detail']}".rstrip(), highlight=False)
            seen[name] = row["state"]

    stack.wait_healthy(testbed, watch=tell)
    ready.gateway_well(testbed.env)
    if any(part.name == "prometheus" for part in parts):
        console.print("waiting until Prometheus has looked at every part once (up to 20 s)", highlight=False)
        ready.wait_targets(testbed.env)


def _show(testbed: Stack, console: Console, began: float) -> None:
    rows = testbed.rows()
    console.print()
    console.print(view.table(rows))
    view.print_memory(console, rows)
    view.print_addresses(console, testbed.env, prometheus="prometheus" in rows)
    took_s = time.monotonic() - began
    console.print(f"\n[green]ready[/] after {took_s:.1f} s. Next: make demo, make stress", highlight=False)
