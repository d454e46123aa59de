"""Removing what uploads leave behind, beside the requests: in few requests, and a few uploads at a time."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest

from services.kit.s3 import MOST_DELETED
from services.kit.sweeping import Turn
from services.upload.cleaning import REMOVALS_AT_ONCE
from services.upload.leftovers import Leftovers
from services.upload.model import Session, Source, SourceKind, State, Work
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, bench_of, incompressible

pytestmark = pytest.mark.integration


def requests(bench: Bench, op: str) -> float:
    labels = {"op": op, "result": "ok"}
    return bench.base.metrics.registry.get_sample_value("store_request_seconds_count", labels) or 0


async def test_the_chunks_of_a_complete_upload_go_in_one_request(settings: Settings) -> None:
    async with bench_of(settings) as bench:
        slices = [incompressible(10) for _ in range(20)]
        upload = await bench.open(200)
        for index, data in enumerate(slices):
            await bench.send(upload, index, data)
        await bench.cleaner.drain(10)
        assert await bench.content(upload) == b"".join(slices)
        assert await bench.leftovers(upload) == []
        assert (requests(bench, "delete_objects"), requests(bench, "delete_object")) == (1, 0)


async def test_more_chunks_than_one_request_may_name(bench: Bench) -> None:
    upload = await bench.open(MIB)
    session = (await bench.services.management.status(upload, bench.user_id)).session
    keys = [f"chunks/{upload}/{index}-x" for index in range(MOST_DELETED + 1)]
    for key in (keys[0], keys[-1]):
        await bench.store.put_bytes(key, b"chunk")
    sources = tuple(Source(1, f"{SourceKind.TEMPORARY}:{key}", None) for key in keys)
    bench.cleaner.completed(Work(session, sources=sources))
    await bench.cleaner.drain(10)
    assert await bench.leftovers(upload) == []
    assert requests(bench, "delete_objects") == 2


async def test_few_uploads_are_removed_at_once(bench: Bench) -> None:
    """Who opens uploads and gives them up in quick succession takes no connection that others finish with."""
    running, most, gate = 0, 0, asyncio.Event()
    clean = bench.cleaner._leftovers.clean

    async def watched(session: Session, turn: Turn) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        await clean(session, turn)
        running -= 1

    with patch.object(Leftovers, "clean", side_effect=watched):
        uploads = [await bench.open(MIB) for _ in range(3 * REMOVALS_AT_ONCE)]
        for upload in uploads:
            await bench.send(upload, 1, b"late bytes", checksum=False)
            await bench.services.management.abort(upload, bench.user_id)
        async with asyncio.timeout(30):
            while running < REMOVALS_AT_ONCE:
                await asyncio.sleep(0.01)
        gate.set()
        await bench.cleaner.drain(10)
    assert most == REMOVALS_AT_ONCE
    for upload in uploads:
        assert await bench.status(upload) == State.ABORTED
        assert await bench.leftovers(upload) == []
