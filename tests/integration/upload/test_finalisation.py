"""Finalisation as a stored job: retries, giving up, joining, waiting, leases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from services.kit.db import Statement
from services.kit.deadline import DEADLINE, Deadline
from services.kit.errors import Fault
from services.upload.finalise.instance import InstanceLock
from services.upload.finalise.outcome import GaveUpError
from services.upload.model import Made, Session, State, Step, Work
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, Registry, bench_of, incompressible

pytestmark = pytest.mark.integration

COUNT_JOBS = Statement("test", "SELECT count(*) AS n FROM upload_sessions WHERE job_due_at IS NOT NULL")
DATA, OTHER = b"some bytes", b"else bytes"


async def refused(call: Awaitable[object], code: str) -> Fault:
    with pytest.raises(Fault) as caught:
        await call
    assert caught.value.code == code
    return caught.value


async def until(bench: Bench, condition: Callable[[], Awaitable[bool]]) -> None:
    """Ticks as the background does, until the condition holds."""
    async with asyncio.timeout(20):
        while not await condition():
            await bench.finaliser.tick()
            await asyncio.sleep(0.01)  # the pauses between attempts pass by the database's clock


async def reached(bench: Bench, upload: UUID, status: str) -> None:
    async def there() -> bool:
        return await bench.status(upload) == status

    await until(bench, there)


class TestLostParts:
    async def test_an_upload_whose_parts_the_store_forgot_fails_at_once(self, own_settings: Settings) -> None:
        """As after a kill in the middle of the store's completion."""
        async with bench_of(own_settings) as bench:
            upload = await bench.open(6 * MIB)
            await bench.send(upload, 0, incompressible(5 * MIB))
            await bench.database.execute(Statement("test", "UPDATE upload_chunks SET etag = repeat('0', 32)"))
            tail = incompressible(MIB)
            await refused(bench.send(upload, 1, tail), "upload_failed")
            assert await bench.status(upload) == "failed"
            await refused(bench.send(upload, 1, tail), "upload_failed")  # and nobody tries for 15 minutes


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
            async def register(self, session: Session, made: Made) -> None:
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
            sends = [asyncio.create_task(bench.send(upload, 0, DATA)) for _ in range(4)]
            await reached(bench, upload, "assembling")
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


class TestLeases:
    async def work(self, bench: Bench) -> Work:
        """A job whose lease the bench holds and that nobody works on."""
        upload = await bench.open(len(DATA), mode="queued")
        gate, bench.registry.gate = bench.registry.gate, asyncio.Event()
        await bench.send(upload, 0, DATA)
        session = (await bench.services.management.status(upload, bench.user_id)).session
        bench.registry.gate = gate
        return await bench.tables.jobs.load(session.id)

    async def test_a_running_job_is_nobody_elses(self, own_settings: Settings) -> None:
        async with bench_of(own_settings) as one, bench_of(own_settings, "two") as two:
            work = await self.work(one)
            assert await two.tables.jobs.take_due(10) == []
            assert await two.tables.jobs.take_back("two") == []
            assert await one.tables.jobs.renew([work.session.id]) == {work.session.id}

    async def test_the_next_process_of_the_name_takes_it_back_at_once(self, own_settings: Settings) -> None:
        async with bench_of(own_settings) as one, bench_of(own_settings) as again:
            work = await self.work(one)
            taken = await again.tables.jobs.take_back("one")
            assert [(job.session.id, job.attempts) for job in taken] == [(work.session.id, 2)]
            assert taken[0].sources == work.sources

    async def test_an_expired_lease_goes_to_whoever_asks_and_the_old_holder_may_not_write(
        self, own_settings: Settings
    ) -> None:
        short = own_settings.model_copy(update={"lease_s": 0.5})
        async with bench_of(short) as one, bench_of(own_settings, "two") as two:
            work, jobs = await self.work(one), one.tables.jobs
            async with asyncio.timeout(10):
                while not (taken := await two.tables.jobs.take_due(10)):
                    await asyncio.sleep(0.05)  # the lease ends by the database's clock
            assert [job.session.id for job in taken] == [work.session.id]
            made = Made('"etag"')
            assert await jobs.finish(work, made) is None
            assert not await jobs.step(replace(work, step=Step.STORE))
            assert not await jobs.retry(work, "x", "x", timedelta(0))
            assert not await jobs.fail(work, "x", "x")
            assert not await jobs.reopen(work, State.PENDING, "x", "x")
            assert await jobs.renew([work.session.id]) == set()
            assert await two.tables.jobs.finish(work, made) is not None

    async def test_a_process_that_ends_releases_what_it_holds(self, own_settings: Settings) -> None:
        async with bench_of(own_settings) as one, bench_of(own_settings, "two") as two:
            work = await self.work(one)
            assert await one.tables.jobs.release() == 1
            taken = await two.tables.jobs.take_due(10)
            assert [job.session.id for job in taken] == [work.session.id]

    async def test_one_process_holds_the_lock_on_a_name(self, own_settings: Settings) -> None:
        async with bench_of(own_settings) as bench:
            url, log = own_settings.database_url.get_secret_value(), bench.base.log.event
            first, second = InstanceLock(url, "name", log), InstanceLock(url, "name", log)
            assert await first.newly_held()
            assert not await first.newly_held()
            assert not await second.newly_held()
            await first.close()

            async def free() -> bool:
                return await second.newly_held()

            await until(bench, free)
            await second.close()
