"""Counts of all gateway processes together, in Redis; those of this process while it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from gateway.limits import WINDOW_S, Claim, Counts
from services.kit.metrics import Counters
from services.kit.redis import Failure, Redis, RedisGoneError, Script

BATCH = 512  # requests that one script counts; it holds Redis up for about a millisecond
PREFIX = "limit:"
# Two keys and two limits for each request, the second key empty without a user. A window is a minute of
# Redis' own clock, the only one that all processes share, and a key ends with its minute.
COUNT = f"""
local now = tonumber(redis.call('TIME')[1])
local ends = now - now % {WINDOW_S} + {WINDOW_S}
local waits = {{}}
for first = 1, #KEYS, 2 do
  waits[first], waits[first + 1] = 0, 0
  for at = first, first + 1 do
    local key = KEYS[at]
    if key ~= '' then
      local count = tonumber(redis.call('GET', key) or '0')
      if count >= tonumber(ARGV[at]) then
        waits[at] = ends - now
        break
      end
      redis.call('INCR', key)
      if count == 0 then
        redis.call('EXPIREAT', key, ends)
      end
    end
  end
end
return waits
"""
NOBODY = Claim("", 0)


class Asked(NamedTuple):
    """One request that waits for its answer."""

    address: Claim
    user: Claim | None
    answer: asyncio.Future[tuple[int, int] | Failure]


class RedisCounts:
    """What is asked while an answer is under way goes together, in one round trip, when that has come.

    Args:
        meanwhile: counts while Redis does not answer; it begins at 0, so more than the limit may pass then.
        fallbacks: counts those requests by reason.
    """

    def __init__(self, redis: Redis, meanwhile: Counts, fallbacks: Counters) -> None:
        self._redis, self._script = redis, Script(redis, COUNT)
        self._meanwhile, self._fallbacks = meanwhile, fallbacks
        self._asked: list[Asked] = []
        self._sender: asyncio.Task[None] | None = None

    async def hit(self, address: Claim, user: Claim | None) -> tuple[int, int]:
        found = Failure.PAUSED if self._redis.paused else await self._ask(address, user)
        if not isinstance(found, Failure):
            return found
        self._fallbacks(found).inc()
        return await self._meanwhile.hit(address, user)

    async def _ask(self, address: Claim, user: Claim | None) -> tuple[int, int] | Failure:
        asked = Asked(address, user, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await asked.answer

    async def _send(self) -> None:
        try:
            while self._asked:
                batch, self._asked = self._asked[:BATCH], self._asked[BATCH:]
                try:
                    answers = await self._count(batch)
                except BaseException:
                    for one in batch:
                        one.answer.cancel()
                    raise
                for one, answer in zip(batch, answers, strict=True):
                    if not one.answer.done():  # its client may have left
                        one.answer.set_result(answer)
        finally:
            self._sender = None

    async def _count(self, batch: Sequence[Asked]) -> Sequence[tuple[int, int] | Failure]:
        claims = [claim for one in batch for claim in (one.address, one.user or NOBODY)]
        keys = [PREFIX + claim.key if claim.key else "" for claim in claims]
        try:
            waits = await self._script(keys, [claim.limit for claim in claims])
        except RedisGoneError as gone:
            return [gone.failure] * len(batch)
        return list(zip(waits[::2], waits[1::2], strict=True))
