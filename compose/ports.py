"""Ports of this host: which are free, and who has the ones that are not."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compose import process

FIRST, LAST = 20000, 32700  # below the range the kernel gives to outgoing connections
LISTEN = "0A"
SHOWN = 100  # characters of a command: enough to know it, some have ten options behind


@dataclass(frozen=True, slots=True)
class Busy:
    """A port that somebody listens on; `pid` is 0 when it may not be seen."""

    port: int
    pid: int
    command: str

    def __str__(self) -> str:
        shown = self.command if len(self.command) <= SHOWN else self.command[: SHOWN - 1] + "…"
        owner = f"process {self.pid}: {shown}" if self.pid else "a process of another user"
        return f"port {self.port} is taken by {owner}"


def free(count: int) -> list[int]:
    """So many ports that nobody has now."""
    with contextlib.ExitStack() as held:
        found: list[int] = []
        candidates = iter(range(FIRST + os.getpid() * 37 % 10000, LAST))
        while len(found) < count:
            port = next(candidates)
            sock = held.enter_context(socket.socket())
            if _bind(sock, port):
                found.append(port)
        return found


def busy(ports: Iterable[int]) -> list[Busy]:
    """Those of the ports that cannot be bound on loopback now, with their owners."""
    taken = []
    for port in ports:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections do not count
            if not _bind(sock, port):
                taken.append(port)
    owners = _owners(taken) if taken else {}
    return [Busy(port, owners.get(port, 0), _command(owners.get(port, 0))) for port in taken]


def _bind(sock: socket.socket, port: int) -> bool:
    try:
        sock.bind(("127.0.0.1", port))
        sock.listen(1)
    except OSError:
        return False
    return True


def _command(pid: int) -> str:
    return process.command_line(pid) if pid else ""


def _owners(ports: Iterable[int]) -> dict[int, int]:
    """Port to process id, through the socket's inode; only processes we may look at."""
    inodes = _listening(set(ports))
    owners: dict[int, int] = {}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
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
