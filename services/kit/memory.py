"""Memory of a process: how eagerly garbage is collected, and a soft limit below the one from outside.

The interpreter and glibc keep freed memory for later use; near the soft limit a process gives it back, so
that a burst of large bodies does not leave it at its peak until the limit from outside ends it.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import resource
from collections.abc import Callable
from pathlib import Path

from structlog.typing import FilteringBoundLogger

MIB = 1024 * 1024
LOOK_S = 1.0
REST_S = 10.0  # after a collection, which stops the loop for milliseconds
COLLECT_SHARE = 0.8
# Allocations before the youngest generation is collected, then collections of each before the next one.
GC_THRESHOLDS = {"medium": (500, 8, 8), "tight": (350, 5, 5)}
_STATM = Path("/proc/self/statm")


def rss_bytes() -> int:
    """Resident memory of this process."""
    return int(_STATM.read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def give_back() -> None:
    """Collect all garbage, and hand free pages of the heap back to the kernel where glibc can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)


class SoftLimit:
    """Gives memory back at 80 % of a limit.

    Args:
        limit_mb: MiB of resident memory.
        rss: resident memory now, in bytes.
        release: gives memory back.
    """

    def __init__(
        self,
        limit_mb: int,
        log: FilteringBoundLogger,
        *,
        rss: Callable[[], int] = rss_bytes,
        release: Callable[[], None] = give_back,
    ) -> None:
        self._at = COLLECT_SHARE * limit_mb * MIB
        self._log, self._rss, self._release = log, rss, release

    def look(self) -> bool:
        """Give memory back if it is time; whether it was."""
        before = self._rss()
        if before < self._at:
            return False
        self._release()
        self._log.info("memory given back", before_bytes=before, after_bytes=self._rss())
        return True

    async def watch(self) -> None:
        """Look once a second, and rest for ten after each time."""
        while True:
            pause_s = REST_S if self.look() else LOOK_S
            await asyncio.sleep(pause_s)
