"""Asking Prometheus: one kept-alive connection, never through a proxy, a failure is one exception."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlsplit

TIMEOUT_S = 2.0


class PrometheusGone(Exception):
    """There is no Prometheus at this address, or it refused; the text says which."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant answer; not-a-number values are left out by `query`."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires, or `pending` until its time is over."""

    name: str
    state: str
    severity: str
    summary: str

    @property
    def firing(self) -> bool:
        return self.state == "firing"

    @property
    def line(self) -> str:
        return f"{self.state} {self.name}: {self.summary}".removesuffix(": ")

    @property
    def style(self) -> str:
        """Red when it fires, yellow while it is pending."""
        return "bold red" if self.firing else "yellow"


class Prometheus:
    """Args:
    url: where it listens, without a path.
    """

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def query(self, expression: str) -> list[Sample]:
        """What an expression is now. Raises `PrometheusGone`."""
        result = self._get(f"/api/v1/query?query={quote(expression)}")["result"]
        samples = (Sample(one["metric"], float(one["value"][1])) for one in result)
        return [sample for sample in samples if sample.value == sample.value]

    def alerts(self) -> list[Alert]:
        """What fires first, then what is pending; by severity and name. Raises `PrometheusGone`."""
        found = [_alert(one) for one in self._get("/api/v1/alerts")["alerts"]]
        return sorted(found, key=lambda one: (not one.firing, one.severity, one.name, one.summary))

    def _get(self, path: str) -> dict[str, Any]:
        try:
            self._connection.request("GET", path)
            answer = json.loads(self._connection.getresponse().read())
            if answer["status"] != "success":
                raise PrometheusGone(f"Prometheus refuses: {answer.get('error', '?')}")
            data: dict[str, Any] = answer["data"]
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as exc:
            self._connection.close()
            raise PrometheusGone(f"no answer from Prometheus ({type(exc).__name__})") from exc
        return data


def _alert(given: Mapping[str, Any]) -> Alert:
    labels, notes = given["labels"], given.get("annotations", {})
    return Alert(
        name=labels["alertname"],
        state=given["state"],
        severity=labels.get("severity", ""),
        summary=notes.get("summary") or notes.get("description") or "",
    )
