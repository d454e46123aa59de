"""The server half: what surrounds every request, and how an answer is written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from gateway.framing import refusal_of
from gateway.limits import Proxies
from gateway.message import Answer, Exchange, bare, refusal
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.proxy import expects_continue
from gateway.writer import ClientStalled, Outcome, discard, write
from services.kit.clock import World
from services.kit.codec import MAX_JSON_BYTES
from services.kit.errors import Fault
from services.kit.health import Health
from services.kit.log import Log
from services.kit.metrics import UNMATCHED
from services.kit.trail import TRAIL, Trail
from services.kit.upstream import UpstreamError
from services.kit.web import request_id_of


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
    idle_s: float

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        started = perf_counter()
        exchange = self._exchange(request)
        trail = Trail(exchange.request_id)
        TRAIL.set(trail)
        outcome = Outcome()
        self.metrics.http.in_flight.inc()
        try:
            answer = await self._decide(exchange, request)
            response = await self._respond(exchange, answer, request, outcome)
        finally:
            self._account(exchange, outcome, request, trail, perf_counter() - started)
        if answer.close and not request.content.is_eof():
            if not expects_continue(request):
                await discard(request)
            request.protocol.force_close()
        return response

    def _exchange(self, request: web.BaseRequest) -> Exchange:
        """Step 1, first half: who asks, and under which id."""
        message = request._message
        headers = request.headers
        peer = self.proxies.client(request.remote or "", headers.getall("X-Forwarded-For", ()))
        request_id = request_id_of(request, self.world)
        return Exchange(request.method, message.path, headers, message.version, peer, request_id)

    async def _decide(self, exchange: Exchange, request: web.BaseRequest) -> Answer:
        """Step 1, second half: whatever happens inside becomes one answer."""
        try:
            answer = refusal_of(request) or await self.pipeline.answer(exchange, request)
        except Fault as fault:
            answer = refusal(fault, exchange.request_id)
        except RequestPayloadError:
            answer = bare(400)
        except (asyncio.CancelledError, ConnectionError):
            raise  # the client left
        except Exception:  # noqa: BLE001 - the edge of the process: one request's fault stays its own
            self.log.event.exception("unexpected", request_id=exchange.request_id)
            answer = refusal(
                Fault("internal_error", "Something went wrong on our side."), exchange.request_id
            )
        if self.health.draining or _rest_is_large(request):
            answer.close = True
        return answer

    async def _respond(
        self, exchange: Exchange, answer: Answer, request: web.BaseRequest, outcome: Outcome
    ) -> web.StreamResponse:
        """Step 3, and the answer to the client. An answer that cannot be completed ends in a reset."""
        headers = answer.headers
        headers.update(self.headers)
        headers.update(exchange.cors)
        headers["X-Request-Id"] = exchange.request_id
        try:
            return await write(request, answer, self.idle_s, outcome)
        except ClientStalled as error:
            outcome.status, outcome.error = 408, "request_timeout"
            raise _reset(request) from error
        except UpstreamError as error:
            outcome.status, outcome.error = 502, "upstream_unavailable"
            raise _reset(request) from error

    def _account(
        self,
        exchange: Exchange,
        outcome: Outcome,
        request: web.BaseRequest,
        trail: Trail,
        seconds: float,
    ) -> None:
        """Step 2: one place, after the answer, also when there was none."""
        metrics, entry = self.metrics, exchange.entry
        template = entry.template if entry is not None else UNMATCHED
        bytes_in = request.content.total_bytes
        metrics.http.in_flight.dec()
        metrics.http.finish(exchange.method, template, outcome.status, seconds)
        if bytes_in:
            metrics.bytes_in.inc(bytes_in)
        if outcome.bytes_out:
            metrics.bytes_out.inc(outcome.bytes_out)
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
                    "bytes_out": outcome.bytes_out,
                    "duration_ms": round(seconds * 1000, 3),
                    "upstream_ms": round(trail.upstream_s * 1000, 3),
                }
            )

    def malformed(self, status: int) -> None:
        """HTTP that was refused while it was parsed is counted and logged like everything else."""
        self.metrics.http.finish("OTHER", UNMATCHED, status, 0.0)
        self.log.event.info("malformed", status=status)


def _rest_is_large(request: web.BaseRequest) -> bool:
    """Whether so much of the body is unread that it is cheaper to give the connection up."""
    content = request.content
    if content.is_eof():
        return False
    length = request.content_length
    return length is None or length - content.total_bytes > MAX_JSON_BYTES or expects_continue(request)


def _reset(request: web.BaseRequest) -> ConnectionResetError:
    if request.transport is not None:
        request.transport.abort()
    return ConnectionResetError("the answer could not be completed")
