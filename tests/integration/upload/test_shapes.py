"""However a file is cut and in whatever order it arrives, the object has the file's bytes."""

from __future__ import annotations

from hashlib import sha256

import pytest

from services.kit.s3 import Capabilities
from services.upload.model import State
from services.upload.settings import Settings
from tests.integration.upload.conftest import MIB, Bench, bench_of, incompressible

pytestmark = pytest.mark.integration

SHAPES: dict[str, tuple[list[int], list[int] | None]] = {
    "one small chunk": ([1], None),
    "one chunk": ([MIB], None),
    "one chunk of the largest size": ([10 * MIB], None),
    "parts of 5 MiB and a tail": ([5 * MIB, 5 * MIB, 2 * MIB], None),
    "parts of 10 MiB and a tail": ([10 * MIB, 2 * MIB], None),
    "parts without a tail": ([5 * MIB, 5 * MIB], None),
    "the tail first": ([5 * MIB, 5 * MIB, 2 * MIB], [2, 0, 1]),
    "trailing empty chunks": ([10 * MIB, 2 * MIB, 0, 0], None),
    "tiny slices": ([1000, 2000, 30], None),
    "odd slices, backwards": ([MIB, 6 * MIB, 3 * MIB, 5 * MIB, 9 * MIB], [4, 3, 2, 1, 0]),
    "a short slice in the middle": ([5 * MIB, MIB, 6 * MIB, 3 * MIB, 5 * MIB], None),
    "more indexes than advised": ([3 * MIB] * 5, None),
}


async def upload(bench: Bench, sizes: list[int], order: list[int] | None, *, checksum: bool) -> None:
    slices = [incompressible(size) for size in sizes]
    file = b"".join(slices)
    opened = await bench.open(len(file))
    answers = [
        await bench.send(opened, index, slices[index], checksum=checksum)
        for index in order or range(len(slices))
    ]
    assert answers[-1].status is State.COMPLETED
    assert await bench.content(opened) == file
    session, made = bench.registry.rows[opened]
    assert session.file_size_bytes == len(file)
    assert made.checksum == (sha256(file).hexdigest() if len(sizes) == 1 else None)
    assert made.etag == (await bench.store.head(session.storage_key)).etag
    await bench.cleaner.drain(10)
    assert await bench.leftovers(opened) == []


@pytest.mark.parametrize("checksum", [True, False], ids=["checksum", "no checksum"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_in_the_store(bench: Bench, shape: str, checksum: bool) -> None:
    await upload(bench, *SHAPES[shape], checksum=checksum)


@pytest.mark.parametrize("shape", SHAPES)
async def test_on_disk(settings: Settings, shape: str) -> None:
    async with bench_of(settings.model_copy(update={"chunk_store": "disk"})) as bench:
        await upload(bench, *SHAPES[shape], checksum=True)
        assert await bench.base.spool.files() == []


@pytest.mark.parametrize("shape", ["one chunk", "the tail first", "odd slices, backwards"])
async def test_in_a_store_that_checks_nothing(settings: Settings, shape: str) -> None:
    async with bench_of(settings, capabilities=Capabilities(False, False, True, False)) as bench:
        await upload(bench, *SHAPES[shape], checksum=True)


async def test_no_bytes(bench: Bench) -> None:
    opened = await bench.open(0)
    assert await bench.status(opened) == "completed"
    assert await bench.content(opened) == b""
    assert bench.registry.rows[opened][0].total_chunks == 0


async def test_a_resend_of_a_part_takes_a_number_of_its_own(bench: Bench) -> None:
    first, tail = incompressible(5 * MIB), incompressible(10)
    opened = await bench.open(len(first) + len(tail))
    for attempt in (incompressible(5 * MIB), first, first):
        await bench.send(opened, 0, attempt, checksum=False)
    await bench.send(opened, 1, tail)
    assert await bench.content(opened) == first + tail


async def test_a_type_found_by_content(bench: Bench) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + incompressible(100)
    opened = await bench.open(len(picture), "README")
    await bench.send(opened, 0, picture)
    session, _ = bench.registry.rows[opened]
    assert session.mime_type == "image/png"
    assert (await bench.store.head(session.storage_key)).content_type == "image/png"
