"""Where the running system is: ports, secrets, processes, programs. Found, never started."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver

from loadtests.harness.records.vocabulary import STORES, service_of
from loadtests.harness.testbeds import compose_testbed, connections, native_testbed, store_route
from loadtests.harness.testbeds.connections import Endpoints
from loadtests.harness.testbeds.store_route import StoreRoute
from loadtests.harness.testbeds.testbed import PARTS, SERVICES, PartState, SystemNotUp, Testbed

ROOT = Path(__file__).resolve().parents[3]
WAIT_S, LOOK_S = 20.0, 0.5


@dataclass(frozen=True, slots=True)
class System:
    """One running testbed, as seen from this process."""

    root: Path
    run_dir: Path
    gateway_url: str
    admin_urls: Mapping[str, str]
    endpoints: Endpoints
    store: StoreRoute
    environ: Mapping[str, str] = field(repr=False)
    project: str | None = None  # of Docker Compose, when we run inside its network

    def replicas(self, service: str) -> dict[str, str]:
        """Processes that are this service, with the address of each one's admin port."""
        return {part: url for part, url in self.admin_urls.items() if service_of(part) == service}

    def parts(self, service: str) -> list[str]:
        """What has to be restarted to restart all processes of a service."""
        return list(dict.fromkeys(_holder(self.environ, process) for process in self.replicas(service)))

    def service_url(self, service: str) -> str:
        """A service's own port, past the gateway: for what an operator asks of it."""
        return _url(self.environ, service, _port(self.environ, service))

    @property
    def public_store(self) -> str:
        """host:port that presigned URLs are signed for."""
        return self.store.public

    @property
    def prometheus_url(self) -> str:
        """Where we and k6 reach it; people open ``PROMETHEUS_URL``, which is the same natively."""
        if self.project is None:
            return self.environ.get("PROMETHEUS_URL", "")
        return _url(self.environ, "prometheus", int(self.environ["PROMETHEUS_PORT"]))

    def resolver(self) -> AbstractResolver | None:
        return self.store.resolver()


def find_system(
    environ: Mapping[str, str],
    root: Path = ROOT,
    *,
    wait_s: float = WAIT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> System:
    """The system of this checkout. ``VAULTBENCH_RUN_DIR`` names another state folder; ``BENCH_PROJECT``
    says that we are the bench container of that Compose project.

    A part that runs and is not well now, as after a busy moment of the machine, is given ``wait_s`` seconds.
    Raises ``SystemNotUp`` if it does not get well, and at once for a part that does not run.
    """
    looks = _looks(environ, root, wait_s, clock)
    while (found := next(looks)) is None:
        sleep(LOOK_S)
    return found


async def find_system_async(environ: Mapping[str, str]) -> System:
    """As ``find_system``, inside an event loop: Ctrl-C ends the wait."""
    looks = _looks(environ, ROOT, WAIT_S, time.monotonic)
    while (found := next(looks)) is None:  # noqa: ASYNC110  (another process's state, no event)
        await asyncio.sleep(LOOK_S)
    return found


def _looks(
    environ: Mapping[str, str], root: Path, wait_s: float, clock: Callable[[], float]
) -> Iterator[System | None]:
    """One look after the other: nothing while there is something to wait for, the system in the end."""
    end, told = clock() + wait_s, False
    while isinstance(found := _look(environ, root), list):
        slow = f"{', '.join(found)} {'runs' if len(found) == 1 else 'run'}, but not well"
        if clock() >= end:
            waited = f" after {wait_s:.0f} s" if wait_s else ""
            raise SystemNotUp(f"{slow}{waited}. What is wrong says: make status, make logs NAME={found[0]}")
        if not told:
            print(f"{slow}; waiting up to {wait_s:.0f} s", file=sys.stderr)
            told = True
        yield None
    yield found


def _look(environ: Mapping[str, str], root: Path) -> System | list[str]:
    """The system, or the parts that run and are not well."""
    run_dir = Path(environ.get("VAULTBENCH_RUN_DIR") or root / ".run")
    project = environ.get("BENCH_PROJECT") or None
    settings = connections.read_environment(root, environ)
    if project:
        slow = refuse_down(compose_testbed.parts_now(project, ready_probe(settings)))
    else:
        slow = refuse_down(_native_parts(run_dir))
        if wrong := connections.contradictions(run_dir, environ):
            meant = (
                "Which testbed is meant says VAULTBENCH_RUN_DIR; ports and addresses change with `make up`."
            )
            raise SystemNotUp("\n".join([*wrong, meant]))
    return slow or system_of(settings, root, run_dir, project)


def system_of(settings: Mapping[str, str], root: Path, run_dir: Path, project: str | None = None) -> System:
    """The system that these settings describe. Raises ``SystemNotUp`` where they are incomplete."""
    try:
        endpoints = connections.read_endpoints(settings)
    except connections.ConnectionsError as error:
        raise SystemNotUp(f"The settings of the system are incomplete: {error}") from error
    return System(
        root=root,
        run_dir=run_dir,
        gateway_url=_entry(settings),
        admin_urls={part: _url(settings, part, _admin_port(settings, part)) for part in _processes(settings)},
        endpoints=endpoints,
        store=StoreRoute(
            public := store_route.netloc(settings), _store_entry(settings, endpoints) if project else public
        ),
        environ=settings,
        project=project,
    )


def _native_parts(run_dir: Path) -> Mapping[str, PartState]:
    chosen = run_dir / "runtime"
    if chosen.exists() and chosen.read_text(encoding="utf-8").split()[:1] == ["compose"]:
        raise SystemNotUp(
            "The system runs in containers, so the load must come from one too. Use make, e.g.: make stress"
        )
    return native_testbed.read_parts(run_dir)


def refuse_down(parts: Mapping[str, PartState]) -> list[str]:
    """Those that run and are not well. Raises ``SystemNotUp`` naming every part that does not run."""
    store = next((name for name in STORES if name in parts), STORES[0])
    needed = {name: parts.get(name, PartState("missing")) for name in (*PARTS, store)}
    if down := [f"{name} {part.state}" for name, part in needed.items() if not part.runs]:
        raise SystemNotUp(f"The system is not up ({', '.join(down)}). Start it with: make up")
    return [name for name, part in needed.items() if part.state != "healthy"]


def _processes(settings: Mapping[str, str]) -> list[str]:
    """Our processes, by the names that they have without containers."""
    counts = {name: int(settings.get(f"{_variable(name)}_PROCESSES") or 1) for name in SERVICES}
    others = [f"{name}-{number}" for name, count in counts.items() for number in range(2, count + 1)]
    return [*SERVICES, *others]


def _holder(settings: Mapping[str, str], process: str) -> str:
    """The part that a process runs in: itself, or the container of all processes of its service."""
    contained = settings.get("BENCH_PROJECT") and settings.get("TOPOLOGY") != "scaled"
    return service_of(process) if contained else process


def _entry(settings: Mapping[str, str]) -> str:
    """Where clients go: a gateway, or what stands in front of it."""
    if not settings.get("BENCH_PROJECT"):
        return settings["GATEWAY_URL"]
    if settings.get("TOPOLOGY") == "scaled":
        return _url(settings, "nginx", int(settings["NGINX_PORT"]))
    if "FAULTS_GATEWAY_PORT" in settings:  # written by the overlay only
        return _url(settings, "toxiproxy", int(settings["FAULTS_GATEWAY_PORT"]))
    return _url(settings, "gateway", _port(settings, "gateway"))


def _store_entry(settings: Mapping[str, str], endpoints: Endpoints) -> str:
    """Where clients inside the network reach the store, as ``host:port``."""
    if "FAULTS_PUBLIC_STORE_PORT" in settings:  # written by the overlay only
        return f"toxiproxy:{settings['FAULTS_PUBLIC_STORE_PORT']}"
    return endpoints.s3_endpoint


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _url(settings: Mapping[str, str], name: str, port: int) -> str:
    # In a network of containers each part has a name of its own.
    host = _holder(settings, name) if settings.get("BENCH_PROJECT") else "127.0.0.1"
    return f"http://{host}:{port}"


def _port(settings: Mapping[str, str], name: str) -> int:
    return int(settings[f"{_variable(name)}_PORT"])


def _admin_port(settings: Mapping[str, str], name: str) -> int:
    explicit = settings.get(f"{_variable(name)}_ADMIN_PORT")
    return int(explicit) if explicit else _port(settings, name) + 10


def ready_probe(settings: Mapping[str, str]) -> compose_testbed.Ready:
    """Asks a part over the network whether it serves; one without a page to ask serves when it runs."""
    pages = {name: f"{_url(settings, name, _port(settings, name))}/ready" for name in SERVICES}
    pages["minio"] = f"{_url(settings, 'minio', int(settings['S3_PORT']))}/minio/health/ready"

    async def ready(part: str) -> bool:
        if part not in pages:
            return True
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http,
                http.get(pages[part]) as answer,
            ):
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    return ready


@asynccontextmanager
async def open_testbed(system: System) -> AsyncIterator[Testbed]:
    """The hold on whatever runs the parts: the supervisor, or the Docker engine."""
    if system.project is None:
        yield native_testbed.NativeTestbed(system.run_dir)
        return
    async with compose_testbed.open_containers(system.project, ready_probe(system.environ)) as found:
        yield found


async def settings_of(http: aiohttp.ClientSession, admin_url: str) -> dict[str, Any]:
    """What a process says of itself: service, instance, pid, start, all settings without secrets."""
    async with http.get(f"{admin_url}/settings", timeout=aiohttp.ClientTimeout(total=5)) as answer:
        answer.raise_for_status()
        content: dict[str, Any] = await answer.json()
        return content


def find_k6(environ: Mapping[str, str]) -> Path:
    """The k6 program. Raises ``SystemNotUp``."""
    return find_tool("k6", environ)


def find_tool(name: str, environ: Mapping[str, str]) -> Path:
    """A program of the images, or the one that the start-up knows, who installs it where it is missing.

    That may take minutes, and it tells people how far it is. Raises ``SystemNotUp``.
    """
    if environ.get("BENCH_PROJECT"):
        contained = shutil.which(name, path=environ.get("PATH"))
        if contained is None:
            raise SystemNotUp(f"{name} is not in the image that runs the load. Build it again with: make up")
        return Path(contained)
    asked = [sys.executable, "-m", "compose", "tools", name]
    done = subprocess.run(asked, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    values = dict(line.split("=", 1) for line in done.stdout.splitlines())
    if done.returncode != 0:
        raise SystemNotUp(f"{name} cannot be had; the reason is above")
    return Path(values[f"{_variable(name)}_BIN"])
