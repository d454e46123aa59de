"""``RATE_LIMIT_BACKEND=redis``: one count for all gateways, and none that costs time when Redis is gone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from gateway.limits import Claim, MemoryCounts
from gateway.metrics import Metrics
from gateway.shared_counts import BATCH, RedisCounts
from services.kit.health import NotOkError
from services.kit.redis import PAUSE_S, Failure, Redis, client_of
from tests.processes import Running, running_process
from tests.redis_server import RedisServer
from tests.unit.gateway.support import Front, bearer, environment, recorded

pytestmark = pytest.mark.integration
ME, HERE = Claim("user me", 5), Claim("ip here", 1_000)
PATIENT_S, HASTY_S = 10.0, 0.5


class Clock:
    """Stands still; the pause after a failure ends when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def counting(
    server: RedisServer, clock: Clock | None = None, timeout_s: float = PATIENT_S
) -> AsyncIterator[tuple[RedisCounts, CollectorRegistry]]:
    """The counts of one gateway process."""
    metrics = Metrics()
    redis = Redis(client_of(server.url, timeout_s), timeout_s, clock or Clock())
    try:
        yield (
            RedisCounts(redis, MemoryCounts(lambda: 30.0), metrics.rate_limit_fallback),
            metrics.registry,
        )
    finally:
        await redis.close()


async def within_a_minute(server: RedisServer) -> None:
    """Returns at a moment with ten seconds of Redis' minute left."""
    client = client_of(server.url, PATIENT_S)
    try:
        seconds, _ = await client.time()
        if seconds % 60 > 50:
            await asyncio.sleep(60 - seconds % 60)
    finally:
        await client.aclose(close_connection_pool=True)


def fallbacks(registry: CollectorRegistry, reason: Failure) -> float:
    return registry.get_sample_value("rate_limit_fallback_total", {"reason": reason}) or 0.0


async def test_exactly_the_limit_passes_however_many_ask_at_once(server: RedisServer) -> None:
    await within_a_minute(server)
    async with counting(server) as (one, _), counting(server) as (other, _):
        claims = [(counts, Claim("user me", 700)) for counts in (one, other) for _ in range(2 * BATCH)]
        answers = await asyncio.gather(
            *(counts.hit(Claim("ip here", 9_999), claim) for counts, claim in claims)
        )
    passed = Counter(wait_s == 0 for _, wait_s in answers)
    assert passed == {True: 700, False: 4 * BATCH - 700}
    assert all(address_s == 0 and 0 <= user_s <= 60 for address_s, user_s in answers)


async def test_a_user_is_not_charged_for_what_the_address_may_not_send(server: RedisServer) -> None:
    await within_a_minute(server)
    async with counting(server) as (counts, _):
        assert await counts.hit(Claim("ip here", 1), Claim("user me", 1)) == (0, 0)
        refused_s, user_s = await counts.hit(Claim("ip here", 1), Claim("user you", 1))
        assert 1 <= refused_s <= 60
        assert user_s == 0
        assert await counts.hit(Claim("ip there", 1), Claim("user you", 1)) == (0, 0)
        assert await counts.hit(Claim("ip away", 1), None) == (0, 0)


async def test_counts_end_with_the_clock_minute(server: RedisServer) -> None:
    await within_a_minute(server)
    client = client_of(server.url, PATIENT_S)
    async with counting(server) as (counts, _):
        await counts.hit(HERE, ME)
        wait_s = (await counts.hit(Claim("ip here", 0), None))[0]
        ends = {await client.expiretime(f"limit:{key}") for key in ("ip here", "user me")}
    (end,) = ends
    seconds, _ = await client.time()
    await client.aclose(close_connection_pool=True)
    assert end % 60 == 0
    assert end - wait_s <= seconds < end
    assert seconds - (end - wait_s) <= 2  # what Retry-After says leads to the end of the minute


async def test_all_that_is_asked_at_once_is_two_round_trips(server: RedisServer) -> None:
    """The first goes alone; the others wait for its answer and go together."""
    client = client_of(server.url, PATIENT_S)
    async with counting(server) as (counts, _):
        await counts.hit(HERE, ME)  # the connection, and the script
        before = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
        await asyncio.gather(*(counts.hit(HERE, ME) for _ in range(100)))
        after = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await client.aclose(close_connection_pool=True)
    assert after - before <= 2


async def test_a_dead_redis_costs_no_time_and_a_new_one_counts_again(server: RedisServer) -> None:
    await within_a_minute(server)
    clock = Clock()
    async with counting(server, clock) as (counts, registry):
        assert await counts.hit(HERE, ME) == (0, 0)
        server.kill()
        answers = [await counts.hit(HERE, ME) for _ in range(8)]
        # This process alone begins at 0 and lets the limit pass.
        assert [wait_s for _, wait_s in answers] == [0] * 5 + [30] * 3
        assert fallbacks(registry, Failure.ERROR) == 1
        assert fallbacks(registry, Failure.PAUSED) == 7
        server.start()  # empty, and it does not know the script
        assert (await counts.hit(HERE, ME))[1] == 30, "not before the pause is over"
        clock.now += PAUSE_S
        assert [(await counts.hit(HERE, ME))[1] == 0 for _ in range(6)] == [True] * 5 + [False]
        assert sum(fallbacks(registry, reason) for reason in Failure) == 9


async def test_a_silent_redis_is_waited_for_once_in_a_pause(server: RedisServer) -> None:
    clock = Clock()
    async with counting(server, clock, HASTY_S) as (counts, registry):
        await counts.hit(HERE, None)
        server.freeze()
        try:
            for asked in (1, 2):
                began = monotonic()
                await asyncio.gather(*(counts.hit(HERE, None) for _ in range(100)))  # wait together
                for _ in range(100):
                    await counts.hit(HERE, None)  # do not wait
                assert HASTY_S <= monotonic() - began < 10 * HASTY_S
                assert fallbacks(registry, Failure.TIMEOUT) == 100 * asked
                assert fallbacks(registry, Failure.PAUSED) == 100 * asked
                clock.now += PAUSE_S
        finally:
            server.thaw()
        before = sum(fallbacks(registry, reason) for reason in Failure)
        assert (await counts.hit(HERE, None))[0] == 0
        assert sum(fallbacks(registry, reason) for reason in Failure) == before


async def test_a_wrong_password_is_a_fallback_and_an_unwell_check(server: RedisServer) -> None:
    wrong = RedisServer(server.program, server.folder, server.port, "wrong")
    async with counting(wrong) as (counts, registry):
        assert await counts.hit(HERE, ME) == (0, 0)
        assert fallbacks(registry, Failure.ERROR) == 1
    redis = Redis(client_of(wrong.url, PATIENT_S), PATIENT_S, Clock())
    with pytest.raises(NotOkError, match="go on without it"):
        await redis.check()
    await redis.close()


def with_redis(server: RedisServer, **more: str) -> dict[str, str]:
    return {"RATE_LIMIT_BACKEND": "redis", "REDIS_URL": server.url, "REDIS_TIMEOUT_S": str(PATIENT_S), **more}


async def test_the_order_of_the_steps_is_that_of_memory(server: RedisServer) -> None:
    async with recorded(None, **with_redis(server, RATE_LIMIT_IP="0")) as (front, _):
        bad = {"Authorization": "Bearer abc"}
        assert (await front.request("GET", "/nothing", bad)).error == "route_not_found"
        assert (await front.request("GET", "/api/upload/status", bad)).error == "rate_limited"
    async with recorded(None, **with_redis(server, RATE_LIMIT_TIERS="standard=0")) as (front, _):
        assert (await front.request("GET", "/api/upload/status", bad)).error == "token_malformed"
        assert (await front.request("GET", "/api/upload/status", bearer())).status == 429


async def redis_check(front: Front) -> dict[str, object]:
    found: dict[str, object] = (await front.request("GET", "/health/detailed")).json()["checks"]["redis"]
    return found


async def test_without_redis_the_gateway_is_ready_and_says_what_is_wrong(server: RedisServer) -> None:
    async with recorded(None, **with_redis(server)) as (front, _):
        assert (await redis_check(front))["ok"] is True
    async with recorded(None, **with_redis(server)) as (front, _):
        server.kill()
        check = await redis_check(front)
        assert (check["ok"], check["message"]) == (False, "does not answer; we go on without it")
        assert (await front.request("GET", "/ready")).status == 200
        assert (await front.request("GET", "/api/upload/status", bearer())).status == 200
        assert front.sample("rate_limit_fallback_total", reason="error") == 1
        assert '"event":"redis_gone"' in front.log_path.read_text()
    async with recorded() as (front, _):
        assert "redis" not in (await front.request("GET", "/health/detailed")).json()["checks"]


async def test_several_gateway_processes_let_exactly_the_limit_pass(server: RedisServer) -> None:
    await within_a_minute(server)
    settings = with_redis(server, RATE_LIMIT_TIERS="standard=50", BENCH_ENDPOINTS="1", LOGGING="off")
    # Nobody listens behind them: a request that may pass is answered with an error of another kind.
    env = {key: value for key, value in environment(1, **settings).items() if key != "PORT"}

    async def refused(session: aiohttp.ClientSession, gateway: Running) -> bool:
        async with session.get(f"{gateway.url}/api/upload/status", headers=bearer()) as answer:
            return answer.status == 429

    async with (
        running_process("gateway", env) as one,
        running_process("gateway", env) as two,
        aiohttp.ClientSession() as session,
    ):
        answers = Counter(
            await asyncio.gather(*(refused(session, gateway) for _ in range(60) for gateway in (one, two)))
        )
        async with session.get(f"{one.admin_url}/settings") as answer:
            text = await answer.text()
    assert answers == {False: 50, True: 70}
    assert '"RATE_LIMIT_BACKEND":"redis"' in text
    assert server.password not in text
