"""Presigned links given out again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from yarl import URL

from services.files import links as links_module
from services.files.links import Links
from services.files.model import Permission, Readable, Summary
from services.kit.clock import World
from services.kit.s3 import S3Address, S3Client, open_client

pytestmark = pytest.mark.unit
ADDRESS = S3Address("http://127.0.0.1:9100", "http://localhost:9100", "bucket", "access", "secret")
START = 1_772_619_330.75
CHANGED = datetime(2026, 3, 4, tzinfo=UTC)


class Rig:
    """Links with a clock and a counter of their own."""

    def __init__(self, store: S3Client) -> None:
        self.store, self.now, self.counted = store, START, list[str]()
        self.links = Links(store, 600, lambda: self.now, self.counted.append)

    def file(self, number: int = 1, changed: datetime = CHANGED) -> Readable:
        file_id = UUID(int=number)
        summary = Summary(
            file_id, file_id, "ü.txt", "text/plain", 1, CHANGED, False, changed, Permission.OWNER, None
        )
        return Readable(summary, f"users/{file_id}/{file_id}", None)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_client(ADDRESS, World(now=lambda: 0.0), lambda *_: None) as store:
        yield Rig(store)


def query_of(url: str) -> Mapping[str, str]:
    return URL(url, encoded=True).query


async def test_a_link_is_signed_for_clients_with_type_name_and_exact_end(rig: Rig) -> None:
    link = rig.links.give(rig.file())
    query = query_of(link.url)
    assert link.url.startswith("http://localhost:9100/bucket/users/")
    assert query["response-content-type"] == "text/plain"
    assert query["response-content-disposition"].startswith('attachment; filename="_.txt"')
    signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert link.expires_at == signed + timedelta(seconds=int(query["X-Amz-Expires"]))


async def test_given_again_while_half_its_life_remains(rig: Rig) -> None:
    first = rig.links.give(rig.file())
    rig.now = START + 299
    assert rig.links.give(rig.file()) is first
    rig.now = START + 301
    assert rig.links.give(rig.file()).url != first.url
    assert rig.counted == ["miss", "hit", "miss"]


async def test_a_change_of_the_file_ends_it(rig: Rig) -> None:
    first = rig.links.give(rig.file())
    renamed = rig.file(changed=CHANGED + timedelta(microseconds=1))
    renamed = replace(renamed, summary=replace(renamed.summary, name="new.txt"))
    assert "new.txt" in rig.links.give(renamed).url
    assert first.url != rig.links.give(renamed).url


async def test_memory_is_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "ENTRIES", 3)
    rig.links = Links(rig.store, 600, lambda: rig.now, rig.counted.append)
    for number in range(1, 6):
        rig.links.give(rig.file(number))
    rig.links.give(rig.file(5))
    rig.links.give(rig.file(1))
    assert rig.counted == ["miss"] * 5 + ["hit", "miss"]
