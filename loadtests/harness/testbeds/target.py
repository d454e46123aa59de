"""Another implementation of the contract, in any language, as its clients see it: HTTP and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID

import aiohttp

from loadtests.harness.clients.client import REQUEST_TIMEOUT
from loadtests.harness.clients.users import Identity
from loadtests.harness.records.vocabulary import EMAIL_DOMAIN, OPEN_STATES

AT_ONCE = 16  # requests of an audit: no load, but no queue of one either
PAGE = 100  # the largest that the contract allows
DELETED = frozenset({200, 204, 404})
_READ_BYTES = 1024 * 1024

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class TargetFailed(Exception):
    """The target did not answer as the contract says; the message names the request and the answer."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """An entry of its owner's list."""

    file_id: str
    owner_id: str
    name: str
    size_bytes: int
    checksum: str | None  # where the target knows it


@dataclass(frozen=True, slots=True)
class Status:
    """What the target says of one upload; ``moved`` is all that changes while it goes on."""

    status: str
    file_id: str | None
    moved: tuple[Any, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATES


@dataclass(frozen=True, slots=True)
class Downloaded:
    """One file read back whole."""

    http_status: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Target:
    """One base URL. Every call is one user's, by their token, and raises ``TargetFailed``."""

    http: aiohttp.ClientSession
    url: str
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE), repr=False)

    async def files(self, user: Identity) -> list[ListedFile]:
        """All files that a user owns."""
        pages = self._pages(user, "/api/files/me/owned")
        return [_listed(one) async for page in pages for one in page["files"]]

    async def status(self, user: Identity, upload_uuid: str) -> Status | None:
        """None for an upload that the target does not know."""
        found = await self._json(user, "/api/upload/status", {"upload_uuid": upload_uuid})
        if found is None:
            return None
        moved = (found["status"], found.get("received_bytes"), found.get("updated_at"))
        file_id = found.get("file_id")
        return Status(found["status"], None if file_id is None else str(file_id), moved)

    async def open_uploads(self, user: Identity) -> list[str]:
        """Ids of a user's uploads that have not ended."""
        pages = self._pages(user, "/api/upload/sessions", state="open")
        return [str(one["upload_uuid"]) async for page in pages for one in page["sessions"]]

    async def download(self, user: Identity, file_id: str) -> Downloaded:
        """The file's bytes, through the target."""
        digest, size = sha256(), 0
        async with self._slots:
            url = f"{self.url}/api/files/f/{file_id}/download?delivery=proxied"
            async with self.http.get(url, headers=user.headers, timeout=REQUEST_TIMEOUT) as answer:
                async for piece in answer.content.iter_chunked(_READ_BYTES):
                    digest.update(piece)
                    size += len(piece)
                return Downloaded(answer.status, size, digest.hexdigest())

    async def delete_file(self, user: Identity, file_id: str) -> None:
        await self._delete(user, f"/api/files/f/{file_id}")

    async def abort(self, user: Identity, upload_uuid: str) -> None:
        await self._delete(user, f"/api/upload/session/{upload_uuid}")

    async def _pages(self, user: Identity, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        """By cursor where the list has one, else by page."""
        where: dict[str, str] = {}
        while True:
            page = await self._json(user, path, {"size": str(PAGE), **query, **where})
            if page is None:
                raise TargetFailed(f"GET {self.url}{path}: answered 404")
            yield page
            if page.get("next_cursor"):
                where = {"cursor": page["next_cursor"]}
            elif page.get("next_page"):
                where = {"page": str(page["next_page"])}
            else:
                return

    async def _json(self, user: Identity, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        """The answer; None for 404."""
        async with (
            self._slots,
            self.http.get(
                self.url + path, params=query, headers=user.headers, timeout=REQUEST_TIMEOUT
            ) as answer,
        ):
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise await self._refused(answer, path)
            found: dict[str, Any] = await answer.json(content_type=None)
            return found

    async def _delete(self, user: Identity, path: str) -> None:
        async with (
            self._slots,
            self.http.delete(self.url + path, headers=user.headers, timeout=REQUEST_TIMEOUT) as answer,
        ):
            if answer.status not in DELETED:
                raise await self._refused(answer, path)

    async def _refused(self, answer: aiohttp.ClientResponse, path: str) -> TargetFailed:
        text = (await answer.text())[:200]
        return TargetFailed(f"{answer.method} {self.url}{path}: answered {answer.status}: {text}")


def _listed(entry: dict[str, Any]) -> ListedFile:
    try:
        return ListedFile(
            str(UUID(entry["file_id"])),
            str(UUID(entry["owner_id"])),
            str(entry["name"]),
            int(entry["size_bytes"]),
            entry.get("checksum"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TargetFailed(f"an entry of a list of files is not as in the contract: {entry}") from error


async def for_all(work: Callable[[ItemT], Awaitable[ResultT]], items: Iterable[ItemT]) -> list[ResultT]:
    """Results in the order of the items; the target's own slots limit how many run."""
    return list(await asyncio.gather(*(work(item) for item in items)))


def only_ours(users: Sequence[Identity]) -> Sequence[Identity]:
    """The same users. Raises ``ValueError`` if one is not the harness's: everything of theirs is deleted."""
    if strangers := [user.email for user in users if not user.email.endswith(f"@{EMAIL_DOMAIN}")]:
        raise ValueError(f"{strangers[0]} is no user of the harness")
    return users
