"""A process's life: listen, serve, drain, stop.

SIGTERM and SIGINT turn readiness off, close the listener and idle connections, let running requests
end (at most ``SHUTDOWN_S``), and only then stop what they used.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import uvloop
from prometheus_client import CollectorRegistry

from services.kit.admin import admin_app, admin_listening
from services.kit.http.message import Handler
from services.kit.http.server import Server
from services.kit.http.servers import SERVERS
from services.kit.http.writing import Limits
from services.kit.log import Log
from services.kit.memory import GC_THRESHOLDS, SoftLimit
from services.kit.metrics import UNMATCHED, HttpMetrics, LoopMetrics
from services.kit.settings import ProcessSettings, SettingsError, load

S = TypeVar("S", bound=ProcessSettings)
LAG_TICK_S = 0.1


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


def server_of(
    handler: Handler, settings: ProcessSettings, http: HttpMetrics, log: Log, *, cancels: bool = False
) -> Server:
    """The public server of a process, with the limits every process has.

    Args:
        cancels: a client that leaves cancels the handler of its request.
    """

    def malformed(status: int) -> None:
        http.finish("OTHER", UNMATCHED, status, 0.0)
        log.event.info("malformed", status=status)

    limits = Limits(settings.body_idle_s, settings.head_s, cancels=cancels)
    return SERVERS[settings.http_server](handler, malformed, limits)


@asynccontextmanager
async def listening(server: Server, settings: ProcessSettings, log: Log) -> AsyncIterator[None]:
    """Serve on the process's own port until the block ends, then drain.

    Raises:
        OSError: the port is taken.
    """
    port = await server.start(settings.host, settings.port, reuse_port=settings.reuse_port)
    log.event.info("listening", port=port)
    try:
        yield
    finally:
        await server.stop(settings.shutdown_s, notice_s=settings.drain_s)


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
    if thresholds := GC_THRESHOLDS.get(settings.gc_thresholds):
        gc.set_threshold(*thresholds)
    watchers = [asyncio.create_task(_watch_loop(loop_metrics))]
    if settings.memory_soft_mb:
        watchers.append(asyncio.create_task(SoftLimit(settings.memory_soft_mb, log.event).watch()))
    try:
        async with AsyncExitStack() as stack:
            admin = admin_app(settings, service, instance, registry)
            port = settings.effective_admin_port
            await stack.enter_async_context(admin_listening(admin, settings.admin_host, port))
            yield log, stack
    finally:
        for watcher in watchers:
            watcher.cancel()
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
