"""The statement that accepts chunks: races, and a search of its state space against a model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import settings as searched
from hypothesis import strategies as st

from services.kit.db import Statement
from services.upload.model import Send
from services.upload.repository.chunks import Accepted, Stored
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, bench_of

pytestmark = pytest.mark.integration

ROUNDS = 1_000


async def accept(bench: Bench, upload: UUID, index: int, size: int, content: str) -> Accepted:
    """Accept a chunk whose bytes are in some temporary object."""
    send = Send(upload, bench.user_id, index, size, None)
    location = f"temp:{uuid4()}" if size else None
    return await bench.tables.chunks.accept(send, Stored(size, content, location, '"e"'))


async def test_two_last_chunks_at_once_complete_the_upload_once(bench: Bench) -> None:
    both = completions = 0
    for _ in range(ROUNDS):
        upload = await bench.open(20, mode="queued")
        answers = await asyncio.gather(accept(bench, upload, 0, 10, "a"), accept(bench, upload, 1, 10, "b"))
        both += all(answer.outcome == "stored" for answer in answers)
        completions += sum(answer.complete for answer in answers)
    assert (both, completions) == (ROUNDS, ROUNDS)


async def test_the_same_last_chunk_twice_at_once_completes_once(bench: Bench) -> None:
    for _ in range(50):
        upload = await bench.open(10)
        answers = await asyncio.gather(*(accept(bench, upload, 0, 10, "a") for _ in range(3)))
        assert sorted(answer.outcome for answer in answers) == ["join", "join", "stored"]


async def test_a_short_part_that_is_not_the_last_is_sent_again(bench: Bench) -> None:
    upload = await bench.open(12 * 1024 * 1024)
    send = Send(upload, bench.user_id, 1, 100, None)
    answer = await bench.tables.chunks.accept(send, Stored(100, "a", "part:5001", '"e"'))
    assert (answer.outcome, answer.received_bytes) == ("send_again", 0)


HELD = 12 * MIB


@pytest.mark.parametrize(
    ("index", "size", "facts", "outcome"),
    [
        (0, 1, {"upload_method": "single"}, "wrong_method"),
        (0, HELD, {}, "stored"),
        (0, HELD + 1, {}, "too_large"),
        (1, 3, {"received_bytes": HELD - 2}, "too_large"),
        (1, 3, {"received_bytes": HELD - 2, "stored": 1}, "gap"),
        (1, 0, {"stored": 1}, "conflict"),
        (1, 0, {}, "empty"),
        (0, 5, {"stored": 5}, "replaced"),  # or a duplicate: the bytes decide
        (0, 5, {"status": "aborted"}, "aborted"),
        (0, 0, {"status": "aborted"}, "aborted"),
        (0, 5, {"status": "aborted", "stored": 5}, "aborted"),
        (0, 5, {"status": "assembling", "stored": 5}, "join"),
        (0, 5, {"status": "assembling", "stored": 6}, "not_open"),
        (0, 5, {"status": "uploading"}, "not_open"),
        (0, 0, {"status": "uploading"}, "join"),
        (0, 5, {"status": "completed", "stored": 5}, "done"),
        (0, 5, {"status": "completed"}, "conflict"),
        (0, 0, {"status": "completed"}, "done"),
        (0, 5, {"status": "failed", "stored": 5}, "failed"),
        (0, 5, {"status": "failed", "stored": 5, "received_bytes": HELD}, "requeued"),
        (0, 5, {"status": "failed", "stored": 6}, "failed"),
        (0, 0, {"status": "failed"}, "failed"),
        (1, 5 * MIB, {"received_bytes": 7 * MIB, "received_chunks": 1, "max_chunk_index": 0}, "stored"),
        (2, 5 * MIB, {"received_bytes": 7 * MIB, "received_chunks": 1, "max_chunk_index": 0}, "gap"),
        (2, 4 * MIB, {"received_bytes": 7 * MIB, "received_chunks": 1, "max_chunk_index": 0}, "stored"),
    ],
)
@pytest.mark.parametrize("claim", [False, True])
async def test_what_is_known_before_the_body(
    bench: Bench, index: int, size: int, facts: dict[str, Any], outcome: str, *, claim: bool
) -> None:
    upload = await bench.open(HELD)
    columns = dict(facts)
    stored = columns.pop("stored", None)
    if stored is not None:
        await bench.database.execute(
            Statement(
                "test",
                "INSERT INTO upload_chunks (session_id, chunk_index, size_bytes, checksum, location) "
                "SELECT id, $2, $3, 'x', 'temp:x' FROM upload_sessions WHERE upload_uuid = $1",
            ),
            *(upload, index, stored),
        )
    for column, value in columns.items():
        literal = f"'{value}'" if isinstance(value, str) else value
        change = f"UPDATE upload_sessions SET {column} = {literal} WHERE upload_uuid = $1"  # noqa: S608
        await bench.database.execute(Statement("test", change), upload)
    opened = await bench.tables.chunks.open(Send(upload, bench.user_id, index, size, None), claim=claim)
    assert opened is not None
    assert opened.outcome == outcome
    if outcome == "gap":
        assert index - 1 in await bench.tables.chunks.missing(opened.session, index)
    takes_slot = claim and outcome in {"stored", "replaced"} and size >= 5 * MIB and size < HELD
    assert (opened.slot is not None) == takes_slot


@dataclass(slots=True)
class Model:
    """What the contract says, in a few lines."""

    size_bytes: int
    chunks: dict[int, tuple[int, str]] = field(default_factory=dict)
    complete: bool = False

    def accept(self, index: int, size: int, content: str) -> str:
        stored = self.chunks.get(index)
        if self.complete:
            return "join" if size == 0 or stored == (size, content) else "not_open"
        if size == 0:
            return "conflict" if stored else "empty"
        if stored == (size, content):
            return "duplicate"
        after = {**self.chunks, index: (size, content)}
        total = sum(one for one, _ in after.values())
        if total > self.size_bytes:
            return "too_large"
        full = total == self.size_bytes
        if full and set(after) != set(range(len(after))):
            return "gap"
        self.chunks, self.complete = after, full
        return "replaced" if stored else "stored"


SEARCH = searched(max_examples=120)
STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from("xyz")), min_size=1, max_size=12
)


@pytest.mark.parametrize("size_bytes", [1, 4, 7])
async def test_every_sequence_is_judged_as_the_contract_says(settings: Settings, size_bytes: int) -> None:
    async with bench_of(settings) as bench:
        loop = asyncio.get_running_loop()

        async def play(steps: list[tuple[int, int, str]]) -> None:
            upload, model = await bench.open(size_bytes), Model(size_bytes)
            for index, size, content in steps:
                expected = model.accept(index, size, content)
                answer = await accept(bench, upload, index, size, f"{content}{size}")
                assert answer.outcome == expected, (steps, index, size, content)
                assert answer.received_bytes == sum(one for one, _ in model.chunks.values())
                assert answer.complete == (model.complete and expected in {"stored", "replaced"})

        @SEARCH
        @given(STEPS)
        def search(steps: list[tuple[int, int, str]]) -> None:
            asyncio.run_coroutine_threadsafe(play(steps), loop).result(30)

        await asyncio.to_thread(search)
