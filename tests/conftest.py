"""Fixtures and checks of every layer."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest
import uvloop
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests import limits
from tests.stack import Backends, System, running_backends, running_system

HERE = Path(__file__).parent
# Quick ones first, and before the integration tests what is not divided: of two test processes, neither
# then waits long for the other's last file.
LAYERS = ("unit", "docs", "contract", "adversity", "integration", "browser", "compose")
# Their tests look in the end at what all of them left in one system.
UNDIVIDED = ("contract", "adversity")

# The same examples each time, however long this machine takes over one: by itself an example has 200 ms.
hypothesis.settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop of the processes: what a test starts in its own process runs on the same one."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Layer by layer: pytest would run those without an event loop after all others, and a layer whose
    fixtures were closed in between would find its own users signed up already."""
    items.sort(key=lambda item: LAYERS.index(layer_of(item)))
    limits.keep(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return Shares(config, log)


class Shares(LoadScopeScheduling):
    """What one of several test processes runs alone: a file, or a whole layer that shares a system."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        layer = path.split("/")[1]
        return layer if layer in UNDIVIDED else path


def layer_of(item: pytest.Item) -> str:
    """The folder right under ``tests``."""
    return item.path.relative_to(HERE).parts[0]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Seconds of every layer: a layer's first test also pays for what the layer starts."""
    spent_s, tests = defaultdict[str, float](float), Counter[str]()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.nodeid.startswith("tests/"):
                layer = report.nodeid.split("/")[1]
                spent_s[layer] += report.duration
                tests[layer] += report.when == "call"
    if spent_s:
        terminalreporter.section("seconds by layer")
        for layer, seconds in sorted(spent_s.items(), key=lambda one: -one[1]):
            terminalreporter.write_line(f"{seconds:8.1f}  {layer} ({tests[layer]} tests)")


@pytest.fixture(scope="session")
def backends() -> Iterator[Backends]:
    """One Postgres server and one S3 store for the whole session."""
    with running_backends() as started:
        yield started


@pytest.fixture
async def database_url(backends: Backends) -> AsyncIterator[str]:
    """A new, empty database."""
    async with backends.database() as url:
        yield url


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """The whole system for the whole session; tests share it, so each uses users of its own."""
    with running_system() as started:
        yield started


@pytest.fixture(autouse=True)
def services_do_not_complain(request: pytest.FixtureRequest) -> Iterator[None]:
    """An error line of a service fails the test that caused it, unless it is marked ``noisy``."""
    if "system" not in request.fixturenames:
        yield
        return
    running: System = request.getfixturevalue("system")
    before = running.log_sizes()
    yield
    if request.node.get_closest_marker("noisy") is None:
        assert running.complaints(before) == []


class _Collected(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(autouse=True)
def tasks_do_not_fail_unseen() -> Iterator[None]:
    """An exception that no one awaited, in a task of the test process, fails the test."""
    collected, logger = _Collected(), logging.getLogger("asyncio")
    logger.addHandler(collected)
    yield
    logger.removeHandler(collected)
    assert collected.lines == []
