"""The number of series depends on the code, not on what clients send."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from uuid import uuid4

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from gateway.routes import TABLES
from tests.contract.api import Api
from tests.stack import PYTHON_PARTS, System

pytestmark = pytest.mark.contract
CEILING = 3_000  # series of one process: the gateway knows every route with every method and status
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW")
PLACEHOLDER = re.compile(r"\{\w+\}")
Series = tuple[str, tuple[tuple[str, str], ...]]


def hostile() -> Iterator[str]:
    """Paths that nobody serves, different each time."""
    word, name = secrets.token_hex(8), uuid4()
    yield from (f"/{word}", f"/api/{word}/{name}", f"/api/files/f/{name}/{word}", f"/api/upload/{word}")
    yield from (f"/internal/{word}", f"/api/files/../internal/{word}", f"/%2e%2e/{word}", f"//{word}//")
    yield from (
        f"/{word}%00",
        f"/{word}%0a{word}",
        f"/%F0%9F%92%A9{word}",
        f"/{word * 100}",
        f"/?a={word}",
    )
    yield from (f'/"}}{word}', f"/metrics/{word}", f"/api/files/f/{word}", f"/auth/{name}")


def known(prefix: str, template: str) -> str:
    """A path of the route, with ids that were never there."""
    return prefix + PLACEHOLDER.sub(lambda _: str(uuid4()), template)


async def send(http: aiohttp.ClientSession, method: str, url: str, token: str | None) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = b"{}" if method in {"POST", "PUT", "PATCH"} else None
    address = URL(url, encoded=True)
    async with http.request(method, address, headers=headers, data=body, allow_redirects=False) as answer:
        await answer.read()


async def walk(system: System, http: aiohttp.ClientSession, user: Api) -> None:
    """Every route with every method, as a user and as nobody; hostile paths, also past the gateway."""
    for prefix, routes in TABLES.values():
        for template in {route.template for route in routes}:
            for method in METHODS:
                for token in (user.token, None):
                    await send(http, method, system.gateway + known(prefix, template), token)
    for base in (system.gateway, *(system.service(part) for part in PYTHON_PARTS)):
        for path in hostile():
            for method in ("GET", "POST", "BREW"):
                await send(http, method, base + path, user.token)


async def scraped(system: System, http: aiohttp.ClientSession, part: str) -> set[Series]:
    async with http.get(f"{system.admin(part)}/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
        return {
            (sample.name, tuple(sorted(sample.labels.items())))
            for family in families
            for sample in family.samples
        }


async def test_no_client_can_make_a_series(system: System, http: aiohttp.ClientSession, user: Api) -> None:
    await walk(system, http, user)
    first = {part: await scraped(system, http, part) for part in PYTHON_PARTS}
    for _ in range(2):
        await walk(system, http, user)
    for part in PYTHON_PARTS:
        series = await scraped(system, http, part)
        added = {one for one in series - first[part] if not by_the_clock(one)}
        assert added == set(), part
        assert len(series) < CEILING, part
        assert {value for _, labels in series for _, value in labels if value == "other"} == set(), part
        assert not [name for name, _ in series if name.endswith("_created")], part


def by_the_clock(series: Series) -> bool:
    """What a process does by itself may happen for the first time at any moment."""
    name, labels = series
    return name.startswith(("db_query_seconds", "store_request_seconds")) or "/ready" in dict(labels).values()
