"""Admission control: its sizes, its order, and that no bound is ever exceeded."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gateway.admission import Gate, Layers, Sizes, Unlimited
from gateway.metrics import AdmissionMetrics
from gateway.settings import Settings
from services.kit.errors import Fault
from services.kit.health import NotOkError
from services.kit.settings import SettingsError
from tests.environment import load
from tests.unit.gateway.support import environment
from tests.unit.gateway.wire import until

pytestmark = pytest.mark.unit


def sizes(**settings: str) -> tuple[int, int, int]:
    chosen = load(Settings, environment(1, **settings))
    made = Sizes.of(
        chosen.admitted, chosen.admission_workers, chosen.admission_queue, chosen.admission_layers
    )
    return made.admitted, made.workers, made.queue


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (3_350, 335, 3_015)),
        ({"MAX_CCU": "10000"}, (6_700, 500, 6_200)),
        ({"MAX_CCU": "100"}, (67, 50, 100)),
        ({"MAX_CCU": "100", "CCU_UTILISATION": "0.29"}, (29, 50, 100)),
        ({"MAX_CCU": "1000", "CCU_UTILISATION": "1"}, (1_000, 100, 900)),
        ({"ADMISSION_WORKERS": "500", "ADMISSION_QUEUE": "1000"}, (3_350, 500, 1_000)),
        ({"ADMISSION_WORKERS": "500"}, (3_350, 500, 2_850)),
        ({"ADMISSION_QUEUE": "0"}, (3_350, 335, 0)),
        ({"ADMISSION_LAYERS": "ccu"}, (3_350, 3_350, 0)),
        ({"ADMISSION_LAYERS": "queue"}, (3_350, 335, 3_015)),
        ({"ADMISSION_LAYERS": "queue", "MAX_CCU": "100"}, (150, 50, 100)),
    ],
)
def test_sizes(settings: dict[str, str], expected: tuple[int, int, int]) -> None:
    assert sizes(**settings) == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"MAX_CCU": "0"},
        {"CCU_UTILISATION": "1.01"},
        {"CCU_UTILISATION": "0"},
        {"ADMISSION_WORKERS": "0"},
        {"ADMISSION_WORKERS": "x"},
        {"ADMISSION_QUEUE": "-1"},
        {"QUEUE_DEADLINE_MS": "0"},
        {"ADMISSION_LAYERS": "none"},
    ],
)
def test_sizes_that_make_no_sense_stop_the_start(settings: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        sizes(**settings)


class Bed:
    """A gate, its figures, and requests that run until they are let go."""

    def __init__(
        self, admitted: int, workers: int, queue: int, layers: Layers = "both", deadline_s: float = 60.0
    ) -> None:
        self.registry = CollectorRegistry()
        chosen = Sizes.of(admitted, workers, queue, layers)
        self.gate = Gate(chosen, deadline_s, AdmissionMetrics(self.registry))
        self.order: list[int] = []
        self.running: dict[int, asyncio.Event] = {}
        self.gone: set[int] = set()
        self.most_running = self.most_admitted = 0

    def figure(self, name: str, **labels: str) -> int:
        return int(self.registry.get_sample_value(name, labels) or 0)

    @property
    def counts(self) -> tuple[int, int]:
        return self.figure("admission_running"), self.figure("admission_queued")

    def ask(self, number: int) -> asyncio.Task[str]:
        return asyncio.create_task(self._request(number))

    async def _request(self, number: int) -> str:
        try:
            await self.gate.enter(lambda: number in self.gone)
        except Fault as fault:
            return fault.code
        except ConnectionError:
            return "gone"
        self.order.append(number)
        self.running[number] = asyncio.Event()
        self._look()
        try:
            await self.running[number].wait()
        finally:
            del self.running[number]
            self.gate.leave()
            self._look()
        return "done"

    def _look(self) -> None:
        running, queued = self.counts
        self.most_running = max(self.most_running, running)
        self.most_admitted = max(self.most_admitted, running + queued)
        assert len(self.running) <= running

    async def settled(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def over(self) -> None:
        """Nothing is left."""
        await self.settled()
        assert self.counts == (0, 0)


async def test_the_first_run_the_next_wait_the_rest_is_refused_at_once() -> None:
    bed = Bed(5, 2, 3)
    tasks = [bed.ask(number) for number in range(8)]
    await bed.settled()
    assert bed.counts == (2, 3)
    assert [task.result() for task in tasks[5:]] == ["overloaded"] * 3
    assert bed.figure("admission_rejected_total", reason="full") == 3
    for number in range(5):
        bed.running[number].set()
        await bed.settled()
    assert [await task for task in tasks[:5]] == ["done"] * 5
    assert bed.order == [0, 1, 2, 3, 4]
    assert bed.figure("admission_wait_seconds_count") == 3
    await bed.over()


@pytest.mark.parametrize(
    ("admitted", "workers", "queue", "layers", "counts"),
    [
        (3, 2, 100, "both", (2, 1)),  # N binds before Q
        (100, 2, 1, "both", (2, 1)),  # Q binds before N
        (2, 50, 100, "both", (2, 0)),  # N below W
        (4, 2, 1, "ccu", (4, 0)),
        (2, 3, 2, "queue", (3, 2)),
        (10, 2, 0, "both", (2, 0)),
    ],
)
async def test_every_bound_holds(
    admitted: int, workers: int, queue: int, layers: Layers, counts: tuple[int, int]
) -> None:
    bed = Bed(admitted, workers, queue, layers)
    tasks = [bed.ask(number) for number in range(20)]
    await bed.settled()
    assert bed.counts == counts
    for task in tasks:
        task.cancel()
    await bed.over()


async def test_whoever_waits_too_long_is_told() -> None:
    bed = Bed(5, 1, 4, deadline_s=0.02)
    first, *waiting = [bed.ask(number) for number in range(4)]
    assert await asyncio.gather(*waiting) == ["queue_timeout"] * 3
    assert bed.figure("admission_rejected_total", reason="deadline") == 3
    assert bed.counts == (1, 0)
    bed.running[0].set()
    assert await first == "done"
    await bed.over()


async def test_a_client_that_leaves_frees_its_place_waiting_or_running() -> None:
    bed = Bed(4, 2, 2)
    tasks = [bed.ask(number) for number in range(4)]
    await bed.settled()
    tasks[2].cancel()  # waits
    await bed.settled()
    assert bed.counts == (2, 1)
    tasks[0].cancel()  # runs: the one behind takes its place
    await bed.settled()
    assert (bed.counts, bed.order) == ((2, 0), [0, 1, 3])
    for task in tasks:
        task.cancel()
    await bed.over()


async def test_a_client_that_left_unseen_is_looked_for() -> None:
    bed = Bed(4, 1, 3)
    tasks = [bed.ask(number) for number in range(3)]
    await bed.settled()
    bed.gone.add(1)
    assert await tasks[1] == "gone"
    assert bed.counts == (1, 1)
    bed.running[0].set()
    await until(lambda: 2 in bed.running)
    bed.running[2].set()
    assert await tasks[2] == "done"
    await bed.over()


async def test_a_place_given_in_the_moment_its_client_leaves_is_passed_on() -> None:
    bed = Bed(4, 1, 3)
    tasks = [bed.ask(number) for number in range(3)]
    await bed.settled()
    bed.running[0].set()
    await tasks[0]
    tasks[1].cancel()  # it holds the place, and does not know yet
    await bed.settled()
    assert bed.order in ([0, 2], [0, 1, 2])
    assert 2 in bed.running
    bed.running[2].set()
    await tasks[2]
    await bed.over()


async def test_ten_thousand_at_once() -> None:
    """Arrivals, ends and clients that leave, in an order that a seed decides."""
    rng, bed = random.Random(13), Bed(3_350, 335, 3_015)
    tasks = [bed.ask(number) for number in range(10_000)]
    await bed.settled()
    assert bed.counts == (335, 3_015)
    assert bed.figure("admission_rejected_total", reason="full") == 10_000 - 3_350
    while bed.running:
        for task in rng.sample(tasks, 100):
            task.cancel()
        for number in rng.sample(sorted(bed.running), min(200, len(bed.running))):
            if number in bed.running:
                bed.running[number].set()
        await bed.settled()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert bed.most_running == 335
    assert bed.most_admitted <= 3_350
    assert bed.order == sorted(bed.order)
    await bed.over()


@given(st.lists(st.tuples(st.sampled_from(["ask", "end", "cancel"]), st.integers(0, 30)), max_size=60))
async def test_any_order_of_events_keeps_the_counts_true(steps: list[tuple[str, int]]) -> None:
    bed, tasks = Bed(6, 3, 3), list[asyncio.Task[str]]()
    for what, which in steps:
        if what == "ask":
            tasks.append(bed.ask(len(tasks)))
        elif what == "end" and which in bed.running:
            bed.running[which].set()
        elif what == "cancel" and which < len(tasks):
            tasks[which].cancel()
        if which % 3:  # sometimes several happen in one turn of the loop
            await bed.settled()
            running, queued = bed.counts
            assert running == len(bed.running)
            assert not queued or running == 3
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert bed.most_running <= 3
    assert bed.most_admitted <= 6
    await bed.over()


async def test_bodies_of_one_user_leave_places_for_others() -> None:
    bed = Bed(3_350, 335, 3_015)
    tasks = [bed.ask(number) for number in range(301)]  # 0.9 of 335 are 301.5
    await bed.settled()
    for _ in tasks:
        bed.gate.begin_body("greedy")
    tasks += [bed.ask(301)]
    await bed.settled()
    with pytest.raises(Fault) as refused:
        bed.gate.begin_body("greedy")
    assert (refused.value.code, refused.value.status) == ("overloaded", 503)
    for _ in range(8):
        bed.gate.begin_body("newcomer")
    with pytest.raises(Fault):
        bed.gate.begin_body("newcomer")
    assert bed.figure("admission_rejected_total", reason="full") == 2
    bed.gate.end_body("newcomer")
    bed.gate.begin_body("newcomer")
    bed.running[0].set()
    await bed.settled()
    bed.gate.begin_body("greedy")
    for task in tasks:
        task.cancel()
    await bed.over()


async def test_health_ends_at_nine_tenths() -> None:
    bed = Bed(20, 10, 10)
    tasks = [bed.ask(number) for number in range(17)]
    await bed.settled()
    assert await bed.gate.check() == "10 running, 7 waiting"
    tasks.append(bed.ask(17))
    await bed.settled()
    with pytest.raises(NotOkError, match="10 requests run and 8 wait"):
        await bed.gate.check()
    assert bed.gate.shown() == {
        "running": 10,
        "queued": 8,
        "max_admitted": 20,
        "max_running": 10,
        "max_queued": 10,
    }
    for task in tasks:
        task.cancel()
    await bed.over()


async def test_off_admits_everybody() -> None:
    gate = Unlimited()
    for _ in range(10_000):
        await gate.enter(lambda: False)
        gate.begin_body("a")
    assert (await gate.check(), gate.shown()) == ("off", {})
