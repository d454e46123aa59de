"""The upstream addresses of each service, and whether they live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.kit.health import Check, NotOkError
from services.kit.upstream import Upstream, balanced, live

LIVE_S = 1.5  # less than a check may take, so that one silent replica does not hide the others


class Pool:
    """The replicas of one service; ``front`` is what requests are sent to."""

    def __init__(self, replicas: Sequence[Upstream]) -> None:
        self.replicas = tuple(replicas)
        self.front = balanced(replicas)

    async def close(self) -> None:
        for replica in self.replicas:
            await replica.close()

    def breakers(self) -> list[str]:
        """The state of each replica's."""
        return [replica.guard.state.name.lower() for replica in self.replicas]

    async def check(self) -> str | None:
        """Ask every replica's ``/live``.

        Raises:
            NotOkError: none of them answered.
        """
        alive = await live(self.replicas, LIVE_S)
        if not alive:
            raise NotOkError("does not answer")
        return f"{alive} of {len(self.replicas)} live" if len(self.replicas) > 1 else None


def checks(pools: Mapping[str, Pool]) -> dict[str, Check]:
    return {service: pool.check for service, pool in pools.items()}
