"""Prometheus servers beside each other: the testbed's own, and one of the other major version."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from compose.installer.cache import root_folder
from compose.settings import ROOT
from compose.stack import Stack

READY_S, POLL_S = 30.0, 0.1


class Refused(Exception):
    """Prometheus did not take an expression; the message is its own."""


def third() -> Path | None:
    """A Prometheus 3: ``PROMETHEUS3_BIN``, else one in the tool cache. Nobody builds it for a test."""
    named = os.environ.get("PROMETHEUS3_BIN")
    if named:
        return Path(named)
    built = sorted(root_folder(os.environ, ROOT).glob("prometheus/3.*/bin/prometheus"))
    return built[-1] if built else None


@contextmanager
def beside(stack: Stack, program: Path, folder: Path) -> Iterator[str]:
    """The URL of a second server that scrapes the same targets under the same rules. What k6 pushes to the
    first one is handed on to it."""
    address = f"127.0.0.1:{_unused_port()}"
    url = f"http://{address}"
    config = stack.run_dir / "prometheus.yml"
    command = [str(program), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
               f"--web.listen-address={address}", "--web.enable-remote-write-receiver"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_ready(url, process, folder / "log")
            _hand_on(stack, config, url)
            yield url
        finally:
            process.terminate()
            process.wait(READY_S)


def _unused_port() -> int:
    """From the kernel's range: the testbed's own numbers include some that nobody listens on yet."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _hand_on(stack: Stack, config: Path, url: str) -> None:
    """The testbed's own server writes what k6 told it to the other one."""
    value = yaml.safe_load(config.read_text(encoding="utf-8"))
    pushed = {"source_labels": ["__name__"], "regex": "k6_.+", "action": "keep"}
    value["remote_write"] = [{"url": f"{url}/api/v1/write", "write_relabel_configs": [pushed]}]
    config.write_text(yaml.safe_dump(value), encoding="utf-8")
    os.kill(stack.rows()["prometheus"]["pid"], signal.SIGHUP)  # it takes no commands over HTTP
    end = time.monotonic() + READY_S
    while url not in ask(stack.env["PROMETHEUS_URL"], "status/config")["yaml"]:
        assert time.monotonic() < end, "Prometheus does not read its configuration again"
        time.sleep(POLL_S)


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urlopen(f"{url}/-/ready", timeout=2):  # noqa: S310  # on loopback
                return
        except (URLError, OSError):
            time.sleep(POLL_S)
    raise AssertionError(f"Prometheus is not ready: {log.read_text(errors='replace')[-2000:]}")


def ask(url: str, path: str, **parameters: str) -> Any:
    """The data of an answer of Prometheus. Raises ``Refused``."""
    try:
        with urlopen(f"{url}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as answer:  # noqa: S310
            return json.load(answer)["data"]
    except HTTPError as error:
        raise Refused(json.load(error).get("error", str(error))) from error


def version(url: str) -> str:
    return str(ask(url, "status/buildinfo")["version"])


def has_numbers(series: Mapping[str, Any]) -> bool:
    """Whether a series holds anything but not-a-number."""
    return any(value not in ("NaN", "+Inf", "-Inf") for _, value in series["values"])


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Nothing on the test's output."""


@contextmanager
def healthy() -> Iterator[str]:
    """Whoever asks finds a Grafana that is well; it is asked for nothing else."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
