"""A download that was opened is closed, whatever goes wrong before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast
from uuid import UUID, uuid4

import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry, Counter

from services.files.downloads import Downloads
from services.files.model import Permission, Readable, Summary
from services.files.service.files import FileService
from services.kit.errors import Fault
from services.kit.web.answers import Streamed

pytestmark = pytest.mark.unit
LIMIT, PLACES = 3, 256
NOW = datetime(2026, 3, 4, tzinfo=UTC)
FILE = Readable(
    Summary(UUID(int=1), UUID(int=2), "a", "text/plain", 10, NOW, False, NOW, Permission.OWNER, None),
    "key",
    None,
)


class Opened:
    """What the store sends, and whether it was given back."""

    def __init__(self, size: int | None) -> None:
        self._size, self.closed = size, False

    @property
    def size_bytes(self) -> int:
        if self._size is None:
            raise ValueError("no number")
        return self._size

    async def read(self) -> bytes:
        return b""

    def close(self) -> None:
        self.closed = True


class Store:
    def __init__(self, size: int | None) -> None:
        self.opened = Opened(size)

    async def open(self, *_: object) -> Opened:
        return self.opened


def downloads(store: Store) -> Downloads:
    counter = Counter("sent_bytes", "of this test", registry=CollectorRegistry())
    return Downloads(cast(FileService, store), counter, limit=LIMIT, places=PLACES)


@pytest.mark.parametrize(("size", "error"), [(None, ValueError), (9, Fault), (11, Fault)])
async def test_it_is_closed_when_it_is_not_what_was_promised(
    size: int | None, error: type[Exception]
) -> None:
    store = Store(size)
    with pytest.raises(error):
        await downloads(store).send(make_mocked_request("GET", "/"), FILE, None)
    assert store.opened.closed


async def test_it_is_closed_with_the_answer() -> None:
    store = Store(10)
    answer = await downloads(store).send(make_mocked_request("GET", "/"), FILE, None)
    assert isinstance(answer, Streamed)
    assert not store.opened.closed
    answer.close()
    assert store.opened.closed


async def test_a_reader_has_so_many_downloads_at_once_and_the_others_theirs() -> None:
    sent, mine, request = downloads(Store(10)), uuid4(), make_mocked_request("GET", "/")
    answers = [await sent.send(request, FILE, mine) for _ in range(LIMIT)]
    with pytest.raises(Fault) as refused:
        await sent.send(request, FILE, mine)
    assert (refused.value.code, refused.value.headers["Retry-After"]) == ("rate_limited", "1")
    for other in (uuid4(), None):
        assert isinstance(await sent.send(request, FILE, other), Streamed)
    for _ in range(2):  # it may be closed more than once
        cast(Streamed, answers[0]).close()
    assert isinstance(await sent.send(request, FILE, mine), Streamed)
    with pytest.raises(Fault):
        await sent.send(request, FILE, mine)


async def test_what_could_not_be_opened_takes_no_place() -> None:
    sent, mine, request = downloads(Store(9)), uuid4(), make_mocked_request("GET", "/")
    for _ in range(LIMIT + 1):
        with pytest.raises(Fault) as refused:
            await sent.send(request, FILE, mine)
        assert refused.value.code == "store_inconsistent"
