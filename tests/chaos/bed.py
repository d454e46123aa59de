"""The system under attack: two processes of each service, fault proxies between them and before the store.

``Variant`` is what a case needs of the upload service; turning to another one restarts it.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minio import Minio

from compose.scaling import variables
from compose.unit import UP
from tests.chaos.fault_proxy import FaultProxy
from tests.chaos.plan import Strategy
from tests.leftovers import unmount
from tests.stack import Added, System, running_system

LEASE_S = 2.0
AHEAD_S = 120
DISK_MIB = 64
SETTINGS = {
    "WORKERS": "2",
    "LEASE_S": str(LEASE_S),
    "FINALISE_BACKOFF_S": "0.1",
    "FINALISE_ATTEMPTS": "20",
    "RATE_LIMIT": "0",
    "SHUTDOWN_S": "5",
}
BACK_S, POLL_S = 60.0, 0.05
HOPS = ("upload", "files")
UPLOADS = ("upload", "upload-2")


@dataclass(frozen=True, slots=True)
class Variant:
    chunk_store: str = "s3"
    clock_ahead: bool = False


class NotBack(Exception):
    """Parts that did not come back after a fault; the text names them."""


@dataclass(slots=True)
class Bed:
    """One running system. ``disk``: whether its spool is a small disk of its own."""

    system: System
    proxy: FaultProxy
    disk: bool
    faketime: Path | None
    strategies: frozenset[Strategy]  # that this system has
    keeps_beginnings: bool  # whether its store keeps a PUT that broke off
    variant: Variant = Variant()
    struck: int = 0  # faults since ``mark``
    _ticks: dict[str, int] = field(default_factory=dict)
    away_s: dict[str, float] = field(default_factory=dict)  # by part killed since ``mark``, until it was well
    _killed: dict[str, float] = field(default_factory=dict)  # when, by part

    @property
    def spool(self) -> Path:
        return self.system.stack.run_dir / "spool"

    @property
    def store_part(self) -> str:
        return self.system.store_part

    def turn_to(self, variant: Variant) -> None:
        """Restart the upload service where it must run otherwise."""
        if variant == self.variant:
            return
        for name in UPLOADS:
            env = {"CHUNK_STORE": variant.chunk_store}
            if variant.clock_ahead and name == UPLOADS[-1]:
                env |= ahead(self.faketime)
            self.system.stack.control("restart", name, env=env)
        self.variant = variant

    def kill(self, name: str) -> None:
        self._killed[self._part(name)] = time.time()
        self._control("kill", name)

    def pause(self, name: str) -> None:
        self._control("pause", name)

    def resume(self, name: str) -> None:
        self._control("resume", name)

    def _control(self, operation: str, name: str) -> None:
        """A part that is down at this moment, because of another fault, is left alone."""
        with suppress(Exception):
            self.system.stack.control(operation, self._part(name))

    def _part(self, name: str) -> str:
        return self.store_part if name == "store" else name

    def fill_disk(self) -> None:
        with suppress(OSError), (self.spool / "filler").open("wb") as file:
            while file.write(bytes(1024 * 1024)):
                file.flush()

    def free_disk(self) -> None:
        (self.spool / "filler").unlink(missing_ok=True)

    def mark(self) -> None:
        """Remember which processes run, for ``wait_back``."""
        self.struck = 0
        self._killed.clear()
        self.away_s.clear()
        self._ticks = {name: row["start_ticks"] for name, row in self.system.stack.rows().items()}

    def wait_back(self) -> None:
        """Resume what stands still, and wait until all parts are well.

        Raises:
            NotBack: one stays away.
        """
        began = time.monotonic()
        while True:
            rows = self.system.stack.rows()
            for name, row in rows.items():
                if row["state"] == "paused":
                    self.resume(name)
            wrong = {name: row["state"] for name, row in rows.items() if not self._well(name, row)}
            if not wrong:
                self._note_absences(rows)
                return
            if time.monotonic() - began > BACK_S:
                raise NotBack(f"not back after {BACK_S:.0f} s: {wrong}")
            time.sleep(POLL_S)

    def _note_absences(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        for name, killed_at in self._killed.items():
            started_at = datetime.fromisoformat(rows[name]["started_at"]).timestamp()
            self.away_s[name] = started_at + rows[name]["healthy_after_s"] - killed_at

    def _well(self, name: str, row: Mapping[str, object]) -> bool:
        if row["state"] not in UP or row["state"] == "paused":
            return False
        return name not in self._killed or row["start_ticks"] not in (0, self._ticks.get(name))


def ahead(library: Path | None) -> dict[str, str]:
    """An environment in which the wall clock, and only that, is two minutes ahead."""
    assert library is not None
    return {"LD_PRELOAD": str(library), "FAKETIME": f"+{AHEAD_S}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@contextmanager
def running_bed(
    faketime: Path | None = None,
    *,
    settings: Mapping[str, str] | None = None,
    say: Callable[[str], None] = print,
) -> Iterator[Bed]:
    """Start everything with the proxies in between.

    Args:
        faketime: the library that shifts a process's clock.
        settings: more of what ``make up`` would be given.
        say: takes a sentence for each thing that cannot be done here.
    """
    with FaultProxy() as proxy:

        def wired(env: Mapping[str, str]) -> Added:
            return wire(proxy, env)

        with running_system(wired, chosen={**SETTINGS, **(settings or {})}) as system:
            with small_disk(system.stack.run_dir / "spool", say) as disk:
                if keeps := keeps_beginnings(system):
                    say("no PUT of a whole file breaks off: this store keeps beginnings (docs/stores.md)")
                yield Bed(system, proxy, disk, faketime, offered(system), keeps)
            proxy.disarm()


def offered(system: System) -> frozenset[Strategy]:
    """All but whole files in one request, where there is no such route yet."""
    where = urlsplit(system.gateway)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
    try:
        connection.request("POST", "/api/upload/file")
        absent = connection.getresponse().status == 404
    finally:
        connection.close()
    return frozenset(Strategy) - ({Strategy.FILE} if absent else set())


def keeps_beginnings(system: System) -> bool:
    """What the store makes of a PUT whose second byte never comes."""
    env, key = system.stack.env, "chaos/beginning"
    place = urlsplit(env["S3_ENDPOINT"])
    store = Minio(
        place.netloc,
        env["MINIO_ROOT_USER"],
        env["MINIO_ROOT_PASSWORD"],
        secure=False,
        region=env["S3_REGION"],
    )
    url = urlsplit(store.presigned_put_object(env["S3_BUCKET"], key))
    head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 2\r\n\r\n"
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"x")
        connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while connection.recv(4096):
                pass
    kept = any(store.list_objects(env["S3_BUCKET"], key))
    store.remove_object(env["S3_BUCKET"], key)
    return kept


def wire(proxy: FaultProxy, env: Mapping[str, str]) -> Added:
    """Put a port of the proxy before the store and before each process that others call."""
    store = proxy.listen("store", f"http://127.0.0.1:{env['S3_PORT']}")
    addresses: dict[str, str] = {}
    for hop in HOPS:
        upstreams = [f"http://127.0.0.1:{env[variables(hop, replica)[0]]}" for replica in (1, 2)]
        addresses[hop] = ",".join(f"http://127.0.0.1:{proxy.listen(hop, one)}" for one in upstreams)
    through = {"S3_ENDPOINT": f"http://127.0.0.1:{store}", "S3_PUBLIC_ENDPOINT": f"http://localhost:{store}"}
    gateway = {"UPLOAD_URLS": addresses["upload"], "FILES_URLS": addresses["files"]}
    upload = {**through, "FILES_URLS": addresses["files"]}
    return {
        "gateway": gateway, "gateway-2": gateway,
        "upload": upload, "upload-2": upload,
        "files": through, "files-2": through,
    }  # fmt: skip


@contextmanager
def small_disk(folder: Path, say: Callable[[str], None]) -> Iterator[bool]:
    """A disk of a few MiB in place of a folder, where we may mount one; whether there is one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=700", "none", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        say(f"no full disks: a small disk cannot be mounted here ({mounted.stderr.strip()})")
    try:
        yield mounted.returncode == 0
    finally:
        unmount(folder)
