"""A process's life: listen, serve, drain, stop.

SIGTERM and SIGINT turn readiness off and close the listener. For ``DRAIN_S`` connections that are open go
on being served, each answer saying that it is the last, so that whoever balances replicas goes elsewhere
before anything is cut. Then idle connections are closed, running requests end (at most ``SHUTDOWN_S``),
and only then what they used is stopped.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from services.kit.codec import encode, rfc3339
from services.kit.log import Log
from services.kit.metrics import UNMATCHED, LoopMetrics
from services.kit.server import AppRunner
from services.kit.settings import ProcessSettings, SettingsError, load, public
from services.kit.web import EDGE

S = TypeVar("S", bound=ProcessSettings)
BACKLOG = 1024
KEEPALIVE_S = 75.0
LINGER_S = 2.0
LAG_TICK_S = 0.1
SERVER_OPTIONS: dict[str, Any] = {
    "access_log": None,
    "auto_decompress": False,
    "read_bufsize": 65_536,
    "keepalive_timeout": KEEPALIVE_S,
    "lingering_time": LINGER_S,
    "max_line_size": 8_190,
    "max_field_size": 8_190,
    "max_headers": 128,
}


def main(cls: type[S], serve: Callable[[S], Coroutine[Any, Any, None]], service: str) -> None:
    """Entry of every process: settings, loop, exit code (2 for bad settings, 1 for a failed start)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # memory may hold secrets
    try:
        settings = load(cls, os.environ)
    except SettingsError as error:
        print(f"{service}: the settings are not complete", *error.problems, sep="\n  ", file=sys.stderr)
        sys.exit(2)
    try:
        uvloop.run(serve(settings))
    except OSError as error:
        sys.exit(f"{service}: cannot start: {error.strerror or error}")


async def stopped(log: Log, service: str) -> None:
    """Return when the process is asked to stop."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    log.event.info("started", pid=os.getpid())
    await event.wait()
    log.event.info("stopping", service_name=service)


@asynccontextmanager
async def listening(
    server: web.BaseRunner, host: str, port: int, log: Log, *, drain_s: float = 0.0
) -> AsyncIterator[None]:
    """Serve on ``host:port`` until the block ends, then drain.

    Raises:
        OSError: the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    await server.setup()
    try:
        with socket.create_server((host, port), family=family, backlog=BACKLOG) as listener:
            site = web.SockSite(server, listener.dup(), backlog=BACKLOG)
            await site.start()
            log.event.info("listening", port=port)
            yield
            await site.stop()
            await _take_the_rest(server, listener)
        await asyncio.sleep(drain_s)
    finally:
        await server.cleanup()


async def _take_the_rest(server: web.BaseRunner, listener: socket.socket) -> None:
    """Serve who connected but was not accepted yet: closing a listener would reset these connections."""
    loop, factory = asyncio.get_running_loop(), server.server
    listener.setblocking(False)
    while factory is not None:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        await loop.connect_accepted_socket(factory, connection)


@asynccontextmanager
async def process(
    settings: ProcessSettings, service: str, registry: CollectorRegistry, loop_metrics: LoopMetrics
) -> AsyncIterator[tuple[Log, AsyncExitStack]]:
    """Log, admin port and loop monitor of a process; the stack closes what the process opens."""
    instance = settings.instance or service
    log = Log(service, instance, settings.log_level, settings.logging)
    log.buffer.attach(asyncio.get_running_loop())
    asyncio.get_running_loop().set_exception_handler(_loop_fault(log))
    loop_metrics.tasks.set_function(lambda: len(asyncio.all_tasks()))  # counted by the scrape, on the loop
    ticker = asyncio.create_task(_watch_loop(loop_metrics))
    try:
        async with AsyncExitStack() as stack:
            admin = web.AppRunner(_admin_app(settings, service, instance, registry), access_log=None)
            await stack.enter_async_context(
                listening(admin, settings.admin_host, settings.effective_admin_port, log)
            )
            yield log, stack
    finally:
        ticker.cancel()
        log.event.info("stopped")
        log.buffer.flush()


def _loop_fault(log: Log) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    def report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.event.error("loop", what=context.get("message"), exc_info=error)

    return report


async def _watch_loop(metrics: LoopMetrics) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_TICK_S
        await asyncio.sleep(LAG_TICK_S)
        metrics.lag.observe(max(0.0, loop.time() - due))


def _admin_app(
    settings: ProcessSettings, service: str, instance: str, registry: CollectorRegistry
) -> web.Application:
    started_at = rfc3339(datetime.now(UTC))

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def shown(_: web.Request) -> web.Response:
        body = {
            "service": service,
            "instance": instance,
            "pid": os.getpid(),
            "started_at": started_at,
            "settings": public(settings),
        }
        return web.Response(body=encode(body), content_type="application/json")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    if settings.bench_endpoints:
        app.router.add_get("/settings", shown)
    return app


def runner(app: web.Application, settings: ProcessSettings) -> web.AppRunner:
    """The public port's runner with the limits every process has."""
    http = app[EDGE].http
    return AppRunner(
        app,
        malformed=lambda status: http.finish("OTHER", UNMATCHED, status, 0.0),
        shutdown_timeout=settings.shutdown_s,
        **SERVER_OPTIONS,
    )
