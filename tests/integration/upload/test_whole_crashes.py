"""A process dies after a file of one request was received: the next one of its name finishes it, once."""

from __future__ import annotations

from typing import Any

import pytest

from services.upload.model import State
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, Died, Registry, bench_of, incompressible
from tests.integration.upload.test_crashes import durable_once, successor
from tests.integration.upload.whole import MODES, rows, send

pytestmark = pytest.mark.integration

LONG = 17 * MIB  # three parts, when it is streamed and nobody knows its length


async def dies(bench: Bench, data: bytes, mode: str, **given: Any) -> Any:
    """The row of an upload whose process died on the way."""
    with pytest.raises(Died):
        await send(bench, data, mode, **given)
    (row,) = await rows(bench)
    assert row["status"] == State.COMPLETING
    return row


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("size", "known"), [(0, False), (MIB, True), (LONG, False)])
async def test_death_around_the_registration(
    own_settings: Settings, mode: str, when: str, size: int, known: bool
) -> None:
    data = incompressible(size)
    async with bench_of(own_settings, registry=Registry(died=when)) as dead:
        row = await dies(dead, data, mode, known=known)
        async with successor(own_settings, dead) as bench:
            await durable_once(bench, row["upload_uuid"], data)
            _, made = bench.registry.rows[row["upload_uuid"]]
            assert made.checksum == row["checksum"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_death_around_the_joining_of_parts(own_settings: Settings, when: str) -> None:
    data = incompressible(LONG)
    async with bench_of(own_settings, dies=("complete_multipart", when, 1)) as dead:
        row = await dies(dead, data, "streamed", known=False)
        async with successor(own_settings, dead) as bench:
            await durable_once(bench, row["upload_uuid"], data)


async def test_parts_that_the_store_forgot(own_settings: Settings) -> None:
    data = incompressible(LONG)
    async with bench_of(own_settings, dies=("complete_multipart", "before", 1)) as dead:
        row = await dies(dead, data, "streamed", known=False)
        await dead.store.abort_multipart(row["storage_key"], row["storage_upload_id"])
        async with successor(own_settings, dead) as bench:
            while await bench.status(row["upload_uuid"]) == "completing":
                await bench.finaliser.tick()
            progress = await bench.services.management.status(row["upload_uuid"], bench.user_id)
            assert (progress.session.status, progress.session.error_code) == ("failed", "upload_failed")
            assert bench.registry.rows == {}


async def test_the_same_key_joins_the_restarted_job(own_settings: Settings) -> None:
    data = incompressible(MIB)
    async with bench_of(own_settings, registry=Registry(died="before")) as dead:
        row = await dies(dead, data, "streamed", key="k")
        async with successor(own_settings, dead) as bench:
            assert await send(bench, data, key="k") == row["upload_uuid"]
            assert len(await rows(bench)) == 1
