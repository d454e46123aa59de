"""Spool files: chunks on this host's disk, for the experiment that compares with writing them there.

A file is written to a name of its own and synced, its folder too, before the chunk is accepted. Disk
calls run in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from services.kit.errors import Fault, unavailable
from services.kit.health import NotOkError
from services.upload import errors

READ_BYTES = FLUSH_BYTES = 256 * 1024
FULL = frozenset({ENOSPC, EDQUOT})
MIN_FREE_SHARE = 0.10


def not_kept(error: OSError) -> Fault:
    """What a failure of the spool disk means for a client: only who ends an upload removes its files."""
    if isinstance(error, FileNotFoundError):
        return errors.aborted()
    full = error.errno in FULL
    return Fault("insufficient_storage", "The spool disk is full.") if full else unavailable("spool disk")


class SpoolFile:
    """One file being written. Pieces collect and are written in a thread, 256 KiB at a time."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self._file = path, file
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    @property
    def full(self) -> bool:
        """Enough has collected: ``drained`` comes next."""
        return self._waiting_bytes >= FLUSH_BYTES

    def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)

    async def drained(self) -> None:
        """Write what has collected. Raises Fault: ``insufficient_storage``, ``dependency_unavailable``."""
        data, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
        try:
            await asyncio.to_thread(self._file.write, data)
        except OSError as error:
            raise not_kept(error) from error

    async def synced(self) -> None:
        """Write the rest, make it survive a crash of the host, and close.

        Raises:
            Fault: as ``drained``; ``upload_aborted`` when it was removed meanwhile.
        """
        await self.drained()
        try:
            await asyncio.to_thread(self._sync)
        except OSError as error:
            raise not_kept(error) from error

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """What has collected is not wanted any more. Raises OSError when what was written cannot be kept."""
        self._waiting, self._waiting_bytes = [], 0
        self._file.close()


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file of the spool; ``upload`` is the name of its folder, ``modified`` seconds since the epoch."""

    path: Path
    upload: str
    size_bytes: int
    modified: float


class Spool:
    """A folder of spool files, one subfolder per upload.

    Args:
        usage: ``shutil.disk_usage``, or a test's.
    """

    def __init__(
        self, folder: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage
    ) -> None:
        self._folder, self._usage = folder, usage

    async def open(self, upload_uuid: UUID, name: str) -> SpoolFile:
        """A new file.

        Raises:
            Fault: ``insufficient_storage`` when less than a tenth of the disk is free.
        """
        try:
            self.refuse_when_full()
            return await asyncio.to_thread(self._open, upload_uuid, name)
        except OSError as error:
            raise unavailable("spool disk") from error

    def refuse_when_full(self, size_bytes: int = 0) -> None:
        """Raises Fault: ``insufficient_storage`` when less than a tenth of the disk would be free with so
        many bytes more."""
        if self._free_share(size_bytes) < MIN_FREE_SHARE:
            raise Fault("insufficient_storage", "The spool disk is nearly full. Please try again later.")

    def _open(self, upload_uuid: UUID, name: str) -> SpoolFile:
        folder = self._folder / str(upload_uuid)
        folder.mkdir(parents=True, exist_ok=True)
        return SpoolFile(folder / name, (folder / name).open("xb"))

    async def read(self, path: str, offset: int, size_bytes: int) -> AsyncIterator[bytes]:
        """Raises FileNotFoundError when it is gone."""
        file = await asyncio.to_thread(Path(path).open, "rb")
        try:
            await asyncio.to_thread(file.seek, offset)
            left = size_bytes
            while left and (data := await asyncio.to_thread(file.read, min(left, READ_BYTES))):
                left -= len(data)
                yield data
        finally:
            file.close()

    async def remove(self, path: str) -> None:
        """The file, and its folder when that was the last one."""
        await asyncio.to_thread(_remove, Path(path))

    async def files(self, upload_uuid: UUID | None = None) -> list[Spooled]:
        """What lies here of one upload, or of all."""
        return await asyncio.to_thread(self._files, upload_uuid)

    def _files(self, upload_uuid: UUID | None) -> list[Spooled]:
        found = []
        for folder in [self._folder / str(upload_uuid)] if upload_uuid else self._folder.glob("*"):
            paths: list[Path] = []
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # removed since it was listed
                paths = list(folder.iterdir())
            for path in paths:
                with contextlib.suppress(FileNotFoundError):  # likewise
                    facts = path.stat()
                    found.append(Spooled(path, folder.name, facts.st_size, facts.st_mtime))
        return found

    async def remove_upload(self, upload_uuid: UUID) -> None:
        """All files of an upload, and its folder."""
        await asyncio.to_thread(shutil.rmtree, self._folder / str(upload_uuid), ignore_errors=True)

    def _free_share(self, taken_bytes: int = 0) -> float:
        self._folder.mkdir(parents=True, exist_ok=True)
        total, _, free = self._usage(self._folder)
        return (free - taken_bytes) / total

    async def check(self) -> str:
        share = self._free_share()
        if share < MIN_FREE_SHARE:
            raise NotOkError(
                f"{share:.0%} of the spool disk is free, at least {MIN_FREE_SHARE:.0%} is needed"
            )
        return f"{share:.0%} free"


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        return  # other chunks of the upload are still there
