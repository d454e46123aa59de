"""What makes alerts fire: each provocation lasts as long as its block, and leaves the system as it was."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus

import aiohttp

from loadtests.harness.alerting.provocations import Provocation
from loadtests.harness.background import tasks
from loadtests.harness.records.vocabulary import EMAIL_DOMAIN
from loadtests.harness.running.rig import Rig

Provoke = Callable[[Rig], AbstractAsyncContextManager[None]]

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=65)
BETWEEN_S = 0.2  # a client that was answered waits so long
LISTERS = 2  # of the healthy load
READERS = 30  # more than a pool has connections
GUESSERS = 2
# 24 hashes at 19 MiB each are more memory than a service should hold, and more than this machine has cores.
# A client that got its answer is back at once and takes its own place again, so the queue stays full at every
# scrape; those for whom no place is left ask seldom, because answering them costs what hashing should get.
HASH_WORKERS, HASH_QUEUE, WITHOUT_A_PLACE = 24, 60, 30
HASHING = {"HASH_WORKERS": str(HASH_WORKERS), "HASH_QUEUE": str(HASH_QUEUE), "PASSWORD_HASH": "argon2id"}
HASHERS = HASH_WORKERS + HASH_QUEUE + WITHOUT_A_PLACE
REFUSED_S = 0.4
WITHOUT_BREAKER = {"BREAKER": "off"}  # it would keep the readers away from the database
SWEPT_OFTEN = {"SWEEP_INTERVAL_S": "1"}  # overdue after ten of them
CROWD = 40
FEW_PLACES = {"MAX_CCU": "20", "CCU_UTILISATION": "1", "ADMISSION_WORKERS": "10", "ADMISSION_QUEUE": "10"}
NO_REDIS = {"RATE_LIMIT_BACKEND": "redis", "REDIS_URL": "redis://127.0.0.1:1"}  # nobody listens there


@asynccontextmanager
async def healthy_load(rig: Rig) -> AsyncIterator[None]:
    """A few users who list their files, all the time: without requests there are no ratios."""
    async with _clients(LISTERS, lambda: _list(rig)):
        yield


@asynccontextmanager
async def process_paused(rig: Rig) -> AsyncIterator[None]:
    """The files service is stopped in the middle of its work."""
    async with _paused(rig, "files"):
        yield


@asynccontextmanager
async def database_paused(rig: Rig) -> AsyncIterator[None]:
    """The database of files does not answer, and those who list their files wait and fail."""
    async with _paused(rig, "pg-files"), _clients(READERS, lambda: _list(rig)):
        yield


@asynccontextmanager
async def table_locked(rig: Rig) -> AsyncIterator[None]:
    """As a migration would: nobody can read the table, and more users want to than there are connections."""
    async with _restarted(rig, "gateway", WITHOUT_BREAKER), _locked(rig, "ACCESS EXCLUSIVE"):
        with rig.activity.fault("table-locked", "pg-files"):
            async with _clients(READERS, lambda: _list(rig)):
                yield


@asynccontextmanager
async def writes_blocked(rig: Rig) -> AsyncIterator[None]:
    """As while an index is built: files can be read, but no sweep comes to its end."""
    async with _restarted(rig, "files", SWEPT_OFTEN), _locked(rig, "SHARE"):
        with rig.activity.fault("writes-blocked", "pg-files"):
            yield


@asynccontextmanager
async def refused_logins(rig: Rig) -> AsyncIterator[None]:
    """Wrong passwords for one user, until the limit refuses and longer."""
    email = rig.hold.identities[0].email
    with rig.activity.fault("refused-logins", "auth"):
        async with _clients(GUESSERS, lambda: _log_in(rig.http, rig, email)):
            yield


@asynccontextmanager
async def many_hashes(rig: Rig) -> AsyncIterator[None]:
    """Logins of so many users at once that hashing fills cores, memory and the queue."""
    async with _restarted(rig, "auth", HASHING), _connections(rig, HASHERS) as http:
        with rig.activity.fault("many-hashes", "auth"):
            async with _clients(HASHERS, lambda: _hash(rig, http), pause_s=0.0):
                yield


@asynccontextmanager
async def crowded_gateway(rig: Rig) -> AsyncIterator[None]:
    """Twice as many requests at once as the gateway lets in."""
    async with _restarted(rig, "gateway", FEW_PLACES), _connections(rig, CROWD) as http:
        with rig.activity.fault("crowded-gateway", "gateway"):
            async with _clients(CROWD, lambda: _sleep(rig, http)):
                yield


@asynccontextmanager
async def no_redis(rig: Rig) -> AsyncIterator[None]:
    """The gateway is to count in a Redis that does not answer, whether or not the testbed has one."""
    async with _restarted(rig, "gateway", NO_REDIS):
        with rig.activity.fault("no-redis", "gateway"):
            yield


PROVOCATIONS: Mapping[Provocation, Provoke] = {
    "process-paused": process_paused,
    "database-paused": database_paused,
    "table-locked": table_locked,
    "refused-logins": refused_logins,
    "many-hashes": many_hashes,
    "crowded-gateway": crowded_gateway,
    "no-redis": no_redis,
    "writes-blocked": writes_blocked,
}


@asynccontextmanager
async def _restarted(rig: Rig, part: str, environment: Mapping[str, str]) -> AsyncIterator[None]:
    """The part has these settings meanwhile."""
    await rig.hold.testbed.restart(part, environment)
    try:
        yield
    finally:
        await rig.hold.testbed.restart(part, {})


@asynccontextmanager
async def _locked(rig: Rig, mode: str) -> AsyncIterator[None]:
    """The table of files is locked in this mode of Postgres."""
    connection = rig.databases.files
    async with connection.transaction():
        # Else the server ends a transaction that does nothing.
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await connection.execute(f"LOCK TABLE files IN {mode} MODE")
        yield


@asynccontextmanager
async def _paused(rig: Rig, part: str) -> AsyncIterator[None]:
    await rig.hold.testbed.act("pause", part)
    try:
        with rig.activity.fault("paused", part):
            yield
    finally:
        await rig.hold.testbed.act("resume", part)


@asynccontextmanager
async def _connections(rig: Rig, number: int) -> AsyncIterator[aiohttp.ClientSession]:
    """Of their own: the rig's are fewer, and it needs them to look on."""
    connector = aiohttp.TCPConnector(limit=number, resolver=rig.system.resolver())
    async with aiohttp.ClientSession(connector=connector) as http:
        yield http


@asynccontextmanager
async def _clients(
    number: int, request: Callable[[], Awaitable[object]], *, pause_s: float = BETWEEN_S
) -> AsyncIterator[None]:
    """So many clients, each sending one request after the other until the block ends."""

    async def client() -> None:
        while True:
            try:
                await request()
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(BETWEEN_S)  # a system that is down must not be asked without a pause
            await asyncio.sleep(pause_s)

    async with tasks(*(client() for _ in range(number))):
        yield


async def _list(rig: Rig) -> None:
    url, user = f"{rig.system.gateway_url}/api/files/me/owned", rig.hold.identities[0]
    async with rig.http.get(url, headers=user.headers, timeout=REQUEST_TIMEOUT) as answer:
        await answer.read()


async def _sleep(rig: Rig, http: aiohttp.ClientSession) -> None:
    url = f"{rig.system.gateway_url}/bench/echo?items=0&sleep_ms=1000"
    async with http.get(url, timeout=REQUEST_TIMEOUT) as answer:
        await answer.read()


async def _hash(rig: Rig, http: aiohttp.ClientSession) -> None:
    """The password of a user whom nobody knows is hashed like any other."""
    if await _log_in(http, rig, f"{secrets.token_hex(8)}@{EMAIL_DOMAIN}") != HTTPStatus.BAD_REQUEST:
        await asyncio.sleep(REFUSED_S)


async def _log_in(http: aiohttp.ClientSession, rig: Rig, email: str) -> int:
    facts = {"email": email, "password": secrets.token_urlsafe(12)}
    url = f"{rig.system.gateway_url}/auth/login"
    async with http.post(url, json=facts, timeout=REQUEST_TIMEOUT) as answer:
        await answer.read()
        return answer.status
