"""Reads the metrics of processes as Prometheus does, in the turns of the arms that are to be scraped.

Once a turn, which is some three times as often as Prometheus asks: what observing costs is rather too much.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

import aiohttp

from loadtests.harness.metrics.counters import fetch
from loadtests.harness.records.plan import Part, Stretch


async def scrape(
    http: aiohttp.ClientSession, stretch: Stretch, part: Part, pages: Mapping[str, Iterable[str]]
) -> None:
    """Until the stretch ends; ``pages`` are addresses by stack. A process that does not answer costs nothing
    else: that it is gone is noticed elsewhere."""
    for index, name in enumerate(stretch.order):
        arm = part.arm(name)
        if not arm.scraped:
            continue
        begin, end = stretch.counted(index)
        await asyncio.sleep(max(0.0, (begin + end) / 2 - time.time()))
        await asyncio.gather(*(fetch(http, url) for url in pages[arm.stack]), return_exceptions=True)
