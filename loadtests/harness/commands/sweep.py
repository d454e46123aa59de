"""``make sweep``: what nothing needs any more is removed now, instead of when its time comes."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jwt
from rich.console import Console
from rich.table import Table

from loadtests.harness import wording
from loadtests.harness.testbeds.system import System, find_system
from loadtests.harness.testbeds.testbed import SystemNotUp

LIMIT_S = 600.0
CREDENTIAL_S = 60
# Upload first: what it gives up, files then knows.
SERVICES = ("upload", "files")
WORDS: Mapping[str, Mapping[str, str]] = {
    "upload": {
        "session": "open or failed uploads, ended",
        "multipart": "multipart uploads in the store",
        "object": "chunks, and bytes that came too late",
        "spool": "spool files",
        "row": "rows of uploads that ended long ago",
    },
    "files": {
        "object": "objects of deleted files, and bytes that came too late",
        "multipart": "parts of copies that were not made",
        "row": "rows of files that were deleted long ago",
        "orphan": "objects without a row (removed only with ORPHAN_DELETE=1)",
    },
}


@dataclass(frozen=True, slots=True)
class Swept:
    """A service's answer; ``problem`` is its refusal."""

    service: str
    counts: Mapping[str, int] = field(default_factory=dict)
    size_bytes: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""


def sweep(
    environ: Mapping[str, str],
    console: Console,
    *,
    dry_run: bool,
    older_than_s: int | None,
    unknown_older_than_s: int | None,
) -> int:
    """Sweep both services and say what went; 1 if one of them could not."""
    system = find_system(environ)
    answers = asyncio.run(
        sweep_all(
            system, dry_run=dry_run, older_than_s=older_than_s, unknown_older_than_s=unknown_older_than_s
        )
    )
    console.print(_table(answers, dry_run=dry_run))
    for answer in answers:
        if answer.problem:
            console.print(f"[red]{answer.service}: {answer.problem}[/]", highlight=False)
    return int(any(answer.problem for answer in answers))


async def sweep_all(
    system: System,
    *,
    dry_run: bool = False,
    older_than_s: int | None = None,
    unknown_older_than_s: int | None = None,
) -> list[Swept]:
    query = {"dry_run": str(int(dry_run))}
    for name, age_s in (("older_than_s", older_than_s), ("unknown_older_than_s", unknown_older_than_s)):
        if age_s is not None:
            query[name] = str(age_s)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as http:
        return [await _ask(http, system, service, query) for service in SERVICES]


async def _ask(http: aiohttp.ClientSession, system: System, service: str, query: Mapping[str, str]) -> Swept:
    url = f"{system.service_url(service)}/internal/sweep"
    headers = {"X-Service-Token": credential(system.environ, service, time.time())}
    async with http.post(url, params=query, headers=headers) as answer:
        body: Any = await answer.json()
        if answer.status != 200:
            return Swept(service, problem=body["message"])
        return Swept(service, body["counts"], body.get("bytes", {}))


def credential(environ: Mapping[str, str], service: str, now: float) -> str:
    """What shows a service that its operator calls.

    Raises:
        SystemNotUp: the key is not known here.
    """
    key = environ.get(name := f"INTERNAL_KEY_OPERATOR_{service.upper()}")
    if not key:
        raise SystemNotUp(f"{name} is not set. A system started by an older version has none: make up again")
    claims = {"iss": "operator", "aud": service, "iat": int(now), "exp": int(now) + CREDENTIAL_S}
    return jwt.encode(claims | {"jti": secrets.token_hex(8)}, key, algorithm="HS256")


def _table(answers: list[Swept], *, dry_run: bool) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="dim")
    shown.add_column("service")
    shown.add_column("would go" if dry_run else "removed", justify="right")
    shown.add_column("bytes", justify="right")
    shown.add_column("what")
    for answer in answers:
        for kind, what in WORDS[answer.service].items():
            size_bytes = answer.size_bytes.get(kind)
            size = "" if size_bytes is None else wording.size(size_bytes)
            shown.add_row(answer.service, str(answer.counts.get(kind, 0)), size, what)
    return shown
