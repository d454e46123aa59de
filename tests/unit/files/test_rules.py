"""Rules of folders and copies where a step fails: what stays done, and what is said."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import pytest

from services.files.copier import Copier
from services.files.model import Permission, Readable, Summary
from services.files.repository.files import Files
from services.files.repository.folders import Folders
from services.files.service import copying
from services.files.service.copying import Copying
from services.files.service.folders import FolderService
from services.kit.errors import Fault, unavailable
from services.kit.s3 import NotFoundError, StoreError, UnavailableError

pytestmark = pytest.mark.unit
USER, FILE, COPY = UUID(int=1), UUID(int=2), UUID(int=3)
NOW = datetime(2026, 3, 4, tzinfo=UTC)
SUMMARY = Summary(FILE, USER, "a", "text/plain", 1, NOW, False, NOW, Permission.OWNER, None)


class FewFolders:
    """Files below a folder, and after how many batches the database fails."""

    def __init__(self, files: int, fails_after: int = 99) -> None:
        self.files, self.batches, self.fails_after = files, 0, fails_after

    async def delete_some(self, prefix: str, user_id: UUID, limit: int) -> int:
        if self.batches == self.fails_after:
            raise unavailable("database")
        self.batches += 1
        gone = min(self.files, limit)
        self.files -= gone
        return gone


async def test_a_deletion_that_fails_half_way_says_so_and_can_be_finished() -> None:
    folders = FewFolders(25, fails_after=2)
    service = FolderService(cast(Folders, folders), batch=10)
    with pytest.raises(Fault, match="dependency_unavailable"):
        await service.delete("a/", USER)
    assert folders.files == 5
    folders.fails_after = 99
    assert await service.delete("a/", USER) == 5
    with pytest.raises(Fault, match="folder_not_found"):
        await service.delete("a/", USER)


class OneFile:
    """A source that is readable as long as ``there``; a copy is published only ``in_time``."""

    def __init__(self, *, there: bool = True, in_time: bool = True) -> None:
        self.there, self.in_time, self.published = there, in_time, list[tuple[UUID, str]]()

    async def read(self, file_id: UUID, user_id: UUID) -> Readable | None:
        return Readable(SUMMARY, "key", '"e"') if self.there else None

    async def reserve_copy(self, *given: object) -> Readable | None:
        assert given[:4] == (FILE, USER, COPY, f"users/{USER}/{COPY}")
        return Readable(SUMMARY, "key", '"e"')

    async def publish_copy(self, copy_id: UUID, etag: str) -> Summary | None:
        self.published.append((copy_id, etag))
        return SUMMARY if self.in_time else None


class OneCopy:
    def __init__(self, error: StoreError | None = None, *, stuck: bool = False) -> None:
        self.error, self.stuck = error, stuck

    async def copy(self, source: Readable, key: str) -> str:
        if self.stuck:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return '"copied"'


def service_of(files: OneFile, copier: OneCopy) -> Copying:
    return Copying(cast(Files, files), cast(Copier, copier), lambda: COPY)


GONE, AWAY = NotFoundError("copy_object", 404, "NoSuchKey"), UnavailableError("copy_object", 503, "SlowDown")


@pytest.mark.parametrize(
    ("error", "there", "code"),
    [
        (GONE, True, "store_inconsistent"),
        (GONE, False, "file_not_found"),  # deleted and swept while it was copied
        (AWAY, True, "dependency_unavailable"),
    ],
)
async def test_a_copy_that_fails_is_not_published(error: StoreError, there: bool, code: str) -> None:
    files = OneFile(there=there)
    with pytest.raises(Fault, match=code):
        await service_of(files, OneCopy(error)).copy(FILE, USER)
    assert files.published == []


async def test_a_copy_that_takes_too_long_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "COPYING_S", 0.0)
    files = OneFile()
    with pytest.raises(Fault, match="deadline_exceeded"):
        await service_of(files, OneCopy(stuck=True)).copy(FILE, USER)
    assert files.published == []


async def test_a_copy_whose_time_ran_out_before_it_was_published() -> None:
    files = OneFile(in_time=False)
    with pytest.raises(Fault, match="deadline_exceeded"):
        await service_of(files, OneCopy()).copy(FILE, USER)
    assert files.published == [(COPY, '"copied"')]


def test_the_copying_ends_before_its_row_runs_out() -> None:
    """A statement may wait 5 s for a connection and take 11 s."""
    assert copying.COPYING_S + 5 + 11 < copying.RESERVED_S
