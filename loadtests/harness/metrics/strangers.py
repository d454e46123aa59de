"""Traffic that is not ours, noticed while a stretch is played.

A gateway counts what it was asked; the load generator writes down what it asks. What the first has and the
second has not was somebody else's, and a comparison beside somebody else's load means nothing.

k6 writes an upload down before it sends it, so a gateway's count of uploads is compared with the lines that
are there now: one look later, our own uploads of that time would hide somebody else's. A login, a list, a
look at a file or a download is written down after the answer; while a stretch runs, their counts are compared
with the lines of one look later, when all that was counted has its line. At the end, when every VU is idle,
all must agree at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from loadtests.harness.background import beside
from loadtests.harness.k6.console import Played, read_tail
from loadtests.harness.metrics import counters
from loadtests.harness.metrics.counters import Scrape
from loadtests.harness.records.samples import Warn
from loadtests.harness.records.vocabulary import Severity

LOOK_S = 15.0  # noticed within two looks
# The generator's HTTP client sends a request again whose kept-alive connection was closed under it.
SPARE, SPARE_SHARE = 1, 0.001

UPLOADS = frozenset(
    f"/api/upload/{path}"
    for path in ("proxy/session", "multipart/session", "single/session", "file", "batch")
)
LOGINS = frozenset({"/auth/login", "/auth/signup"})
LISTS = frozenset({"/api/files/me/owned"})
READS = frozenset({"/api/files/f/{file_id}"})
DOWNLOADS = frozenset({"/api/files/f/{file_id}/download", "/api/files/batch-download"})
# Steps of an upload that was counted when it began; several for each.
STEPS = frozenset(
    {
        "/api/upload/proxy/chunk",
        *(f"/api/upload/multipart/{step}" for step in ("part", "presign", "complete")),
        "/api/upload/single/complete",
    }
)
HEALTH = ("/health", "/health/detailed", "/live", "/ready", "/ping")


# By kind: the templates of its routes, and what one such request and several are called.
KINDS: Mapping[str, tuple[frozenset[str], str, str]] = {
    "uploads": (UPLOADS, "upload", "uploads"),
    "logins": (LOGINS, "login", "logins"),
    "lists": (LISTS, "list of files", "lists of files"),
    "others": (frozenset(), "other request", "other requests"),
    "reads": (READS, "look at a file", "looks at files"),
    "downloads": (DOWNLOADS, "download", "downloads"),
}
AT_ONCE = ("uploads", "others")  # have their line when a gateway counts them, or never
Requests = Counter[str]  # how many there were, by kind
ByStack = Mapping[str, Requests]
Look = Callable[[], Awaitable[ByStack]]


def answered(gateways: Scrape) -> Requests:
    """What gateways were asked since they began, by their own count."""
    found = Requests()
    for path, count in gateways.by("http_requests_total", "path").items():
        if (kind := kind_of(path)) is not None:
            found[kind] += int(count)
    return found


def kind_of(path: str) -> str | None:
    """The kind of a route's template; None for what says nothing about who else is there."""
    if path in STEPS or path.endswith(HEALTH):
        return None
    return next((kind for kind, (paths, _, _) in KINDS.items() if path in paths), "others")


@dataclass(slots=True)
class Sent:
    """What the load generator has written down, by stack. ``played`` grows while the load runs."""

    console: Path
    played: Mapping[int, Played]
    _offset: int = 0
    _counts: dict[str, Requests] = field(default_factory=lambda: defaultdict(Requests))

    def read(self) -> dict[str, Requests]:
        """Everything until now; lines that cannot be read are the audit's business."""
        raw, self._offset = read_tail(self.console, self._offset)
        for text in raw:
            with contextlib.suppress(ValueError, KeyError, IndexError, TypeError):
                line = json.loads(text)
                kind = {"i": "uploads", "r": f"{line.get('step')}s", "d": "downloads"}.get(line["e"])
                if kind is not None:
                    stack = self.played[line["s"]].stacks[line["a"]]
                    self._counts[stack][kind] += _requests(line)
        return {stack: counts.copy() for stack, counts in self._counts.items()}


def _requests(line: Mapping[str, Any]) -> int:
    """Requests to the gateway that a line stands for: of a batch's files, the first one counts."""
    if line["e"] == "d":
        return int(line["q"])
    return int(line.get("k", "/0").endswith("/0"))


def unexplained(seen: Requests, sent: Requests) -> Requests:
    """Requests that were answered and that we did not send; less than the spare is nothing."""
    over = seen - sent  # of a Counter: what is below nothing is left out
    return Requests({kind: n for kind, n in over.items() if n > SPARE + SPARE_SHARE * sent[kind]})


def sentence(stack: str, strange: Requests) -> str | None:
    """What was seen, for people; None where there is nothing to say."""
    found = [
        f"{strange[kind]} {one if strange[kind] == 1 else several}"
        for kind, (_, one, several) in KINDS.items()
        if strange[kind]
    ]
    if not found:
        return None
    where = f" on {stack}" if stack else ""
    return f"Somebody else uses the system: {' and '.join(found)}{where} were not ours."


def warning(said: str) -> Warn:
    """The record of it."""
    return Warn(
        code="foreign-traffic",
        severity=Severity.INVALID,
        message=said,
        advice="stop whatever else uses the system (a browser, a script, another load), and run again",
    )


async def ask_gateways(
    http: aiohttp.ClientSession, gateways: Mapping[str, Mapping[str, str]]
) -> dict[str, Requests]:
    """What every stack's gateways were asked; a stack of which one does not answer is absent.

    ``gateways`` are addresses of admin ports by process, by stack.
    """
    found = {}
    for stack, admin_urls in gateways.items():
        summed = counters.total(await counters.scrape_all(http, admin_urls), admin_urls)
        if summed is not None:
            found[stack] = answered(summed)
    return found


@asynccontextmanager
async def watching_for_strangers(
    look: Look,
    sent: Callable[[], ByStack],
    found: Callable[[str], None],
    *,
    look_s: float = LOOK_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Compare what the gateways answer with what we send, as long as the block runs and once at its end.

    Around one stretch, from before its first request until all VUs are idle. ``found`` is told once, with
    the sentence, and should let the run end in order; what it raises ends the block.
    """
    watch = _Watch(look, sent, found, before=await look(), sent_before=sent())
    async with beside(watch.run(look_s, sleep)):
        yield
    watch.compare(await look())


def _written_down(now: ByStack, earlier: ByStack) -> dict[str, Requests]:
    """Of two looks, what has its line by now if it was ours."""
    return {
        stack: Requests({**earlier[stack], **{kind: now[stack][kind] for kind in AT_ONCE}})
        for stack in now.keys() & earlier.keys()
    }


@dataclass(slots=True)
class _Watch:
    look: Look
    sent: Callable[[], ByStack]
    found: Callable[[str], None]
    before: ByStack
    sent_before: ByStack
    said: bool = False

    async def run(self, look_s: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        earlier = self.before
        while not self.said:
            await sleep(look_s)
            now = await self.look()
            self.compare(_written_down(now, earlier))
            earlier = now

    def compare(self, seen: ByStack) -> None:
        """Against all that was sent until now. A gateway that began anew counts less than before: no word."""
        sent = self.sent()
        for stack in seen.keys() & self.before.keys():
            mine = sent.get(stack, Requests()) - self.sent_before.get(stack, Requests())
            said = sentence(stack, unexplained(seen[stack] - self.before[stack], mine))
            if said is not None and not self.said:
                self.said = True
                self.found(said)
