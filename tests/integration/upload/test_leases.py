"""Who holds a job: leases, restarts, and holders that lost it and do not know."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from math import ceil
from uuid import uuid4

import pytest

from services.kit.db import Statement
from services.upload.model import Made, State, Step, Work
from services.upload.repository.jobs import Jobs
from services.upload.settings import Settings
from tests.integration.upload.conftest import Bench, bench_of
from tests.integration.upload.interruption import When
from tests.integration.upload.test_finalisation import DATA

pytestmark = pytest.mark.integration


class TestLeases:
    async def work(self, bench: Bench) -> Work:
        """A job whose lease the bench holds and that nobody works on."""
        upload = await bench.open(len(DATA), mode="queued")
        bench.interruption.arm(1, When.BEFORE, bench.interruption.stands_still)
        await bench.send(upload, 0, DATA)
        await bench.interruption.reached.wait()
        bench.interruption.disarm()
        session = (await bench.services.management.status(upload, bench.user_id)).session
        return await bench.tables.jobs.load(session.id)

    async def test_a_running_job_is_nobody_elses(self, own_settings: Settings) -> None:
        async with bench_of(own_settings) as one, bench_of(own_settings, "two") as two:
            work = await self.work(one)
            assert await two.tables.jobs.take_due(10) == []
            assert await two.tables.jobs.take_back("two") == []
            assert await one.tables.jobs.renew([work]) == {work.session.id}

    async def test_the_next_process_of_the_name_takes_it_back_at_once(self, own_settings: Settings) -> None:
        async with bench_of(own_settings) as one, bench_of(own_settings) as again:
            work = await self.work(one)
            taken = await again.tables.jobs.take_back("one")
            assert [job.session.id for job in taken] == [work.session.id]
            assert (taken[0].attempts, taken[0].acquired) == (1, 2)
            assert taken[0].sources == work.sources

    async def test_an_expired_lease_goes_to_whoever_asks_and_the_old_holder_may_not_write(
        self, own_settings: Settings
    ) -> None:
        short = own_settings.model_copy(update={"lease_s": 0.5})
        async with bench_of(short) as one, bench_of(own_settings, "two") as two:
            work, held = await self.work(one), one.tables.jobs.held
            async with asyncio.timeout(30):
                while not (taken := await two.tables.jobs.take_due(10)):
                    await asyncio.sleep(0.05)  # the lease ends by the database's clock
            assert [job.session.id for job in taken] == [work.session.id]
            made = Made('"etag"')
            assert await held.finish(work, made) is None
            assert not await held.step(replace(work, step=Step.STORE))
            assert not await held.retry(work, "x", "x", timedelta(0))
            assert not await held.fail(work, "x", "x")
            assert not await held.reopen(work, State.PENDING, "x", "x")
            assert await one.tables.jobs.renew([work]) == set()
            assert await two.tables.jobs.held.finish(taken[0], made) is not None

    async def test_a_process_that_lost_a_job_and_has_it_again_is_two_holders(
        self, own_settings: Settings
    ) -> None:
        short = own_settings.model_copy(update={"lease_s": 0.5})
        async with bench_of(short) as one:
            work, jobs = await self.work(one), one.tables.jobs
            async with asyncio.timeout(30):
                while not (taken := await jobs.take_due(10)):
                    await asyncio.sleep(0.05)  # the lease ends by the database's clock
            assert (taken[0].acquired, work.acquired) == (2, 1)
            assert await jobs.renew([work]) == set()
            assert await jobs.held.finish(work, Made('"etag"')) is None
            assert await jobs.held.finish(taken[0], Made('"etag"')) is not None

    async def test_a_lease_that_ran_out_and_was_not_taken_is_renewed(self, own_settings: Settings) -> None:
        """The database was away for longer than a lease."""
        async with bench_of(own_settings) as one, bench_of(own_settings, "two") as two:
            work = await self.work(one)
            await one.database.execute(Statement("test", "UPDATE upload_sessions SET job_due_at = now()"))
            assert await one.tables.jobs.renew([work]) == {work.session.id}
            assert await two.tables.jobs.take_due(10) == []

    async def test_restarts_are_no_failed_attempts(self, own_settings: Settings) -> None:
        """Three in a row take it back at once; a job that may end its process waits longer and longer."""
        leases = "SELECT extract(epoch FROM job_due_at - now())::float8 AS s FROM upload_sessions"
        async with bench_of(own_settings) as one:
            work = await self.work(one)
            holders = [Jobs(one.database, f"one/{uuid4()}", timedelta(seconds=20)) for _ in range(8)]
            for restarted in holders[:3]:
                taken = await restarted.take_back("one")
                assert [(job.session.id, job.attempts) for job in taken] == [(work.session.id, 1)]
            assert await holders[3].take_back("one") == []
            waits, taken = [], list[Work]()
            for restarted in holders[3:]:
                await one.database.execute(Statement("test", "UPDATE upload_sessions SET job_due_at = now()"))
                taken = await restarted.take_due(10)
                row = await one.database.row(Statement("test", leases))
                waits.append(10 * ceil(row["s"] / 10 if row else 0))  # the question may come seconds later
            assert waits == [40, 80, 160, 320, 320]
            assert taken[0].attempts == 1
            assert await holders[-1].held.retry(taken[0], "x", "x", timedelta(0))  # it lived to say so
            again = (await holders[0].take_due(10))[0]
            assert (again.attempts, again.acquired) == (2, taken[0].acquired + 1)
            assert len(await holders[1].take_back("one")) == 1

    async def test_letting_go_is_no_failed_attempt_and_no_crash(self, own_settings: Settings) -> None:
        async with bench_of(own_settings) as one:
            await self.work(one)
            for _ in range(5):
                assert await one.tables.jobs.release() == 1
                taken = await one.tables.jobs.take_due(10)
                assert [job.attempts for job in taken] == [1]
            successor = Jobs(one.database, f"one/{uuid4()}", timedelta(seconds=20))
            assert len(await successor.take_back("one")) == 1

    async def test_a_process_that_ends_releases_what_it_holds(self, own_settings: Settings) -> None:
        async with bench_of(own_settings) as one, bench_of(own_settings, "two") as two:
            work = await self.work(one)
            assert await one.tables.jobs.release() == 1
            taken = await two.tables.jobs.take_due(10)
            assert [job.session.id for job in taken] == [work.session.id]
