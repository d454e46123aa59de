"""Spool files: whole or not there, and none on a disk that is nearly full."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

import pytest

from services.kit.errors import Fault
from services.kit.health import NotOkError
from services.upload.chunk_store.spool import Spool

pytestmark = pytest.mark.unit

UPLOAD = UUID(int=1)


def disk(free: int) -> tuple[int, int, int]:
    return 1000, 1000 - free, free


async def test_a_file_comes_back_in_pieces_and_goes(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", lambda _: disk(500))
    file = await spool.open(UPLOAD, "0-a")
    file.write(b"abcdefgh")
    await file.synced()
    assert [kept.size_bytes for kept in await spool.files()] == [8]
    assert b"".join([piece async for piece in spool.read(str(file.path), 2, 4)]) == b"cdef"
    await spool.remove(str(file.path))
    assert list((tmp_path / "spool").iterdir()) == []
    await spool.remove(str(file.path))  # gone already: no error


async def test_whoever_writes_a_file_that_was_removed_is_told_that_its_upload_has_ended(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path, lambda _: disk(500))
    file = await spool.open(UPLOAD, "0-a")
    file.write(b"abcdefgh")
    await spool.remove_upload(UPLOAD)
    with pytest.raises(Fault, match="upload_aborted"):
        await file.synced()


async def test_no_name_is_written_twice(tmp_path: Path) -> None:
    spool = Spool(tmp_path, lambda _: disk(500))
    (await spool.open(UPLOAD, "0-a")).close()
    with pytest.raises(Fault, match="dependency_unavailable"):
        await spool.open(UPLOAD, "0-a")


@pytest.mark.parametrize(("free", "taken"), [(100, True), (99, False)])
async def test_a_tenth_of_the_disk_stays_free(tmp_path: Path, free: int, taken: bool) -> None:
    spool = Spool(tmp_path, lambda _: disk(free))
    if taken:
        (await spool.open(UPLOAD, "0-a")).close()
        assert await spool.check() == "10% free"
        return
    with pytest.raises(Fault) as caught:
        await spool.open(UPLOAD, "0-a")
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("insufficient_storage", "30")
    with pytest.raises(NotOkError, match="at least 10%"):
        await spool.check()


async def test_folders_that_go_while_they_are_listed(tmp_path: Path) -> None:
    """An upload ends beside the background's look at what lies here."""
    spool = Spool(tmp_path / "spool", lambda _: disk(500))

    async def come_and_go() -> None:
        for number in range(400):
            upload = UUID(int=number)
            file = await spool.open(upload, "one")
            file.close()
            await spool.remove_upload(upload)

    others = asyncio.create_task(come_and_go())
    while not others.done():
        await spool.files()
    await others
    assert await spool.files() == []
