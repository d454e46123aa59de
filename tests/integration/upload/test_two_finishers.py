"""Two processes finish one upload, because one stood still while its lease ran out and then goes on.

Whatever each had done when the other took over: the bytes are right, the file is registered once, and
nothing changes an upload that is complete.
"""

from __future__ import annotations

import asyncio
import random

import aiohttp
import pytest

from services.kit.db import Statement
from services.kit.errors import Fault
from services.upload.model import State
from services.upload.settings import Settings
from tests.integration.upload.conftest import Bench, Registry, bench_of, incompressible
from tests.integration.upload.interruption import Interruption, When
from tests.integration.upload.test_crashes import (
    LEASES_END,
    PAUSES_END,
    SHAPES,
    Shape,
    Upload,
    finished,
    newest,
)

pytestmark = pytest.mark.integration

TAKINGS = Statement("test", "SELECT job_acquired, job_interrupted FROM upload_sessions")
PAIRS, SEED = 16, 20261130  # of moments
LEFT_TO_DO = {"still_finalising", "dependency_unavailable"}


async def settle(request: asyncio.Future[object]) -> None:
    """The request of the process that stood still: either answer is right."""
    try:
        await request
    except Fault as fault:
        assert fault.code in LEFT_TO_DO


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if len(shape.moments.split()) > 2])
async def test_a_process_that_stood_still_changes_nothing(own_settings: Settings, name: str) -> None:
    shape = SHAPES[name]
    quick = own_settings.model_copy(update={"chunk_store": shape.chunk_store, "finalise_wait_s": 5})
    still = Interruption()
    async with (
        aiohttp.ClientSession() as http,
        bench_of(quick, interruption=still) as one,
        bench_of(quick, "two", registry=one.registry, user_id=one.user_id) as two,
    ):
        for number in range(1, len(shape.moments.split()) + 1):
            upload = await Upload.prepared(one, http, shape)
            still.arm(number, When.BEFORE, still.stands_still)
            request = asyncio.ensure_future(upload.last())
            await still.reached.wait()
            before = await finished(two, upload.file)
            still.go_on.set()
            await settle(request)
            after = await finished(two, upload.file)
            assert after == before


async def under_way(two: Bench, still: Interruption) -> None:
    """Two stands still too, or had fewer things to do than that and is done."""
    async with asyncio.timeout(30):
        while not still.reached.is_set() and (await newest(two)).status is not State.COMPLETED:
            await two.finaliser.tick()
            await two.database.execute(PAUSES_END)
            await asyncio.sleep(0.005)  # its task gets its turns


async def meet(one: Bench, two: Bench, upload: Upload, still: tuple[Interruption, Interruption]) -> None:
    """One stands still, two takes over and stands still, one goes on to its end, then two does."""
    request = asyncio.ensure_future(upload.last())
    await still[0].reached.wait()
    await two.database.execute(LEASES_END)
    await under_way(two, still[1])
    still[0].go_on.set()
    await settle(request)
    still[1].go_on.set()
    await finished(two, upload.file)


def pairs(shape: Shape) -> list[tuple[int, int]]:
    """Moments at which the two stand still; drawn where there are many."""
    count = len(shape.moments.split())
    every = [(first, second) for first in range(1, count + 1) for second in range(1, count + 1)]
    return every if len(every) <= PAIRS else random.Random(SEED).sample(every, PAIRS)


@pytest.mark.parametrize("name", ["parts and an early tail", "small repack", "large repack"])
async def test_both_at_work(own_settings: Settings, name: str) -> None:
    shape, still = SHAPES[name], (Interruption(), Interruption())
    quick = own_settings.model_copy(update={"finalise_wait_s": 0.2})
    async with (
        aiohttp.ClientSession() as http,
        bench_of(quick, interruption=still[0]) as one,
        bench_of(
            own_settings, "two", interruption=still[1], registry=one.registry, user_id=one.user_id
        ) as two,
    ):
        for first, second in pairs(shape):
            upload = await Upload.prepared(one, http, shape)
            still[0].arm(first, When.BEFORE, still[0].stands_still)
            still[1].arm(second, When.BEFORE, still[1].stands_still)
            await meet(one, two, upload, still)


async def taken_over(one: Bench, two: Bench) -> None:
    """Two takes what one holds, and one hears of it when it renews its leases."""
    await two.database.execute(LEASES_END)
    await two.finaliser.tick()
    await one.finaliser.renew()


async def test_who_waits_hears_of_the_end_while_the_process_stands_still(own_settings: Settings) -> None:
    """Its own attempt may hang in a request to the store for minutes."""
    still = Interruption()
    quick = own_settings.model_copy(update={"finalise_wait_s": 10})
    async with (
        bench_of(quick, interruption=still) as one,
        bench_of(own_settings, "two", registry=one.registry, user_id=one.user_id) as two,
    ):
        upload, data = await one.open(10), incompressible(10)
        still.arm(1, When.BEFORE, still.stands_still)
        request = asyncio.ensure_future(one.send(upload, 0, data))
        await still.reached.wait()
        await taken_over(one, two)
        await finished(two, data)
        await one.finaliser.tick()
        assert (await request).status is State.COMPLETED
        assert not still.go_on.is_set()


async def test_a_job_that_came_back_does_not_wait_for_the_attempt_that_stands_still(
    own_settings: Settings,
) -> None:
    still = Interruption()
    async with (
        bench_of(own_settings, interruption=still) as one,
        bench_of(own_settings, "two", registry=one.registry, user_id=one.user_id) as two,
    ):
        upload, data = await one.open(10), incompressible(10)
        still.arm(1, When.BEFORE, still.stands_still)
        request = asyncio.ensure_future(one.send(upload, 0, data))
        await still.reached.wait()
        await two.database.execute(LEASES_END)
        assert len(await two.tables.jobs.take_due(1)) == 1
        await two.tables.jobs.release()
        before = await finished(one, data)
        assert (await request).status is State.COMPLETED
        assert not still.go_on.is_set()
        still.go_on.set()
        await one.finaliser.drain(5)
        assert await newest(one) == before


async def test_a_holder_that_is_late_goes_on(own_settings: Settings) -> None:
    """Nobody took what it holds: it neither begins anew nor counts as one that vanished."""
    still = Interruption()
    async with bench_of(own_settings, interruption=still) as one:
        upload, data = await one.open(10), incompressible(10)
        still.arm(1, When.BEFORE, still.stands_still)
        request = asyncio.ensure_future(one.send(upload, 0, data))
        await still.reached.wait()
        await one.database.execute(LEASES_END)
        await one.finaliser.tick()
        await one.finaliser.renew()
        still.go_on.set()
        assert (await request).status is State.COMPLETED
        row = await one.database.row(TAKINGS)
        assert row is not None
        assert (row["job_acquired"], row["job_interrupted"]) == (1, 0)
        assert still.seen == ["register", "job_finish"]


async def test_who_registers_after_an_abort_is_told_of_the_abort(own_settings: Settings) -> None:
    """It stood still before the registration; the other one failed, and the client gave the upload up."""
    once = own_settings.model_copy(update={"finalise_attempts": 1})
    still, registry = Interruption(), Registry(refusals=1)
    async with (
        bench_of(own_settings, interruption=still, registry=registry) as one,
        bench_of(once, "two", registry=registry, user_id=one.user_id) as two,
    ):
        upload, data = await one.open(10), incompressible(10)
        still.arm(1, When.BEFORE, still.stands_still)
        request = asyncio.ensure_future(one.send(upload, 0, data))
        await still.reached.wait()
        await two.database.execute(LEASES_END)
        async with asyncio.timeout(30):
            while await two.status(upload) != State.FAILED:
                await two.finaliser.tick()
                await asyncio.sleep(0.005)  # its task gets its turns
        await two.services.management.abort(upload, two.user_id)
        still.go_on.set()
        with pytest.raises(Fault) as caught:
            await request
        assert caught.value.code == "upload_aborted"
        assert await one.status(upload) == State.ABORTED
        assert registry.rows == {}
