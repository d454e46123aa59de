"""Ports of this host: which are free, who has the ones that are not, and the words that move them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compose import envfile, process

FIRST, LAST = 20000, 32700  # below the range the kernel usually gives to outgoing connections
LENT, RESERVED = (
    Path("/proc/sys/net/ipv4", name) for name in ("ip_local_port_range", "ip_local_reserved_ports")
)
APART = 6181  # by the golden ratio: the next dozens of process ids begin a hundred ports away, or more
LISTEN = "0A"
OF_RUNS = "HARNESS_METRICS_PORT"
SHOWN = 100  # characters of a command: enough to know it, some have ten options behind
# `localhost` may be either: whoever listens on one of them answers for us.
LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Busy:
    """A port that cannot be had on an address. `pid` is 0 when it may not be seen; `testbed` is the run
    folder when it belongs to one, `kept` when nobody listens there until its next run; `error` is set when it
    is not that somebody listens."""

    port: int
    pid: int
    command: str
    host: str = LOOPBACK[0]
    testbed: str = ""
    kept: bool = False
    error: str = ""

    def __str__(self) -> str:
        if self.kept:
            return f"port {self.port} is kept by the testbed in {self.testbed} for its runs"
        if self.error:
            return f"port {self.port} of {self.host} cannot be had: {self.error}"
        shown = self.command if len(self.command) <= SHOWN else self.command[: SHOWN - 1] + "…"
        owner = f"process {self.pid}: {shown}" if self.pid else "a process of another user"
        if self.testbed:
            owner = f"the testbed in {self.testbed} ({owner})"
        return f"port {self.port} is taken by {owner}"


def free(count: int) -> list[int]:
    """So many ports that nobody has now, far from those that processes beside this one are given."""
    found: list[int] = []
    candidates, kept = iter(range(FIRST + os.getpid() * APART % 10000, LAST)), _kept()
    while len(found) < count:
        port = next(candidates)
        if port not in kept and all(_refusal(host, port) != errno.EADDRINUSE for host in LOOPBACK):
            found.append(port)
    return found


def busy(ports: Iterable[int], hosts: Mapping[int, str] | None = None) -> list[Busy]:
    """Those of the ports that cannot be had now, with their owners.

    Each is tried on loopback, by IPv4 and IPv6; one that `hosts` names, on that address too.
    """
    own, kept = hosts or {}, _kept()
    refused = [
        found for port in ports if (found := _refused(port, own.get(port, LOOPBACK[0])) or kept.get(port))
    ]
    owners = _owners(one.port for one in refused if not one.error)
    return [_with_owner(one, owners.get(one.port, 0)) for one in refused]


def lent(ports: Iterable[int], span: Path = LENT, reserved: Path = RESERVED) -> list[int]:
    """Those that the kernel gives to outgoing connections: any of them may be taken at any moment.

    None where there is no such file, as on macOS.
    """
    try:
        first, last = map(int, span.read_text().split())
        kept = [part.split("-") for part in reserved.read_text().strip().split(",") if part]
    except OSError:
        return []
    return [
        port
        for port in ports
        if first <= port <= last and not any(int(part[0]) <= port <= int(part[-1]) for part in kept)
    ]


def are_free(wanted: Mapping[int, str]) -> bool:
    """Whether all of these can be had now: on loopback, and on the address each stands with."""
    kept = _kept()
    return not any(port in kept or _refused(port, host) for port, host in wanted.items())


def _kept() -> dict[int, Busy]:
    """Ports on which the testbeds that run here listen only while one of their runs is on."""
    found = {}
    for folder in process.testbeds().values():
        # Another user's, or one of a comparison, which has none.
        with contextlib.suppress(OSError, ValueError, KeyError, envfile.EnvError):
            port = int(envfile.read(Path(folder, "ports.env"))[OF_RUNS])
            found[port] = Busy(port, 0, "", testbed=folder, kept=True)
    return found


def explained(taken: Sequence[Busy], env: Mapping[str, str], shift: int | None = None) -> str:
    """What is taken, by the names of `env`, and what may be done about it.

    `shift` is a PORT_SHIFT by which every port is free, when there is one.
    """
    names = {value: name for name, value in env.items() if name.endswith("_PORT")}
    said = [f"{names.get(str(one.port), 'port')}: {one}" for one in taken]
    if any(one.error for one in taken):
        said.append(
            "GATEWAY_HOST must be an address of this machine, and each port one that this account may open"
        )
    held = [names[str(one.port)] for one in taken if not one.error and str(one.port) in names]
    if held:
        words = [f"{name}={port}" for name, port in zip(held, free(len(held)), strict=True)]
        said += ["End what holds it, or move ours:", f"  make up {' '.join(words)}"]
        if shift is not None:
            said.append(f"  make up PORT_SHIFT={shift}        moves all ports, for a testbed beside another")
    return "\n".join(said)


def _refused(port: int, own: str) -> Busy | None:
    for host in dict.fromkeys((own, *LOOPBACK)):
        found = _refusal(host, port)
        if found == errno.EADDRINUSE:
            return Busy(port, 0, "", host)
        if found and host == own:
            return Busy(port, 0, "", host, error=os.strerror(found))
    return None


def _refusal(host: str, port: int) -> int:
    """Why nobody could listen there now (`errno`); 0 when somebody could."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections do not count
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, port))
            sock.listen(1)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _with_owner(one: Busy, pid: int) -> Busy:
    if not pid:
        return one
    return Busy(one.port, pid, process.command_line(pid), one.host, process.testbed_of(pid))


def _owners(ports: Iterable[int]) -> dict[int, int]:
    """Port to process id, through the socket's inode; only processes we may look at."""
    inodes, owners = _listening(set(ports)), dict[int, int]()
    for link in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            target = str(link.readlink())
        except OSError:  # gone, or not ours to see
            continue
        if target.startswith("socket:[") and target[8:-1] in inodes:
            owners.setdefault(inodes[target[8:-1]], int(link.parts[2]))
    return owners


def _listening(ports: set[int]) -> dict[str, int]:
    inodes: dict[str, int] = {}
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for fields in map(str.split, lines):
            port = int(fields[1].rpartition(":")[2], 16)
            if fields[3] == LISTEN and port in ports:
                inodes[fields[9]] = port
    return inodes
