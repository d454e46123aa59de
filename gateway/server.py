"""What surrounds every request: its id, one boundary, security headers, and the account of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

from gateway.limits import Proxies
from gateway.message import Exchange, bare, refusal
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from services.kit.clock import World
from services.kit.errors import Fault
from services.kit.health import Health
from services.kit.http.message import MalformedBody, Request, Response, SourceStalled, Stalled
from services.kit.log import Log
from services.kit.metrics import CLIENT_GONE, UNMATCHED
from services.kit.trail import TRAIL, Trail
from services.kit.upstream import UpstreamError
from services.kit.web import request_id_of, unexpected


@dataclass(slots=True)
class Outcome:
    """How a request ended, for log and metrics; a client that left until proven otherwise."""

    status: int = CLIENT_GONE
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """Steps 1 to 3 of the pipeline, around the others."""

    pipeline: Pipeline
    metrics: Metrics
    log: Log
    health: Health
    world: World
    proxies: Proxies
    headers: Mapping[str, str]

    async def handle(self, request: Request) -> None:
        """Answer a request.

        Raises:
            ConnectionError: the client did not get the (whole) answer.
        """
        started = perf_counter()
        exchange = self._exchange(request)
        trail = Trail(exchange.request_id)
        TRAIL.set(trail)
        outcome = Outcome()
        self.metrics.http.in_flight.inc()
        try:
            await self._respond(exchange, await self._decide(exchange), outcome)
        finally:
            self._account(exchange, outcome, trail, perf_counter() - started)

    def _exchange(self, request: Request) -> Exchange:
        """Step 1, first half: who asks, and under which id."""
        headers = request.headers
        client = self.proxies.client(request.peer, headers.getall("X-Forwarded-For", ()))
        return Exchange(request, request.method, headers, client, request_id_of(request, self.world))

    async def _decide(self, exchange: Exchange) -> Response:
        """Step 1, second half: whatever happens inside becomes one answer."""
        try:
            return await self.pipeline.answer(exchange)
        except Fault as fault:
            return refusal(fault, exchange.request_id)
        except MalformedBody:
            return bare(400)
        except (asyncio.CancelledError, ConnectionError):
            raise  # the client left
        except Exception:  # noqa: BLE001 - the edge of the process: one request's fault stays its own
            self.log.event.exception("unexpected", request_id=exchange.request_id)
            return refusal(unexpected(), exchange.request_id)

    async def _respond(self, exchange: Exchange, response: Response, outcome: Outcome) -> None:
        """Step 3, and the answer to the client. An answer that cannot be completed ends in a reset."""
        headers = response.headers
        headers.update(self.headers)
        headers.update(exchange.cors)
        headers["X-Request-Id"] = exchange.request_id
        try:
            await exchange.request.respond(response)
            outcome.status, outcome.error = response.status, response.error
        except Stalled:
            outcome.status, outcome.error = 408, "request_timeout"
            raise
        except (UpstreamError, SourceStalled) as error:
            outcome.status, outcome.error = 502, "upstream_unavailable"
            raise ConnectionResetError("the answer could not be completed") from error
        finally:
            if exchange.incoming is not None:
                exchange.incoming.close()

    def _account(self, exchange: Exchange, outcome: Outcome, trail: Trail, seconds: float) -> None:
        """Step 2: one place, after the answer, also when there was none."""
        metrics, entry, request = self.metrics, exchange.entry, exchange.request
        template = entry.template if entry is not None else UNMATCHED
        bytes_in, bytes_out = request.content.total_bytes, request.sent_bytes
        metrics.http.in_flight.dec()
        metrics.http.finish(exchange.method, template, outcome.status, seconds)
        if bytes_in:
            metrics.bytes_in.inc(bytes_in)
        if bytes_out:
            metrics.bytes_out.inc(bytes_out)
        if entry is None or entry.route.name != "ping":
            self.log.access(
                {
                    "request_id": exchange.request_id,
                    "method": exchange.method,
                    "user_id": exchange.user_id,
                    "bytes_in": bytes_in,
                    "route": template,
                    "status": outcome.status,
                    "error": outcome.error,
                    "bytes_out": bytes_out,
                    "duration_ms": round(seconds * 1000, 3),
                    "upstream_ms": round(trail.upstream_s * 1000, 3),
                }
            )
