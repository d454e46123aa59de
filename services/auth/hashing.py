"""The threads that hash, and the queue in front of them.

Hashing is the one thing of this system that costs tens of milliseconds of CPU, so it runs off the event
loop, a fixed number at a time, and a queue that would not be served in time is refused at its door.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from services.auth.errors import overloaded

T = TypeVar("T")
MAX_WAIT_S = 10.0
_WEIGHT = 0.2  # of the newest hash in the running mean


class HashPool:
    """Runs blocking work first in, first out.

    Args:
        workers: how many run at once.
        places: how many may wait.
        monotonic: seconds.
    """

    def __init__(self, workers: int, places: int, monotonic: Callable[[], float]) -> None:
        self._workers, self._places, self._monotonic = workers, places, monotonic
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="hash")
        self._slots = asyncio.Semaphore(workers)
        self._mean_s = 0.0
        self.waiting = 0

    def refuse_when_full(self) -> None:
        """Called before a password is read, and again when the work is handed in.

        Raises:
            Fault: ``overloaded``, when no place is left or the wait would pass 10 s.
        """
        if not self._slots.locked():
            return
        if self.waiting >= self._places or self.waiting * self._mean_s / self._workers > MAX_WAIT_S:
            raise overloaded()

    async def run(self, work: Callable[[], T], before: Callable[[], None]) -> T:
        """Wait for a thread and run ``work`` in it.

        ``before`` is called when the turn comes and raises if the work is no longer wanted: a client
        that left while it waited costs no hash.

        Raises:
            Fault: ``overloaded``.
        """
        self.refuse_when_full()
        handed_in = self._monotonic()
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        try:
            before()
            if self._monotonic() - handed_in > MAX_WAIT_S:
                raise overloaded()
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._timed, work)
        finally:
            self._slots.release()

    def _timed(self, work: Callable[[], T]) -> T:
        started = self._monotonic()
        try:
            return work()
        finally:
            self._mean_s += _WEIGHT * (self._monotonic() - started - self._mean_s)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
