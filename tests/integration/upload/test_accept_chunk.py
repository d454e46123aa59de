"""The statement that accepts chunks: races, and a search of its state space against a model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as searched
from hypothesis import strategies as st

from services.upload.model import Send
from services.upload.repository.chunks import Accepted, Stored
from services.upload.settings import Settings
from tests.integration.upload.conftest import Bench, bench_of

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


SEARCH = searched(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
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
