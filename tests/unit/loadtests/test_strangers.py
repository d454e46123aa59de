"""Traffic of others: seen where gateways answered more than we sent, and never made up."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.routes import entries
from loadtests.harness.k6.console import Played
from loadtests.harness.metrics.counters import parse
from loadtests.harness.metrics.strangers import (
    DOWNLOADS,
    LISTS,
    LOGINS,
    READS,
    STEPS,
    UPLOADS,
    Requests,
    Sent,
    answered,
    kind_of,
    sentence,
    unexplained,
    watching_for_strangers,
)
from loadtests.harness.running.play import Player

pytestmark = pytest.mark.unit


def test_gateways_count_by_kind() -> None:
    page = "# TYPE http_requests counter\n" + "\n".join(
        f'http_requests_total{{method="POST",path="{path}",status="{status}"}} {count}'
        for path, status, count in (
            ("/api/upload/proxy/session", 200, 5),
            ("/api/upload/proxy/session", 503, 2),
            ("/api/upload/file", 201, 3),
            ("/api/upload/proxy/chunk", 200, 50),
            ("/auth/login", 200, 4),
            ("/auth/health", 200, 9),
            ("/health", 200, 9),
            ("/api/files/me/owned", 200, 6),
            ("/api/files/f/{file_id}/download", 206, 7),
            ("/api/files/batch-download", 200, 1),
            ("/api/files/f/{file_id}", 200, 8),
            ("/api/files/search", 200, 2),
        )
    )
    found = answered(parse(page + "\n"))
    assert found == Requests(uploads=10, logins=4, lists=6, others=2, reads=8, downloads=8)


def test_the_routes_are_the_gateway_s() -> None:
    known = {entry.template for entry in entries()}
    assert known >= UPLOADS | LOGINS | LISTS | READS | DOWNLOADS | STEPS
    assert kind_of("/api/files/batch-download") == "downloads"
    assert kind_of("/api/files/f/{file_id}/public") == "others"


@pytest.mark.parametrize(
    ("seen", "sent", "strange"),
    [
        (Requests(uploads=100, logins=20, lists=20), Requests(uploads=100, logins=20, lists=20), Requests()),
        (Requests(uploads=90), Requests(uploads=100), Requests()),  # not answered yet
        (Requests(uploads=101), Requests(uploads=100), Requests()),  # one was sent again
        (Requests(uploads=103), Requests(uploads=100), Requests(uploads=3)),
        (Requests(uploads=10_009), Requests(uploads=10_000), Requests()),  # a thousandth
        (Requests(logins=2, lists=3, others=4), Requests(), Requests(logins=2, lists=3, others=4)),
    ],
)
def test_what_we_did_not_send(seen: Requests, sent: Requests, strange: Requests) -> None:
    assert unexplained(seen, sent) == strange


def test_the_sentence_says_what_was_seen() -> None:
    assert sentence("", Requests()) is None
    said = sentence("B", Requests(uploads=12, lists=1))
    assert said == "Somebody else uses the system: 12 uploads and 1 list of files on B were not ours."


def test_k6_s_lines_count_by_stack(tmp_path: Path) -> None:
    console = tmp_path / "console.jsonl"
    lines = [
        {"e": "i", "s": 1, "a": 0},
        {"e": "i", "s": 1, "a": 1},
        {"e": "o", "s": 1, "a": 0},
        {"e": "r", "s": 1, "a": 1, "step": "login"},
        {"e": "r", "s": 1, "a": 1, "step": "list"},
        {"e": "i", "s": 1, "a": 1, "k": "r7/0"},  # three files of one request
        {"e": "i", "s": 1, "a": 1, "k": "r7/1"},
        {"e": "i", "s": 1, "a": 1, "k": "r7/10"},
        {"e": "d", "s": 1, "a": 0, "q": 2},  # cut and resumed
        {"e": "d", "s": 1, "a": 0, "q": 0},  # the address came with another file's
    ]
    console.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"e":"i"')
    sent = Sent(console, {1: Played("s001", ("A", "B"), ("one", "two"), ((), ()))})
    expected = {"one": Requests(uploads=1, downloads=2), "two": Requests(uploads=2, logins=1, lists=1)}
    assert sent.read() == sent.read() == expected


class Bench:
    """Gateways and a load generator whose counts a test moves, and a clock that a test lets go on."""

    def __init__(self) -> None:
        self.asked, self.sent, self.said = Requests(uploads=1000), Requests(), list[str]()
        self.found: Callable[[str], None] = self.said.append
        self._turn, self._slept = asyncio.Event(), asyncio.Event()

    async def look(self) -> Mapping[str, Requests]:
        return {"": self.asked}

    async def sleep(self, _: float) -> None:
        self._slept.set()
        await self._turn.wait()
        self._turn.clear()

    async def next_look(self) -> None:
        await asyncio.wait_for(self._slept.wait(), 10)
        self._slept.clear()
        self._turn.set()
        for _ in range(5):
            await asyncio.sleep(0)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        async with watching_for_strangers(self.look, lambda: {"": self.sent}, self.found, sleep=self.sleep):
            yield


@pytest.fixture
def bench() -> Iterator[Bench]:
    yield Bench()


async def test_our_own_load_is_no_stranger(bench: Bench) -> None:
    async with bench.watched():
        bench.asked, bench.sent = Requests(uploads=1050, logins=12), Requests(uploads=50)
        await bench.next_look()  # lines of 12 logins are still to come
        bench.asked, bench.sent = Requests(uploads=1100, logins=20), Requests(uploads=105, logins=12)
        await bench.next_look()
        bench.sent = Requests(uploads=105, logins=20)
    assert bench.said == []


async def test_a_stranger_s_uploads_are_noticed_at_the_next_look_and_once(bench: Bench) -> None:
    async with bench.watched():
        bench.asked, bench.sent = Requests(uploads=1053), Requests(uploads=50)
        await bench.next_look()
        assert bench.said == ["Somebody else uses the system: 3 uploads were not ours."]
        bench.sent = Requests(uploads=500)
    assert len(bench.said) == 1


async def test_a_stranger_s_logins_are_noticed_after_two_looks(bench: Bench) -> None:
    async with bench.watched():
        bench.asked = Requests(uploads=1000, logins=3)
        await bench.next_look()
        assert bench.said == []
        await bench.next_look()
        assert bench.said == ["Somebody else uses the system: 3 logins were not ours."]


async def test_a_stranger_in_a_short_stretch_is_noticed_at_its_end(bench: Bench) -> None:
    async with bench.watched():
        bench.asked, bench.sent = Requests(uploads=1005, lists=2), Requests(uploads=5)
    assert bench.said == ["Somebody else uses the system: 2 lists of files were not ours."]


async def test_a_gateway_that_began_anew_says_nothing(bench: Bench) -> None:
    async with bench.watched():
        bench.asked, bench.sent = Requests(uploads=5), Requests(uploads=5)
    assert bench.said == []


def a_player(folder: Path) -> Player:
    """With what `_foreign` touches: where the records go, and whom it tells."""
    said: list[str] = []
    load = SimpleNamespace(files=SimpleNamespace(console=folder / "console.jsonl"))
    rig = SimpleNamespace(stop=asyncio.Event(), event=lambda kind, **_: said.append(kind))
    books, progress = SimpleNamespace(warnings=[]), SimpleNamespace(say=said.append)
    parts: Any = (rig, load, books, None, None, progress, None)
    return Player(*parts)


async def test_nobody_is_accused_when_our_own_records_have_no_room(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generator's lines were lost, so all its uploads looked like somebody else's."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    player = a_player(tmp_path)
    bench.found = player._foreign
    with pytest.raises(OSError, match="No space left") as caught:
        async with bench.watched():
            bench.asked = Requests(uploads=1500)
            await bench.next_look()
            assert player.rig.stop.is_set(), "the stretch ends at once"
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path))
    assert player.books.warnings == []


async def test_with_room_for_the_records_it_was_somebody_else(bench: Bench, tmp_path: Path) -> None:
    player = a_player(tmp_path)
    bench.found = player._foreign
    async with bench.watched():
        bench.asked = Requests(uploads=1500)
    assert [(one.code, one.message) for one in player.books.warnings] == [
        ("foreign-traffic", "Somebody else uses the system: 500 uploads were not ours.")
    ]
    assert player.rig.stop.is_set()


async def test_a_stretch_that_broke_is_not_judged(bench: Bench) -> None:
    with pytest.raises(RuntimeError):
        async with bench.watched():
            bench.asked = Requests(uploads=1500)
            raise RuntimeError
    assert bench.said == []
