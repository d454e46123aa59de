"""A process's life: listen, serve, drain, stop.

SIGTERM and SIGINT turn readiness off, close the listener, let running requests end (at most
``SHUTDOWN_S``), and only then stop what they used.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from services.kit.clock import World
from services.kit.log import Log
from services.kit.memory import GC_THRESHOLDS, SoftLimit
from services.kit.metrics import HttpMetrics, LoopMetrics
from services.kit.refusal import EXIT_CODE, StartRefused
from services.kit.settings import ProcessSettings, SettingsError, load
from services.kit.trail import UNMATCHED
from services.kit.web.admin import admin_app, admin_listening
from services.kit.web.boundary import Boundary
from services.kit.web.listener import ABORT_S, NO_LIMIT, Listener, server_options

LAG_TICK_S = 0.25
# A service takes any head that the gateway takes, and what the gateway adds to it.
INNER_LINE_BYTES, INNER_HEADERS = 65_536, 160
OPEN_FILES = 65_536


class ProcessMetrics(Protocol):
    """What the metrics of every process have; each has a class of its own."""

    registry: CollectorRegistry
    http: HttpMetrics
    loop: LoopMetrics


class Served(NamedTuple):
    """What answers requests, not set up yet, and the boundary around each of them.

    ``inner``: its clients are ours, and pass a pause of theirs on. Only the edge knows whether a client takes
    anything: a slow one keeps the connections behind the edge still for longer than it may be still itself.
    """

    runner: web.BaseRunner
    boundary: Boundary
    inner: bool = False


S = TypeVar("S", bound=ProcessSettings)
M = TypeVar("M", bound=ProcessMetrics)


@dataclass(frozen=True, slots=True)
class Process(Generic[S, M]):
    """What the parts of a process are made from."""

    name: str
    settings: S
    metrics: M
    world: World
    log: Log

    def refused(self, status: int = 400) -> None:
        """A connection said something that is not HTTP, and was refused."""
        self.metrics.http.finish("OTHER", UNMATCHED, status, 0.0)
        self.log.event.info("malformed", status=status)

    def failed(self, error: BaseException) -> None:
        """An answer could not be sent, and not because the client had left."""
        self.log.event.error("unexpected", exc_info=error)

    def boundary(self) -> Boundary:
        return Boundary(self.metrics.http, self.log, self.world)

    def serving(self, app: web.Application, boundary: Boundary) -> Served:
        """An application of this process, whose middleware is this boundary."""
        options = server_options(self.refused, self.failed)
        runner = web.AppRunner(
            app,
            shutdown_timeout=ABORT_S,
            max_line_size=INNER_LINE_BYTES,
            max_field_size=INNER_LINE_BYTES,
            max_headers=INNER_HEADERS,
            **options,
        )
        return Served(runner, boundary, inner=True)


def main(
    service: str,
    settings_class: type[S],
    metrics_class: type[M],
    served: Callable[[Process[S, M]], Served],
) -> None:
    """Entry of every process: settings, loop, exit code (78: trying again cannot help; 1: a failed start).

    Args:
        served: puts together what answers.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # memory may hold secrets
    raise_open_files()
    try:
        settings = load(settings_class)
    except SettingsError as error:
        print(f"{service}: the settings are not complete", *error.problems, sep="\n  ", file=sys.stderr)
        sys.exit(EXIT_CODE)
    try:
        uvloop.run(_serve(service, settings, metrics_class, served))
    except StartRefused as error:
        print(f"{service}: {error}", file=sys.stderr)
        sys.exit(EXIT_CODE)
    except OSError as error:
        sys.exit(f"{service}: cannot start: {error.strerror or error}")


def raise_open_files() -> None:
    """As many open files as this process may have: a connection is one, and desktops begin with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


async def _serve(
    service: str,
    settings: S,
    metrics_class: type[M],
    served: Callable[[Process[S, M]], Served],
) -> None:
    async with (
        _process(service, settings, metrics_class()) as process,
        listening(served(process), settings) as port,
    ):
        process.log.event.info("listening", port=port)
        await _stopped(process.log)


async def _stopped(log: Log) -> None:
    """Return when the process is asked to stop."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    log.event.info("started", pid=os.getpid())
    await event.wait()
    log.event.info("stopping")


@asynccontextmanager
async def listening(served: Served, settings: ProcessSettings) -> AsyncIterator[int]:
    """Serve on the process's own port until the block ends, then drain; the port.

    Raises:
        OSError: the port is taken, or something that the process needs is not there.
    """
    runner, boundary, inner = served
    stall_s = NO_LIMIT if inner else settings.body_idle_s
    try:
        await runner.setup()
        listener = Listener(runner, boundary, stall_s=stall_s, reuse_port=settings.reuse_port)
        gc.collect()
        gc.freeze()  # what was made by now stays: no collection has to look at it again
        port = await listener.start(settings.host, settings.port)
    except BaseException:
        await runner.cleanup()
        raise
    try:
        yield port
    finally:
        await listener.stop(settings.shutdown_s, notice_s=settings.drain_s)


@asynccontextmanager
async def _process(service: str, settings: S, metrics: M) -> AsyncIterator[Process[S, M]]:
    """Log, admin port and loop monitor of a process."""
    instance, loop = settings.instance or service, asyncio.get_running_loop()
    log, world = Log(service, instance, settings.log_level, settings.logging), World()
    log.buffer.attach(loop, metrics.loop.lost_lines.inc)
    loop.set_exception_handler(_loop_fault(log))
    metrics.loop.tasks.set_function(lambda: len(asyncio.all_tasks()))  # counted by the scrape, on the loop
    if thresholds := GC_THRESHOLDS.get(settings.gc_thresholds):
        gc.set_threshold(*thresholds)
    watchers = [asyncio.create_task(_watch_loop(metrics.loop))]
    if settings.memory_soft_mb:
        watchers.append(asyncio.create_task(SoftLimit(settings.memory_soft_mb, log.event).watch()))
    try:
        admin = admin_app(settings, service, instance, metrics.registry)
        async with admin_listening(admin, settings.admin_host, settings.effective_admin_port):
            yield Process(service, settings, metrics, world, log)
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
