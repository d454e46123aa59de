"""The upstream addresses of each service, and whether they live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.kit.health import Check, NotOkError
from services.kit.upstream import Upstream, UpstreamError

LIVE_S = 2.0


class Pool:
    """The replicas of one service: the one with the fewest exchanges gets the next, in turn on a tie."""

    def __init__(self, replicas: Sequence[Upstream]) -> None:
        self._replicas = list(replicas)
        self._turn = 0

    def pick(self) -> Upstream:
        replicas = self._replicas
        if len(replicas) == 1:
            return replicas[0]
        self._turn = (self._turn + 1) % len(replicas)
        turned = replicas[self._turn :] + replicas[: self._turn]
        return min(turned, key=lambda replica: replica.running)

    async def check(self) -> str | None:
        """Ask every replica's ``/live``.

        Raises:
            NotOkError: none of them answered.
        """
        alive = 0
        for replica in self._replicas:
            try:
                reply = await replica.json("GET", "/live", b"", {}, LIVE_S)
            except UpstreamError:
                continue
            alive += reply.status == 200
        if not alive:
            raise NotOkError("does not answer")
        return f"{alive} of {len(self._replicas)} live" if len(self._replicas) > 1 else None


def checks(pools: Mapping[str, Pool]) -> dict[str, Check]:
    return {service: pool.check for service, pool in pools.items()}
