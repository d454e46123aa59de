"""Finalisation as a stored job: retries, giving up, joining, waiting, leases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NoReturn
from uuid import UUID

import pytest

from services.kit.db import Statement
from services.kit.deadline import DEADLINE, Deadline
from services.kit.errors import Fault
from services.upload.finalise.outcome import GaveUpError
from services.upload.model import Made, Session, State
from services.upload.settings import Settings
from tests.integration.upload.conftest import Bench, Registry, bench_of
from tests.integration.upload.interruption import Interruption, When

pytestmark = pytest.mark.integration

COUNT_JOBS = Statement("test", "SELECT count(*) AS n FROM upload_sessions WHERE job_due_at IS NOT NULL")
GIVEN_BACK = Statement(
    "test",
    "UPDATE upload_sessions SET status = 'uploading', upload_method = 'multipart', "
    "error_code = 'invalid_part', error_message = 'Send it again.'",
)
DATA, OTHER = b"some bytes", b"else bytes"


async def refused(call: Awaitable[object], code: str) -> Fault:
    with pytest.raises(Fault) as caught:
        await call
    assert caught.value.code == code
    return caught.value


async def until(bench: Bench, condition: Callable[[], Awaitable[bool]]) -> None:
    """Ticks as the background does, until the condition holds."""
    async with asyncio.timeout(30):
        while not await condition():
            await bench.finaliser.tick()
            await asyncio.sleep(0.01)  # the pauses between attempts pass by the database's clock


async def reached(bench: Bench, upload: UUID, status: str) -> None:
    async def there() -> bool:
        return await bench.status(upload) == status

    await until(bench, there)


async def nobody_sends(bench: Bench) -> bool:
    return bench.base.metrics.registry.get_sample_value("upload_bodies") == 0


class TestDeadline:
    async def test_the_callers_deadline_ends_the_wait_and_not_the_job(self, own_settings: Settings) -> None:
        gate = asyncio.Event()
        async with bench_of(own_settings, registry=Registry(gate=gate)) as bench:
            upload = await bench.open(len(DATA))
            DEADLINE.set(Deadline(0.2))
            await refused(bench.send(upload, 0, DATA), "still_finalising")
            assert await bench.status(upload) == "assembling"
            gate.set()
            DEADLINE.set(Deadline(60.0))
            assert (await bench.send(upload, 0, DATA)).status is State.COMPLETED
            assert bench.registry.calls == 1


class TestRetries:
    async def test_a_failed_attempt_answers_503_and_a_later_one_succeeds(
        self, own_settings: Settings
    ) -> None:
        async with bench_of(own_settings, registry=Registry(refusals=2)) as bench:
            upload = await bench.open(len(DATA))
            await refused(bench.send(upload, 0, DATA), "dependency_unavailable")
            progress = await bench.services.management.status(upload, bench.user_id)
            assert progress.session.status is State.ASSEMBLING
            assert progress.session.error_code == "dependency_unavailable"
            await reached(bench, upload, "completed")
            assert bench.registry.calls == 3
            session = (await bench.services.management.status(upload, bench.user_id)).session
            assert session.error_code is None

    async def test_a_resend_joins_the_waiting_job(self, own_settings: Settings) -> None:
        async with bench_of(own_settings, registry=Registry(refusals=1)) as bench:
            upload = await bench.open(len(DATA))
            await refused(bench.send(upload, 0, DATA), "dependency_unavailable")
            resend = asyncio.create_task(bench.send(upload, 0, DATA))
            await reached(bench, upload, "completed")
            await bench.finaliser.tick()
            assert (await resend).status is State.COMPLETED

    async def test_after_the_last_attempt_it_failed_and_a_resend_starts_anew(
        self, own_settings: Settings
    ) -> None:
        few = own_settings.model_copy(update={"finalise_attempts": 2})
        async with bench_of(few, registry=Registry(refusals=2)) as bench:
            upload = await bench.open(len(DATA))
            await refused(bench.send(upload, 0, DATA), "dependency_unavailable")
            await reached(bench, upload, "failed")
            await refused(bench.send(upload, 0, OTHER), "upload_failed")
            await refused(bench.send(upload, 0, b""), "upload_failed")
            assert (await bench.send(upload, 0, DATA)).status is State.COMPLETED
            assert await bench.content(upload) == DATA

    async def test_other_facts_in_files_end_it_for_good(self, own_settings: Settings) -> None:
        class Conflict(Registry):
            async def register(self, session: Session, made: Made) -> NoReturn:
                raise GaveUpError("registration_conflict", "Registered with other facts.")

        async with bench_of(own_settings, registry=Conflict()) as bench:
            upload = await bench.open(len(DATA))
            fault = await refused(bench.send(upload, 0, DATA), "upload_failed")
            assert fault.message == "Registered with other facts."
            session = (await bench.services.management.status(upload, bench.user_id)).session
            assert (session.status, session.error_code) == (State.FAILED, "registration_conflict")


class TestWaiting:
    async def test_too_slow_is_504_and_goes_on(self, own_settings: Settings) -> None:
        gate = asyncio.Event()
        quick = own_settings.model_copy(update={"finalise_wait_s": 0.2})
        async with bench_of(quick, registry=Registry(gate=gate)) as bench:
            upload = await bench.open(len(DATA))
            await refused(bench.send(upload, 0, DATA), "still_finalising")
            await refused(bench.send(upload, 0, OTHER), "upload_not_open")
            await refused(bench.services.management.abort(upload, bench.user_id), "upload_not_open")
            gate.set()
            await reached(bench, upload, "completed")

    async def test_senders_of_the_same_bytes_wait_together(self, own_settings: Settings) -> None:
        gate = asyncio.Event()
        async with bench_of(own_settings, registry=Registry(gate=gate)) as bench:
            upload = await bench.open(len(DATA))
            sends = [asyncio.create_task(bench.send(upload, 0, DATA)) for _ in range(2)]
            await reached(bench, upload, "assembling")
            await until(bench, partial(nobody_sends, bench))  # else a third sender ends the oldest
            sends += [asyncio.create_task(bench.send(upload, 0, DATA)) for _ in range(2)]
            gate.set()
            assert {(await send).status for send in sends} == {State.COMPLETED}
            assert bench.registry.calls == 1

    async def test_a_client_that_leaves_does_not_stop_it(self, own_settings: Settings) -> None:
        gate = asyncio.Event()
        async with bench_of(own_settings, registry=Registry(gate=gate)) as bench:
            upload = await bench.open(len(DATA))
            request = asyncio.create_task(bench.send(upload, 0, DATA))
            await reached(bench, upload, "assembling")
            request.cancel()
            await asyncio.wait((request,))
            gate.set()
            await reached(bench, upload, "completed")

    @pytest.mark.parametrize("mode", ["queued", "detached"])
    async def test_early_answers_say_so(self, own_settings: Settings, mode: str) -> None:
        gate = asyncio.Event()
        async with bench_of(own_settings, registry=Registry(gate=gate)) as bench:
            upload = await bench.open(len(DATA), mode=mode)
            assert (await bench.send(upload, 0, DATA)).status is State.ASSEMBLING
            jobs = await bench.database.rows(COUNT_JOBS)
            assert jobs[0]["n"] == (1 if mode == "queued" else 0)
            resend = asyncio.create_task(bench.send(upload, 0, DATA))
            gate.set()
            assert (await resend).status is State.COMPLETED
            assert bench.base.metrics.registry.get_sample_value("upload_ack_before_durable_total") == 1

    async def test_detached_is_tried_once(self, own_settings: Settings) -> None:
        async with bench_of(own_settings, registry=Registry(refusals=1)) as bench:
            upload = await bench.open(len(DATA), mode="detached")
            await bench.send(upload, 0, DATA)
            await reached(bench, upload, "failed")
            assert (await bench.send(upload, 0, DATA)).status is State.COMPLETED

    async def test_a_waiter_that_gives_up_leaves_the_others_waiting(self, own_settings: Settings) -> None:
        """Both wait in a process that does not run the job; its end wakes who still waits."""
        gate = asyncio.Event()
        impatient = own_settings.model_copy(update={"finalise_wait_s": 0.2})
        async with (
            bench_of(own_settings, registry=Registry(gate=gate)) as runs,
            bench_of(impatient, "two", user_id=runs.user_id) as two,
            bench_of(own_settings, "three", user_id=runs.user_id) as three,
        ):
            upload = await runs.open(len(DATA), mode="queued")
            await runs.send(upload, 0, DATA)
            session = (await runs.services.management.status(upload, runs.user_id)).session
            waits = three.finaliser
            patient = [asyncio.create_task(waits.join(session.id)) for _ in range(2)]
            gone = asyncio.create_task(waits.join(session.id))
            await refused(two.finaliser.join(session.id), "still_finalising")
            gone.cancel()
            await asyncio.wait((gone,))
            gate.set()
            await reached(runs, upload, "completed")
            await waits.tick()
            await asyncio.gather(*patient)
            await waits.join(session.id)  # and who comes later need not wait

    async def test_who_waits_elsewhere_hears_why_it_was_given_back(self, own_settings: Settings) -> None:
        """As the client that another process answers."""
        gate = asyncio.Event()
        async with (
            bench_of(own_settings, registry=Registry(gate=gate)) as runs,
            bench_of(own_settings, "two", user_id=runs.user_id) as waits,
        ):
            upload = await runs.open(len(DATA), mode="queued")
            await runs.send(upload, 0, DATA)
            session = (await runs.services.management.status(upload, runs.user_id)).session
            waiter = asyncio.create_task(waits.finaliser.join(session.id))
            await asyncio.sleep(0)  # it waits
            await runs.database.execute(GIVEN_BACK)
            await waits.finaliser.tick()
            assert (await refused(waiter, "invalid_part")).message == "Send it again."
            gate.set()

    async def test_a_job_that_another_process_took_is_waited_for_there(self, own_settings: Settings) -> None:
        gate, still = asyncio.Event(), Interruption()
        async with (
            bench_of(own_settings, interruption=still) as one,
            bench_of(own_settings, "two", registry=one.registry, user_id=one.user_id) as two,
        ):
            upload = await one.open(len(DATA))
            still.arm(2, When.BEFORE, still.stands_still)  # the write of the end
            request = asyncio.create_task(one.send(upload, 0, DATA))
            await still.reached.wait()
            await two.database.execute(Statement("test", "UPDATE upload_sessions SET job_due_at = now()"))
            one.registry.gate = gate
            await two.finaliser.tick()
            still.go_on.set()
            done, _ = await asyncio.wait((request,), timeout=0.2)
            assert not done  # its own attempt ended without the job; the other one's still runs
            gate.set()
            await reached(two, upload, "completed")
            await one.finaliser.tick()
            assert (await request).status is State.COMPLETED
