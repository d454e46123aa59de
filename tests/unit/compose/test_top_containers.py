"""The live view of containers: what the engine's answers become, over a socket as the engine has one."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from compose.top import __main__ as edge
from compose.top.containers import ONCE, ContainerProcesses, look_in, open_containers, seconds, state_of
from compose.top.processes import HARNESS, Part

pytestmark = pytest.mark.unit
MIB = 1 << 20


class Answers(BaseHTTPRequestHandler):
    """An engine with three containers; `cpu_s` is what the first has used, a second later each time."""

    protocol_version = "HTTP/1.0"
    listed: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[str]] = []
    looks: ClassVar[int] = 0
    steps_s: ClassVar[float] = 1.0

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        path = urlsplit(self.path).path.removeprefix("/v1.47")
        if path == "/version":
            self._say(200, {"ApiVersion": "1.47"})
        elif path == "/containers/json":
            label = json.loads(parse_qs(urlsplit(self.path).query)["filters"][0])["label"]
            self._say(200, self.listed if label == ["com.docker.compose.project=vb"] else [])
        elif path == "/containers/one/stats":
            type(self).looks += 1
            self._say(200, stats(self.looks * self.steps_s, cpu_s=self.looks * 0.25))
        elif path == "/containers/one/json":
            self._say(200, {"Id": "one", "RestartCount": 2})
        else:
            self._say(404, {"message": "no such container"})

    def _say(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        """Quiet."""


def stats(at_s: float, *, cpu_s: float) -> dict[str, Any]:
    return {
        "read": f"2026-05-04T12:00:{at_s:012.9f}Z",
        "cpu_stats": {"cpu_usage": {"total_usage": int(cpu_s * 1e9)}},
        "memory_stats": {"usage": 900 * MIB, "stats": {"anon": 40 * MIB, "file_mapped": 2 * MIB}},
    }


def entry(
    name: str, service: str, state: str = "running", status: str = "Up 2 minutes", **labels: str
) -> Any:
    own = {"com.docker.compose.service": service, **labels}
    return {"Id": name, "State": state, "Status": status, "Labels": own}


@contextmanager
def engine(path: Path) -> Iterator[str]:
    """The address of its socket."""
    Answers.asked, Answers.looks, Answers.steps_s = [], 0, 1.0
    with socketserver.ThreadingUnixStreamServer(str(path), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ContainerProcesses]:
    Answers.listed = [
        entry("one", "gateway", status="Up 2 minutes (healthy)"),
        entry("two", "upload", "exited", "Exited (137) 4 seconds ago"),
        entry("three", "bench", "created", "Created"),
        entry("four", "bench", **{"com.docker.compose.oneoff": "True"}),
    ]
    with engine(tmp_path / "docker.sock") as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        with open_containers("vb") as processes:
            yield processes


def test_a_rate_needs_two_looks_and_the_engine_says_when_it_looked(found: ContainerProcesses) -> None:
    first = {part.name: part for part in found.look(100.0)}
    assert first["gateway"] == Part("gateway", "healthy", 2, None, 42 * MIB)
    second = {part.name: part for part in found.look(107.0)}  # our clock says nothing about theirs
    assert second["gateway"].cpu_cores == pytest.approx(0.25)


def test_the_same_reading_twice_keeps_the_rate(found: ContainerProcesses) -> None:
    for now_s in (1.0, 2.0):
        found.look(now_s)
    Answers.steps_s = 0.0  # an engine that answers from a look of before
    kept = {part.name: part for part in found.look(3.0)}
    assert kept["gateway"].cpu_cores == pytest.approx(0.25)


def test_what_has_ended_uses_nothing_and_one_command_is_no_part(found: ContainerProcesses) -> None:
    parts = {part.name: part for part in found.look(1.0)}
    assert set(parts) == {"gateway", "upload", HARNESS}
    assert parts["upload"] == Part("upload", "exited (137)", 0, 0.0, 0)
    assert not any("/containers/two/" in path for path in Answers.asked)


def test_restarts_are_asked_for_seldom(found: ContainerProcesses) -> None:
    for now_s in (1.0, 2.0, 3.0, 6.5):
        found.look(now_s)
    assert Answers.asked.count("/v1.47/containers/one/json") == 2
    assert sum(path.startswith("/v1.47/containers/one/stats") for path in Answers.asked) == 4


def test_a_container_that_goes_meanwhile_is_no_failure(found: ContainerProcesses) -> None:
    Answers.listed = [entry("gone", "files", status="Up 1 second (health: starting)")]
    assert found.look(1.0) == [Part("files", "starting", 0, 0.0, 0)]


@pytest.mark.parametrize(
    ("state", "status", "word"),
    [
        ("running", "Up 3 hours (healthy)", "healthy"),
        ("running", "Up 3 hours (unhealthy)", "unhealthy"),
        ("running", "Up 1 second (health: starting)", "starting"),
        ("running", "Up 3 hours", "running"),
        ("exited", "Exited (0) 2 hours ago", "exited (0)"),
        ("paused", "Up 3 hours (healthy) (Paused)", "paused"),
        ("restarting", "Restarting (1) 2 seconds ago", "restarting"),
    ],
)
def test_states_in_one_word(state: str, status: str, word: str) -> None:
    assert state_of("upload", state, status) == word


@pytest.mark.parametrize("name", ONCE)
def test_what_ends_when_its_work_is_done_is_not_lost(name: str) -> None:
    assert state_of(name, "exited", "Exited (0) 2 hours ago") == "done"
    assert state_of(name, "exited", "Exited (1) 2 hours ago") == "exited (1)"


def test_counters_of_both_kinds_of_control_groups_and_none() -> None:
    older = stats(1.0, cpu_s=1.5) | {"memory_stats": {"stats": {"total_rss": 7, "total_mapped_file": 3}}}
    look = look_in(older)
    assert look is not None
    assert (look.cpu_s, look.memory_bytes) == (1.5, 10)
    assert look_in({"read": "0001-01-01T00:00:00Z", "cpu_stats": {}, "memory_stats": {}}) is None


def test_times_of_the_engine() -> None:
    assert seconds("1970-01-01T00:00:01.123456789Z") == pytest.approx(1.123456)
    assert seconds("1970-01-01T02:00:01+02:00") == 1.0


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock", "nowhere"])
def test_without_an_engine_one_sentence_and_a_failure(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    done = CliRunner().invoke(edge.main, ["--project", "vb", "--prometheus", "http://127.0.0.1:9", "--once"])
    assert done.exit_code == 1
    assert len(done.output.splitlines()) == 1
    assert "Docker engine" in done.output
    assert host in done.output
