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
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import aiohttp

from loadtests.harness import counters
from loadtests.harness.background import beside
from loadtests.harness.console import Played, read_tail
from loadtests.harness.counters import Scrape
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
    f"/api/upload/{path}"
    for path in (
        "proxy/chunk",
        "multipart/part",
        "multipart/presign",
        "multipart/complete",
        "single/complete",
    )
)
HEALTH = ("/health", "/health/detailed", "/live", "/ready", "/ping")


@dataclass(frozen=True, slots=True)
class Requests:
    """How many there were of each kind."""

    uploads: int = 0
    logins: int = 0
    lists: int = 0
    others: int = 0
    reads: int = 0
    downloads: int = 0

    def __sub__(self, other: Requests) -> Requests:
        return Requests(*(mine - theirs for mine, theirs in zip(self.counts(), other.counts(), strict=True)))

    def counts(self) -> tuple[int, ...]:
        return self.uploads, self.logins, self.lists, self.others, self.reads, self.downloads


ByStack = Mapping[str, Requests]
Look = Callable[[], Awaitable[ByStack]]


def answered(gateways: Scrape) -> Requests:
    """What gateways were asked since they began, by their own count."""
    found = {one.name: 0.0 for one in fields(Requests)}
    for path, count in gateways.by("http_requests_total", "path").items():
        if (kind := kind_of(path)) is not None:
            found[kind] += count
    return Requests(**{kind: int(count) for kind, count in found.items()})


def kind_of(path: str) -> str | None:
    """The kind of a route's template; None for what says nothing about who else is there."""
    if path in STEPS or path.endswith(HEALTH):
        return None
    kinds = {"uploads": UPLOADS, "logins": LOGINS, "lists": LISTS, "reads": READS, "downloads": DOWNLOADS}
    return next((kind for kind, paths in kinds.items() if path in paths), "others")


@dataclass(slots=True)
class Sent:
    """What the load generator has written down, by stack. ``played`` grows while the load runs."""

    console: Path
    played: Mapping[int, Played]
    _offset: int = 0
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def read(self) -> dict[str, Requests]:
        """Everything until now; lines that cannot be read are the audit's business."""
        raw, self._offset = read_tail(self.console, self._offset)
        for text in raw:
            with contextlib.suppress(ValueError, KeyError, IndexError, TypeError):
                line = json.loads(text)
                kind = {"i": "uploads", "r": f"{line.get('step')}s", "d": "downloads"}.get(line["e"])
                if kind is not None:
                    stack = self.played[line["s"]].stacks[line["a"]]
                    self._counts[stack, kind] = self._counts.get((stack, kind), 0) + _requests(line)
        stacks = {stack for one in self.played.values() for stack in one.stacks}
        stacks |= {stack for stack, _ in self._counts}
        return {stack: self._of(stack) for stack in stacks}

    def _of(self, stack: str) -> Requests:
        return Requests(*(self._counts.get((stack, one.name), 0) for one in fields(Requests)))


def _requests(line: Mapping[str, Any]) -> int:
    """Requests to the gateway that a line stands for: of a batch's files, the first one counts."""
    if line["e"] == "d":
        return int(line["q"])
    return int(line.get("k", "/0").endswith("/0"))


def unexplained(seen: Requests, sent: Requests) -> Requests:
    """Requests that were answered and that we did not send; less than the spare is nothing."""
    over = (max(0, count) for count in (seen - sent).counts())
    spare = (SPARE + SPARE_SHARE * count for count in sent.counts())
    return Requests(*(count if count > allowed else 0 for count, allowed in zip(over, spare, strict=True)))


def sentence(stack: str, strange: Requests) -> str | None:
    """What was seen, for people; None where there is nothing to say."""
    words = {"uploads": "upload", "logins": "login", "lists": "list of files", "others": "other request",
             "reads": "look at a file", "downloads": "download"}  # fmt: skip
    plural = {"lists": "lists of files", "reads": "looks at files"}
    found = [
        f"{count} {words[one.name] if count == 1 else plural.get(one.name, words[one.name] + 's')}"
        for one, count in zip(fields(strange), strange.counts(), strict=True)
        if count
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
        stack: replace(
            now[stack],
            logins=earlier[stack].logins,
            lists=earlier[stack].lists,
            reads=earlier[stack].reads,
            downloads=earlier[stack].downloads,
        )
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
