"""The type of a file whose name implies none: by its first bytes, decided once, the same everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from services.kit.db import Statement
from services.kit.errors import Fault
from services.upload.model import Send, State
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, Registry, bench_of, body, incompressible

pytestmark = pytest.mark.integration

PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF-"
TAR = b"\0" * 257 + b"ustar"
DUE = Statement("test", "UPDATE upload_sessions SET job_due_at = now() WHERE job_due_at IS NOT NULL")


@pytest.mark.parametrize("piece_bytes", [1, 7, 300, 65_536])
@pytest.mark.parametrize("checksum", [True, False])
async def test_it_does_not_depend_on_the_size_of_packets(
    bench: Bench, piece_bytes: int, *, checksum: bool
) -> None:
    data = TAR + bytes(100)
    upload = await bench.open(len(data), "blob")
    promised = sha256(data).hexdigest() if checksum else None
    send = Send(upload, bench.user_id, 0, len(data), promised)
    await bench.services.chunks.receive(send, body(data, piece_bytes))
    session, _ = bench.registry.rows[upload]
    assert session.mime_type == "application/x-tar"
    assert (await bench.store.head(session.storage_key)).content_type == "application/x-tar"


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
@pytest.mark.parametrize("sizes", [[5 * MIB, 5 * MIB], [5 * MIB, 100], [20, 100], [20, 5 * MIB]])
async def test_it_does_not_depend_on_the_order_of_chunks(
    bench: Bench, sizes: list[int], order: list[int]
) -> None:
    slices = [PNG + incompressible(sizes[0] - len(PNG)), PDF + incompressible(sizes[1] - len(PDF))]
    upload = await bench.open(sum(sizes), "blob")
    for index in order:
        await bench.send(upload, index, slices[index])
    assert bench.registry.rows[upload][0].mime_type == "image/png"


async def test_a_chunk_that_was_begun_before_the_first_one_came(bench: Bench) -> None:
    """What its sender saw of the upload is older than the type."""
    zero, last = PNG + incompressible(5 * MIB), incompressible(100)
    upload, go = await bench.open(len(zero) + len(last), "blob"), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield last[:50]
        await go.wait()
        yield last[50:]

    send = Send(upload, bench.user_id, 1, len(last), None)
    late = asyncio.create_task(bench.services.chunks.receive(send, slow()))
    await bench.send(upload, 0, zero)
    go.set()
    assert (await late).status is State.COMPLETED
    assert bench.registry.rows[upload][0].mime_type == "image/png"


async def test_other_bytes_for_the_first_chunk_are_another_type(bench: Bench) -> None:
    upload = await bench.open(30, "blob")
    for first in (PNG + bytes(2), PDF + bytes(5)):
        await bench.send(upload, 0, first)
    await bench.send(upload, 1, bytes(20))
    assert bench.registry.rows[upload][0].mime_type == "application/pdf"


async def test_a_name_goes_before_bytes(bench: Bench) -> None:
    upload = await bench.open(len(PDF), "a.txt")
    await bench.send(upload, 0, PDF)
    assert bench.registry.rows[upload][0].mime_type == "text/plain"


async def test_a_later_attempt_registers_the_same_type(own_settings: Settings) -> None:
    async with bench_of(own_settings, registry=Registry(refusals=1)) as bench:
        upload = await bench.open(30, "blob")
        await bench.send(upload, 1, bytes(20))
        with pytest.raises(Fault):
            await bench.send(upload, 0, PDF + bytes(5))
        async with asyncio.timeout(30):
            while await bench.status(upload) != "completed":
                await bench.database.execute(DUE)
                await bench.finaliser.tick()
                await asyncio.sleep(0.01)  # the attempt gets its turns
        assert bench.registry.rows[upload][0].mime_type == "application/pdf"
