"""Health: is the process alive, can it do its work, and what exactly is wrong.

Checks run side by side, each for at most 2 s, and their results are kept for 2 s, so that a prober
cannot load what it probes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from services.kit.errors import Fault

CHECK_LIMIT_S = 2.0
CACHE_S = 2.0
Check = Callable[[], Awaitable[str | None]]  # a note for people, or None; raises when not ok


class NotOkError(Exception):
    """A check's own refusal; its text is shown."""


@dataclass(slots=True)
class Health:
    """A process's checks. While ``draining`` the process is not ready.

    ``detailed_checks`` are run for ``/health/detailed`` only: they do not decide readiness.
    """

    service: str
    greeting: str
    checks: Mapping[str, Check]
    monotonic: Callable[[], float]
    version: str = "0.1.0"
    details: Callable[[], dict[str, Any]] = dict
    detailed_checks: dict[str, Check] = field(default_factory=dict)
    draining: Callable[[], bool] = lambda: False
    started_at: float = field(init=False)
    _cached: tuple[float, dict[str, dict[str, Any]]] | None = None

    def __post_init__(self) -> None:
        self.started_at = self.monotonic()

    async def results(self) -> dict[str, dict[str, Any]]:
        """``{name: {ok, latency_ms, message}}``, at most 2 s old."""
        if self._cached is not None and self.monotonic() - self._cached[0] < CACHE_S:
            return self._cached[1]
        results = await self._run_all(self.checks)
        self._cached = (self.monotonic(), results)
        return results

    async def _run_all(self, checks: Mapping[str, Check]) -> dict[str, dict[str, Any]]:
        outcomes = await asyncio.gather(*(self._run(check) for check in checks.values()))
        return dict(zip(checks, outcomes, strict=True))

    async def _run(self, check: Check) -> dict[str, Any]:
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

    async def ready(self, request_id: str, *, detailed: bool = False) -> tuple[int, dict[str, Any]]:
        """Status and body of ``/ready`` or ``/health/detailed``."""
        checks = await self.results()
        if detailed and self.detailed_checks:
            checks = {**checks, **await self._run_all(self.detailed_checks)}
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
