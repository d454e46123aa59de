"""Asking the Docker engine over its socket: a question, a JSON answer."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlencode

SOCKET = "/var/run/docker.sock"
TIMEOUT_S = 5.0


class EngineGone(Exception):
    """The engine does not answer, or does not know what it was asked for; the text says which."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("docker", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """Usable from several threads: every question has a connection of its own."""

    def __init__(self, path: str = SOCKET, timeout_s: float = TIMEOUT_S) -> None:
        self._path, self._timeout_s = path, timeout_s

    def get(self, path: str, **parameters: str) -> Any:
        """The answer. Raises `EngineGone`."""
        connection = _Connection(self._path, self._timeout_s)
        try:
            connection.request("GET", f"{path}?{urlencode(parameters)}" if parameters else path)
            answer = connection.getresponse()
            found = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise EngineGone(f"no answer from the Docker engine ({type(exc).__name__})") from exc
        finally:
            connection.close()
        if answer.status != 200:
            raise EngineGone(f"the Docker engine refuses: {found.get('message', answer.status)}")
        return found
