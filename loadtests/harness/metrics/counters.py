"""The services' own counters, scraped from their admin ports: what an upload cost, as they count it."""

from __future__ import annotations

import asyncio
import operator
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import reduce

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from loadtests.harness.records.samples import Counted
from loadtests.harness.records.vocabulary import service_of

SCRAPE_TIMEOUT_S = 5.0
# Which database a service's statements go to; the gateway has none.
DATABASE_OF = {"auth": "auth_db", "upload": "upload_db", "files": "files_db"}
# Statements and store requests by the clock or for cleaning, not for a request: outside an upload's price.
# `file_void`: upload asks files before it gives an upload up, mostly in its own sweep; no uploader waits.
BACKGROUND = ("poll_", "clean_", "sweep_", "health", "file_void")

Sample = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """Every sample of one process, by name and sorted labels."""

    values: Mapping[Sample, float] = field(default_factory=dict)

    def total(self, name: str, **labels: str) -> float:
        """Sum over all samples of that name that carry the given labels."""
        wanted = set(labels.items())
        return sum(v for (sample, found), v in self.values.items() if sample == name and wanted <= set(found))

    def by(self, name: str, label: str) -> dict[str, float]:
        """Sums by the values of one label."""
        sums: dict[str, float] = defaultdict(float)
        for (sample, found), value in self.values.items():
            if sample == name:
                sums[dict(found).get(label, "")] += value
        return dict(sums)

    @property
    def began(self) -> float:
        """When the process started, seconds since the epoch; 0 where it does not say."""
        return self.total("process_start_time_seconds")

    def has(self, name: str) -> bool:
        return any(sample == name for sample, _ in self.values)

    def __add__(self, other: Scrape) -> Scrape:
        names = {**self.values, **other.values}
        return Scrape({key: self.values.get(key, 0.0) + other.values.get(key, 0.0) for key in names})

    def __sub__(self, earlier: Scrape) -> Scrape:
        return Scrape({key: value - earlier.values.get(key, 0.0) for key, value in self.values.items()})


def parse(text: str) -> Scrape:
    """Samples of a Prometheus text page."""
    return Scrape(
        {
            (sample.name, tuple(sorted(sample.labels.items()))): float(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )


async def fetch(http: aiohttp.ClientSession, admin_url: str) -> str:
    """One process's metrics page as text. Raises ``aiohttp.ClientError`` or ``TimeoutError``."""
    timeout = aiohttp.ClientTimeout(total=SCRAPE_TIMEOUT_S)
    async with http.get(f"{admin_url}/metrics", timeout=timeout) as answer:
        answer.raise_for_status()
        return await answer.text()


async def scrape_all(http: aiohttp.ClientSession, admin_urls: Mapping[str, str]) -> dict[str, Scrape]:
    """Counters of every service; one that does not answer is absent, never zero."""
    pages = await asyncio.gather(*(_page(http, url) for url in admin_urls.values()))
    return {name: parse(page) for name, page in zip(admin_urls, pages, strict=True) if page is not None}


async def _page(http: aiohttp.ClientSession, admin_url: str) -> str | None:
    try:
        return await fetch(http, admin_url)
    except (aiohttp.ClientError, TimeoutError):
        return None


def differences(
    before: Mapping[str, Scrape],
    after: Mapping[str, Scrape],
    *,
    stack: str = "",
    stretches: tuple[str, ...] = (),
) -> Counted:
    """What the services counted between two scrapes, replicas together: statements that requests caused, and
    bytes of bodies through the gateway. How many uploads that paid for is known after the audit.

    Nothing is told of a service one of whose processes is missing or began to count anew, and nothing of
    statements and store requests where that is one of those that make them: a part of a price is none.
    """
    unknown = _incomplete(before, after)
    change: dict[str, Scrape] = {}
    for part in after:
        if (service := service_of(part)) not in unknown:
            change[service] = change.get(service, Scrape()) + (after[part] - before[part])
    known = () if unknown & DATABASE_OF.keys() else DATABASE_OF
    paying = {name: change[name] for name in known if name in change}
    store: dict[str, float] = defaultdict(float)
    for scraped in paying.values():
        for op, count in scraped.by("store_request_seconds_count", "op").items():
            store[op] += 0 if op.startswith(BACKGROUND) else count
    gateway = change.get("gateway")
    return Counted(
        stack=stack,
        stretches=stretches,
        uploads={},
        statements={DATABASE_OF[name]: _of_requests(scraped) for name, scraped in paying.items()},
        store_requests={op: count for op, count in sorted(store.items()) if count},
        gateway_bytes_in=_optional(gateway, "gateway_bytes_total", direction="in"),
        gateway_bytes_out=_optional(gateway, "gateway_bytes_total", direction="out"),
    )


def _incomplete(before: Mapping[str, Scrape], after: Mapping[str, Scrape]) -> set[str]:
    """Services of which a process did not answer both times, or is another than before."""
    restarted = {part for part in before.keys() & after.keys() if after[part].began != before[part].began}
    return {service_of(part) for part in (before.keys() ^ after.keys()) | restarted}


def total(scrapes: Mapping[str, Scrape], parts: Collection[str]) -> Scrape | None:
    """The sum over all of these parts; nothing where one did not answer."""
    if not all(part in scrapes for part in parts):
        return None
    return reduce(operator.add, (scrapes[part] for part in parts), Scrape())


def _of_requests(change: Scrape) -> float:
    """Statements that requests caused."""
    by_name = change.by("db_query_seconds_count", "statement")
    return sum(count for name, count in by_name.items() if not name.startswith(BACKGROUND))


def _optional(change: Scrape | None, name: str, **labels: str) -> float | None:
    return change.total(name, **labels) if change is not None and change.has(name) else None
