"""A finalisation of a file sent in one request is interrupted at every moment: it is finished, once."""

from __future__ import annotations

import pytest

from services.kit.errors import Fault
from services.upload.model import State
from services.upload.service.arrival import Arrival
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, Registry, bench_of, body, incompressible
from tests.integration.upload.interruption import Died, Interruption, When
from tests.integration.upload.test_crashes import finished, newest, successor
from tests.integration.upload.whole import MODES, rows, send, wanted

pytestmark = pytest.mark.integration

LONG = 17 * MIB  # three parts, when it is streamed and nobody knows its length
# (bytes, whether their number is known, what happens after it was recorded that they are here)
SHAPES = {
    "no bytes": (0, True, ["put_bytes", "register", "job_finish"]),
    "one PUT": (1000, True, ["register", "job_finish"]),
    "one PUT of a form": (1000, False, ["register", "job_finish"]),
    "parts": (LONG, False, ["complete_multipart", "register", "job_finish"]),
}


async def received(bench: Bench, data: bytes, *, known: bool) -> Arrival:
    """A file whose bytes are here."""
    arrival = await bench.services.whole.begin(wanted(bench, data, known=known), "streamed", 99 * MIB)
    await arrival.receive(body(data))
    return arrival


@pytest.mark.parametrize("name", SHAPES)
async def test_every_moment(own_settings: Settings, name: str) -> None:
    size, known, moments = SHAPES[name]
    interruption = Interruption()
    async with (
        bench_of(own_settings, interruption=interruption) as bench,
        bench_of(own_settings, registry=bench.registry, user_id=bench.user_id) as heir,
    ):
        arrival = await received(bench, incompressible(size), known=known)
        interruption.arm(0, When.BEFORE, interruption.dies)
        await arrival.finish()
        assert interruption.seen[-len(moments) :] == moments
        first = len(interruption.seen) - len(moments) + 1
        for number in range(first, first + len(moments)):
            interruption.disarm()
            data = incompressible(size)
            arrival = await received(bench, data, known=known)
            interruption.arm(number, When.BEFORE, interruption.dies)
            with pytest.raises(Died):
                await arrival.finish()
            interruption.disarm()
            await heir.finaliser.take_back("one")
            done = await finished(heir, data)
            assert done.checksum == heir.registry.rows[done.upload_uuid][1].checksum is not None

            data = incompressible(size)
            arrival = await received(bench, data, known=known)
            interruption.arm(number, When.AFTER, interruption.loses_the_answer)
            with pytest.raises(Fault) as caught:
                await arrival.finish()
            assert caught.value.code == "dependency_unavailable"
            assert caught.value.details == {"upload_uuid": arrival.session.upload_uuid}
            interruption.disarm()
            await finished(bench, data)


@pytest.mark.parametrize("mode", MODES)
async def test_the_same_key_joins_the_restarted_job(own_settings: Settings, mode: str) -> None:
    data = incompressible(MIB)
    async with bench_of(own_settings, registry=Registry(died="before")) as dead:
        with pytest.raises(Died):
            await send(dead, data, mode, key="k")
        (row,) = await rows(dead)
        assert row["status"] == State.COMPLETING
        async with successor(own_settings, dead) as bench:
            assert await send(bench, data, mode, key="k") == row["upload_uuid"]
            assert len(await rows(bench)) == 1


async def test_parts_that_the_store_forgot(own_settings: Settings) -> None:
    interruption = Interruption()
    async with bench_of(own_settings, interruption=interruption) as dead:
        arrival = await received(dead, incompressible(LONG), known=False)
        interruption.arm(0, When.BEFORE, interruption.dies)
        await arrival.finish()
        number = interruption.seen.index("complete_multipart") + 1
        interruption.disarm()
        arrival = await received(dead, incompressible(LONG), known=False)
        interruption.arm(number, When.BEFORE, interruption.dies)
        with pytest.raises(Died):
            await arrival.finish()
        interruption.disarm()
        session = await newest(dead)
        await dead.store.abort_multipart(session.storage_key, session.storage_upload_id or "")
        async with successor(own_settings, dead) as bench:
            with pytest.raises(Fault) as caught:
                await bench.finaliser.join(session.id)
            assert caught.value.code == "upload_failed"
            assert await bench.status(session.upload_uuid) == "failed"
            assert session.upload_uuid not in bench.registry.rows
