"""One file and lists of them: who may do what, and where a list comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from services.files.errors import (
    file_lives,
    file_not_found,
    forbidden,
    lacks_content,
    registration_conflict,
    store_fault,
)
from services.files.forgetting import subject_of
from services.files.links import Links
from services.files.model import Change, Link, ListQuery, Page, Readable, Registered, Registration, Summary
from services.files.repository.files import Files
from services.kit.cache import Cache
from services.kit.errors import Fault
from services.kit.s3 import ByteRange, Download, PreconditionFailedError, S3Client, StoreError, same_etag

ANYBODY = "anybody"


class ListSource(Protocol):
    """Where the pages of a list come from."""

    async def page(self, query: ListQuery, user_id: UUID) -> Page: ...


class FileService:
    """Args:
    sources: by name; ``postgres`` knows every list, others only what a user owns.
    rows: files that were read before.
    """

    def __init__(
        self,
        files: Files,
        sources: Mapping[str, ListSource],
        store: S3Client,
        links: Links,
        rows: Cache[Readable],
    ) -> None:
        self._files, self._sources, self._store, self._links = files, sources, store, links
        self._rows = rows

    async def list(self, source: str, query: ListQuery, user_id: UUID) -> Page:
        return await self._sources[source].page(query, user_id)

    async def readable(self, file_id: UUID, user_id: UUID | None) -> Readable:
        """The file, for somebody who may read it.

        Raises:
            Fault: ``file_not_found``, also when it is there and hidden.
        """
        subject, reader = subject_of(file_id), str(user_id or ANYBODY)
        known, ticket = await self._rows.get(subject, reader)
        if known is not None:
            return known
        file = await self._files.read(file_id, user_id)
        if file is None:
            raise file_not_found()
        await self._rows.keep(subject, reader, file, ticket)
        return file

    async def summary(self, file_id: UUID, user_id: UUID | None) -> Summary:
        return (await self.readable(file_id, user_id)).summary

    async def link(self, file_id: UUID, user_id: UUID | None) -> tuple[Link, str]:
        """A link to the content, and the file's name."""
        file = await self.readable(file_id, user_id)
        return self._links.give(file), file.summary.name

    async def links(self, file_ids: Sequence[UUID], user_id: UUID) -> dict[UUID, tuple[Link, str]]:
        """As ``link``, for those of the files that this user may read."""
        files = await self._files.read_many(file_ids, user_id)
        return {file_id: (self._links.give(file), file.summary.name) for file_id, file in files.items()}

    async def open(self, file: Readable, reader: UUID | None, byte_range: ByteRange | None) -> Download:
        """The content, exactly as it was registered: the store checks the recorded ETag.

        Raises:
            Fault: see ``read_fault``.
        """
        try:
            return await self._store.open_get(file.storage_key, byte_range=byte_range, if_match=file.etag)
        except StoreError as error:
            raise await read_fault(self._files, file.summary.file_id, reader, error) from error

    async def check(self, file: Readable, reader: UUID | None) -> None:
        """As ``open``, without the content."""
        try:
            info = await self._store.head(file.storage_key)
            if file.etag is not None and not same_etag(info.etag, file.etag):
                raise PreconditionFailedError("head_object", 412, "PreconditionFailed")
        except StoreError as error:
            raise await read_fault(self._files, file.summary.file_id, reader, error) from error

    async def rename(self, file_id: UUID, user_id: UUID, name: str) -> None:
        settle(await self._files.rename(file_id, user_id, name))

    async def delete(self, file_id: UUID, user_id: UUID) -> None:
        settle(await self._files.delete(file_id, user_id))

    async def register(self, facts: Registration) -> Registered:
        """Raises Fault: ``registration_conflict``."""
        registered = await self._files.register(facts)
        if registered is None:
            raise registration_conflict()
        return registered

    async def void(self, file_id: UUID) -> None:
        """This id never becomes a file; fine when that was said before, or the file is deleted.

        Raises:
            Fault: ``registration_conflict`` when it is a file that lives.
        """
        file = await self._files.void(file_id)
        if file is not None:
            raise file_lives(file)


async def read_fault(files: Files, file_id: UUID, reader: UUID | None, error: StoreError) -> Fault:
    """What it means to ``reader`` that the store did not give a file's content: since its row was read it may
    have been deleted, and its object with it.

    Raises:
        Fault: the database cannot be reached.
    """
    if lacks_content(error) and await files.read(file_id, reader) is None:
        return file_not_found()
    return store_fault(error)


def settle(change: Change) -> None:
    """Raises:
    Fault: unless the change was done.
    """
    if change is Change.HIDDEN:
        raise file_not_found()
    if change is Change.FORBIDDEN:
        raise forbidden()
