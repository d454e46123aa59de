"""A Redis of a test's own, with the configuration of the product."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compose import joints, ports
from compose.installer.programs import Installer
from tests.leftovers import owned_folder

START_S = 30.0


@dataclass(slots=True)
class RedisServer:
    program: str
    folder: Path
    port: int
    password: str
    child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.child = subprocess.Popen(
            [self.program, str(self.folder / "redis.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_S
        while not self._listens():
            assert self.child.poll() is None, f"ended with exit code {self.child.returncode}"
            assert time.monotonic() < end, "does not listen"
            time.sleep(0.01)  # a poll: there is no event to wait for

    def _listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None

    def freeze(self) -> None:
        """It keeps its connections and says nothing."""
        assert self.child is not None
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.child is not None
        self.child.send_signal(signal.SIGCONT)


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    with Installer(os.environ, echo=lambda line: print(line, file=sys.stderr)) as tools:
        program = tools.locate(["redis"])["REDIS_BIN"]
    with owned_folder() as folder:
        (port,), password = ports.free(1), secrets.token_hex(16)
        joints.write_redis(folder, {"REDIS_PORT": str(port), "REDIS_PASSWORD": password})
        server = RedisServer(program, folder, port, password)
        server.start()
        try:
            yield server
        finally:
            server.kill()
