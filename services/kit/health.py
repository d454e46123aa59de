"""Health: is the process alive, can it do its work, and what exactly is wrong.

Checks run side by side, each for at most 2 s, and their results are kept for 2 s; whoever asks while they
run waits for the same run. So no number of probers can load what they probe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeAlias

from services.kit.errors import Fault

CHECK_LIMIT_S = 2.0
CACHE_S = 2.0
Results: TypeAlias = dict[str, dict[str, Any]]  # by name: ok, latency_ms, message
Check = Callable[[], Awaitable[str | None]]  # a note for people, or None; raises when not ok


class NotOkError(Exception):
    """A check's own refusal; its text is shown."""


class Watched:
    """Some checks and what they found last."""

    def __init__(self, checks: Mapping[str, Check], monotonic: Callable[[], float]) -> None:
        self._checks, self._monotonic = checks, monotonic
        self._kept: tuple[float, Results] | None = None
        self._running: asyncio.Task[Results] | None = None

    async def results(self) -> Results:
        """At most 2 s old."""
        if self._kept is not None and self._monotonic() - self._kept[0] < CACHE_S:
            return self._kept[1]
        if self._running is None:
            self._running = asyncio.create_task(self._run_all())
        return await asyncio.shield(self._running)  # others wait for it too, when this one leaves

    async def _run_all(self) -> Results:
        try:
            outcomes = await asyncio.gather(*(_run(check) for check in self._checks.values()))
            results = dict(zip(self._checks, outcomes, strict=True))
            self._kept = (self._monotonic(), results)
            return results
        finally:
            self._running = None


async def _run(check: Check) -> dict[str, Any]:
    started = perf_counter()
    try:
        async with asyncio.timeout(CHECK_LIMIT_S):
            message = await check() or "ok"
        good = True
    except TimeoutError:
        good, message = False, "no answer in time"
    except NotOkError as error:
        good, message = False, str(error)
    except Fault as error:
        good, message = False, error.message
    except (OSError, ValueError) as error:
        good, message = False, type(error).__name__
    return {"ok": good, "latency_ms": round((perf_counter() - started) * 1000, 2), "message": message}


@dataclass(slots=True)
class Health:
    """A process's checks. While ``draining`` the process is not ready.

    ``detailed_checks`` are run for ``/health/detailed`` only: they do not decide readiness.
    """

    service: str
    greeting: str
    checks: dict[str, Check]
    monotonic: Callable[[], float]
    version: str = "0.1.0"
    details: Callable[[], dict[str, Any]] = dict
    detailed_checks: dict[str, Check] = field(default_factory=dict)
    draining: Callable[[], bool] = lambda: False
    started_at: float = field(init=False)
    _ready: Watched = field(init=False)
    _detailed: Watched = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.monotonic()
        self._ready = Watched(self.checks, self.monotonic)
        self._detailed = Watched(self.detailed_checks, self.monotonic)

    async def ready(self, request_id: str, *, detailed: bool = False) -> tuple[int, dict[str, Any]]:
        """Status and body of ``/ready`` or ``/health/detailed``."""
        checks = await self._ready.results()
        if detailed:
            checks = checks | await self._detailed.results()
        bad = [name for name, result in checks.items() if not result["ok"]]
        body: dict[str, Any] = {"status": "ready", "service": self.service, "checks": checks}
        if detailed:
            body["version"] = self.version
            body["uptime_s"] = round(self.monotonic() - self.started_at, 3)
            body.update(self.details())
        draining = self.draining()
        if not bad and not draining:
            return 200, body
        why = "The service is shutting down." if draining else f"Not ready: {', '.join(bad)}."
        body |= {"status": "not_ready", "error": "not_ready", "message": why, "request_id": request_id}
        return 503, body
