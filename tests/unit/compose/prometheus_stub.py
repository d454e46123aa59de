"""A server that answers like Prometheus, with the answers a test gives it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Series = list[tuple[Mapping[str, str], float]]


@dataclass(slots=True)
class Answers:
    """By expression; `asked` counts requests, `connections` whence they came."""

    series: dict[str, Series] = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    asked: list[str] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    url: str = ""

    def answer(self, target: str) -> dict[str, Any]:
        parts = urlsplit(target)
        if self.error:
            return {"status": "error", "error": self.error}
        if parts.path == "/api/v1/alerts":
            return {"status": "success", "data": {"alerts": self.alerts}}
        (expression,) = parse_qs(parts.query)["query"]
        self.asked.append(expression)
        found = self.series.get(expression, [])
        result = [{"metric": dict(labels), "value": [0, str(value)]} for labels, value in found]
        return {"status": "success", "data": {"resultType": "vector", "result": result}}


def alert(name: str, state: str = "firing", severity: str = "critical", summary: str = "") -> dict[str, Any]:
    labels = {"alertname": name, "severity": severity}
    return {
        "labels": labels,
        "annotations": {"summary": summary},
        "state": state,
        "activeAt": "2026-05-04T12:00:00Z",
    }


@contextmanager
def serving() -> Iterator[Answers]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answers.connections.add(self.client_address[1])
            body = json.dumps(answers.answer(self.path)).encode()
            self.send_response(400 if answers.error else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    answers.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
