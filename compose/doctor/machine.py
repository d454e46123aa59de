"""Checks of the machine: size, names, limits, and what would make measurements dishonest."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from compose import room, scaling
from compose.cores import cores
from compose.doctor.model import Check, judge
from compose.installer import recipe
from compose.room import GB
from compose.settings import Settings

MEMORY_BYTES, OPEN_FILES = 4 * GB, 8192
IN_MEMORY = ("tmpfs", "ramfs")
PRESSURE_PERCENT, STEAL_PERCENT = 20.0, 5.0
OLDEST_CLOCK = 1_760_000_000  # this file is younger than that


def host(now: Settings) -> Iterator[Check]:
    """Platform, memory, disk, open files, clock."""
    platforms = recipe.load()[0].sha256
    text = f"{platform.system()} {platform.machine()}, {cores()} cores"
    yield judge("host", recipe.host() in platforms, text, "bring the programs yourself (*_BIN)", "warn")
    counts = ", ".join(f"{part} {scaling.replicas(now.env, part)}" for part in scaling.REPLICATED)
    chosen = now.env.get("WORKERS") or scaling.AUTO
    yield Check(
        "host", "ok", f"processes: {counts}" + ("" if scaling.scaled(now.env) else f" (WORKERS={chosen})")
    )
    pool = now.env.get("DB_POOL_MAX") or scaling.POOL
    shown = ", ".join(
        f"{part} {scaling.replicas(now.env, part)} x {pool} of {now.env[f'PG_{part.upper()}_CONNECTIONS']}"
        for part in scaling.POOLED
    )
    yield Check("host", "ok", f"pools and connections of the databases: {shown}")
    musl = any(Path("/lib").glob("ld-musl-*"))
    yield judge("host", not musl, f"C library: {'musl' if musl else 'glibc'}", "set POSTGRES_BIN_DIR", "warn")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield judge("host", memory >= MEMORY_BYTES, f"memory: {memory / GB:.1f} GB", "4 GB are needed", "warn")
    space, word = room.of(now.run_dir, now.env), room.spooled_by(now.env)
    less = f", or leave {word} out" if word else ""
    yield judge(
        "host",
        space.usable_bytes >= room.DATA_BYTES,
        str(space),
        f"make room, or choose a folder elsewhere (VAULTBENCH_RUN_DIR=){less}: {room.DATA_BYTES / GB:.0f} GB"
        " are needed beside that",
    )
    kind = file_system(room.existing(now.run_dir))
    remedy = "results would have no disk in the path; use a folder on a disk (VAULTBENCH_RUN_DIR=)"
    yield judge("host", kind not in IN_MEMORY, f"data is on {kind}", remedy, "warn")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = files == resource.RLIM_INFINITY or files >= OPEN_FILES
    text = f"open files: {'no limit' if files == resource.RLIM_INFINITY else files}"
    yield judge("host", enough, text, f"let this account have {OPEN_FILES} (its hard limit)", "warn")
    yield judge(
        "host", time.time() > OLDEST_CLOCK, "clock is set", "set the clock: signatures expire", "fail"
    )


def names(_: Settings) -> Iterator[Check]:
    """`localhost` is part of what presigned URLs sign."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)}
    except OSError:
        found = set()
    text = f"localhost is {', '.join(sorted(map(str, found))) or 'unknown'}"
    yield judge("names", "127.0.0.1" in found, text, "add `127.0.0.1 localhost` to /etc/hosts")


def limits(_: Settings) -> Iterator[Check]:
    """What can be limited and pinned here, and whether children die with the supervisor."""
    version = 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1
    root = os.geteuid() == 0
    yield Check(
        "limits", "ok", f"cgroup version {version}; {'root may set' if root else 'only root sets'} limits"
    )
    yield judge("limits", bool(shutil.which("taskset")), "taskset", "install util-linux to pin cores", "warn")
    remedy = "install util-linux: without it a killed supervisor leaves processes"
    yield judge("limits", bool(shutil.which("setpriv")), "setpriv", remedy, "warn")


def honesty(_: Settings) -> Iterator[Check]:
    """Whether others use the processor now, and whether its clock may wander."""
    governors = {
        path.read_text().strip()
        for path in Path("/sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_governor")
    }
    text = f"processor governor: {', '.join(governors) or 'not shown'}"
    yield judge("honesty", governors <= {"performance"}, text, "set `performance` for steady numbers", "warn")
    pressure = _pressure()
    text = (
        f"others wait for the processor {pressure:.0f} % of the time"
        if pressure is not None
        else "pressure not shown"
    )
    yield judge(
        "honesty", (pressure or 0) < PRESSURE_PERCENT, text, "measure when the machine is quiet", "warn"
    )
    steal = _steal()
    text = f"stolen by other machines since boot: {steal:.1f} %"
    yield judge(
        "honesty", steal < STEAL_PERCENT, text, "a shared host: repeat runs, compare only pairs", "warn"
    )


def _pressure() -> float | None:
    try:
        fields = Path("/proc/pressure/cpu").read_text().split()
    except OSError:
        return None
    return float(fields[1].partition("=")[2])


def _steal() -> float:
    try:
        ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return 0.0
    return 100 * ticks[7] / max(sum(ticks), 1)


def file_system(path: Path) -> str:
    """Type of the file system a path is on."""
    best, kind = "", "a file system that does not say"
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return kind
    for _, mount, name, *_ in map(str.split, lines):
        if path.is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, name
    return kind
