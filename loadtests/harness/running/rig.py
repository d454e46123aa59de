"""What a run holds: the stacks it loads, the programs, a private folder. Nothing here starts a stack."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from loadtests.harness.clean import Cleaner, ContractCleaner
from loadtests.harness.clients import users
from loadtests.harness.clients.strategies import Strategy
from loadtests.harness.clients.users import Identity
from loadtests.harness.ledger.audit import Auditor
from loadtests.harness.ledger.by_contract import ContractAuditor
from loadtests.harness.ledger.store import AuditStore
from loadtests.harness.metrics import exporter
from loadtests.harness.metrics.counters import Scrape, scrape_all
from loadtests.harness.metrics.exporter import Activity
from loadtests.harness.records.samples import Event, Warn
from loadtests.harness.running import wall_clock
from loadtests.harness.testbeds import affinity, connections
from loadtests.harness.testbeds.affinity import Cores, split
from loadtests.harness.testbeds.connections import Databases
from loadtests.harness.testbeds.processes import start_ticks
from loadtests.harness.testbeds.system import System, find_k6, open_testbed, settings_of
from loadtests.harness.testbeds.target import Target, TargetFailed
from loadtests.harness.testbeds.target_testbed import TargetTestbed
from loadtests.harness.testbeds.testbed import SystemNotUp, Testbed, serves

WORK = "vaultbench-work-"
TOKEN_AGE_LIMIT_S = 1800.0  # tokens live for an hour; none may end inside a stretch


# What can be held: a stack of ours, or another implementation.
Place = System | TargetTestbed


@dataclass(slots=True)
class Hold:
    """A run's hold on one stack. Made by ``open_hold``.

    Of another implementation ``system`` and ``databases`` are not known: it is held by what its clients may
    ask.
    """

    gateway_url: str
    testbed: Testbed
    http: aiohttp.ClientSession
    cleaner: Cleaner | ContractCleaner
    auditor: Auditor | ContractAuditor
    system: System | None = None
    databases: Databases | None = None
    identities: list[Identity] = field(default_factory=list)
    _tokens_at: float = 0.0

    @property
    def admin_urls(self) -> Mapping[str, str]:
        """Admin ports by process."""
        return self.system.admin_urls if self.system else {}

    @property
    def gateways(self) -> Mapping[str, str]:
        """Admin ports of the gateways by process."""
        return self.system.replicas("gateway") if self.system else {}

    async def create_identities(self, run: str, count: int) -> None:
        """Sign up the run's users of this stack; outside every load. Raises ``SignupFailed`` and
        ``TargetFailed``."""
        try:
            self.identities = await users.create_users(self.http, self.gateway_url, run, count)
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            if self.system is not None:
                raise
            raise TargetFailed(f"{self.gateway_url} does not answer: {error}") from error
        self._tokens_at = time.time()

    async def fresh_tokens(self) -> None:
        """Log everybody in again if the tokens could end during the next stretch."""
        # By the services' clock, which says when they end; one from later was made before a clock was set.
        if self.identities and not 0 <= time.time() - self._tokens_at <= TOKEN_AGE_LIMIT_S:
            self.identities = await users.refresh(self.http, self.gateway_url, self.identities)
            self._tokens_at = time.time()

    async def settings(self) -> dict[str, dict[str, Any]]:
        """Settings in effect by process, as each says itself; one that does not answer is absent."""
        found = await asyncio.gather(
            *(settings_of(self.http, url) for url in self.admin_urls.values()), return_exceptions=True
        )
        pairs = zip(self.admin_urls, found, strict=True)
        return {name: answer["settings"] for name, answer in pairs if isinstance(answer, dict)}

    async def counters(self) -> dict[str, Scrape]:
        """What the services have counted, by process; one that does not answer is absent."""
        return await scrape_all(self.http, self.admin_urls)


@dataclass(slots=True)
class Rig:
    """A whole run's hold. ``holds`` are the stacks by name, at least one of them ours; "" is the running
    testbed."""

    run: str
    holds: dict[str, Hold]
    k6_program: Path
    strategies: Mapping[str, Strategy]
    work_dir: Path
    activity: Activity
    http: aiohttp.ClientSession
    shared: Testbed | None = None  # databases and store of several stacks, watched once
    read_all: bool = False  # hash every object, not a sample
    revisions: Mapping[str, str] = field(default_factory=dict)  # by arm, the commit of its code
    stop: asyncio.Event = field(default_factory=asyncio.Event)  # end in order, whoever asks for it
    interrupted: bool = False  # a person asked
    cores: Cores = field(default_factory=lambda: split(os.sched_getaffinity(0)))
    events: list[Event] = field(default_factory=list)
    _held: AsyncExitStack = field(default_factory=AsyncExitStack, repr=False)
    _clock_s: float = field(default_factory=lambda: time.time() - time.monotonic(), repr=False)

    @property
    def hold(self) -> Hold:
        """The running testbed, or the first stack of several that is ours."""
        return self.holds.get("") or next(hold for hold in self.holds.values() if hold.system)

    @property
    def system(self) -> System:
        return next(system for hold in (self.hold, *self.holds.values()) if (system := hold.system))

    @property
    def databases(self) -> Databases:
        """Of ``hold``."""
        return next(found for hold in (self.hold, *self.holds.values()) if (found := hold.databases))

    def now(self) -> float:
        """The time of day, whether or not somebody sets the clock meanwhile: what ends has begun before."""
        return self._clock_s + time.monotonic()

    def event(self, kind: str, **detail: Any) -> None:
        self.events.append(Event(at=self.now(), kind=kind, detail=detail))

    def stopped_by_the_clock(
        self, warnings: list[Warn], say: Callable[[str], None]
    ) -> AbstractAsyncContextManager[None]:
        """While this lasts, a clock that is set ends the run in order, and ``warnings`` says so."""

        def stepped(step_s: float) -> None:
            warnings.append(wall_clock.warning(step_s))
            said = wall_clock.sentence(step_s)
            self.event("clock-step", said=said)
            say(said)
            self.stop.set()

        return wall_clock.watching_the_clock(stepped)

    def take_events(self) -> list[Event]:
        """Everything since the last call, what happened to the stacks' parts included."""
        for stack, hold in self.holds.items():
            for seen in hold.testbed.take_seen():
                detail = {"stack": stack, "part": seen.part, **seen.detail}
                self.events.append(Event(at=seen.at, kind=seen.kind, detail=detail))
        taken, self.events = sorted(self.events, key=lambda event: event.at), []
        return taken

    async def take(self, places: Mapping[str, Place]) -> None:
        """Hold stacks that were made anew."""
        self.holds = {
            name: await self._held.enter_async_context(open_hold(place, read_all=self.read_all))
            for name, place in places.items()
        }

    async def let_go(self) -> None:
        """Close all connections to the stacks."""
        await self._held.aclose()

    async def pin(self) -> None:
        """Keep the system off the generator's processors; a part that was restarted is moved again."""
        for name in await self._move(self.cores.system):
            self.event("not-pinned", process=name)

    async def unpin(self) -> None:
        """Leave the system as it was found, on all processors."""
        await self._move(self.cores.all)

    async def _move(self, cores: frozenset[int]) -> list[str]:
        """Who could not be moved; nobody is where all processors are shared, or in containers."""
        native = [hold.testbed for hold in self.holds.values() if hold.testbed.runtime == "native"]
        moved = native if self.cores.apart else []
        return [name for one in moved for name in affinity.pin(await one.watched(), cores)]

    async def hosts(self) -> dict[str, str]:
        """The variable that tells k6 where the name leads that the stacks' URLs are signed for."""
        found: dict[str, str] = {}
        for hold in self.holds.values():
            if hold.system is not None:
                found |= await hold.system.store.k6_hosts()
        return {"HOSTS": json.dumps(found)} if found else {}

    async def pushes_to_prometheus(self) -> bool:
        """Whether k6 tells Prometheus what it sees: somebody may watch the load there."""
        return self.system.environ.get("K6_PUSH") != "off" and await serves(self.hold.testbed, "prometheus")


def open_hold(place: Place, *, read_all: bool = False) -> AbstractAsyncContextManager[Hold]:
    """Connections to one stack, closed at the end."""
    return open_target(place, read_all) if isinstance(place, TargetTestbed) else open_own(place, read_all)


@asynccontextmanager
async def open_target(testbed: TargetTestbed, read_all: bool) -> AsyncIterator[Hold]:
    """Another implementation, by its address alone."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as http:
        target = Target(http, testbed.url)
        hold = Hold(
            gateway_url=testbed.url,
            testbed=testbed,
            http=http,
            cleaner=ContractCleaner(target, lambda: hold.identities),
            auditor=ContractAuditor(target, lambda: hold.identities, read_all=read_all),
        )
        yield hold


@asynccontextmanager
async def open_own(system: System, read_all: bool) -> AsyncIterator[Hold]:
    """A stack of ours, with its databases and its store."""
    async with AsyncExitStack() as stack:
        testbed = await stack.enter_async_context(open_testbed(system))
        databases = await stack.enter_async_context(connections.open_databases(system.endpoints))
        store = AuditStore(connections.open_store(system.endpoints), system.endpoints.s3_bucket)
        stack.callback(store.close)
        connector = aiohttp.TCPConnector(limit=64, resolver=system.resolver())
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        yield Hold(
            gateway_url=system.gateway_url,
            testbed=testbed,
            http=http,
            cleaner=Cleaner(databases, store, everything=system.environ.get("CLEAN") == "1"),
            auditor=Auditor(databases, store, read_all=read_all),
            system=system,
            databases=databases,
        )


@asynccontextmanager
async def open_rig(
    run: str,
    places: Mapping[str, Place],
    strategies: Mapping[str, Strategy],
    *,
    shared: Testbed | None = None,
    read_all: bool = False,
    watching: System | None = None,
    revisions: Mapping[str, str] | None = None,
) -> AsyncIterator[Rig]:
    """A hold on stacks by name and everything else, closed and deleted at the end. ``watching`` is a testbed
    beside these stacks whose Prometheus is to see what goes on."""
    first = next(place for place in places.values() if isinstance(place, System))
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=64, resolver=first.resolver())
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        remove_abandoned(Path(tempfile.gettempdir()))
        work_dir = Path(tempfile.mkdtemp(prefix=f"{WORK}{os.getpid()}-"))
        stack.callback(shutil.rmtree, work_dir, ignore_errors=True)
        activity = Activity(run)
        await stack.enter_async_context(shown(activity, watching or first))
        rig = Rig(
            run=run,
            holds={},
            k6_program=await asyncio.to_thread(find_k6, first.environ),
            strategies=strategies,
            work_dir=work_dir,
            activity=activity,
            http=http,
            shared=shared,
            read_all=read_all,
            revisions=revisions or {},
        )
        stack.push_async_callback(rig.let_go)
        await rig.take(places)
        try:
            yield rig
        finally:
            with contextlib.suppress(SystemNotUp):
                await rig.unpin()


def remove_abandoned(folder: Path) -> None:
    """Private folders of harnesses that were killed; each is named after its process."""
    for path in folder.glob(f"{WORK}*"):
        pid = path.name.removeprefix(WORK).partition("-")[0]
        if pid.isdecimal() and start_ticks(int(pid)) is None:
            shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def shown(activity: Activity, system: System) -> AsyncIterator[None]:
    """Tell Prometheus what goes on; a taken port costs the annotations, not the run."""
    # In a container Prometheus asks from another one.
    host, port = None if system.project else "127.0.0.1", int(system.environ["HARNESS_METRICS_PORT"])
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(exporter.serving(activity, host, port))
        except OSError as error:
            reason = f"port {port} cannot be used ({error.strerror})"
            print(f"No turns in the dashboards: {reason}", file=sys.stderr)
        yield
