"""Rows that k6 has yet to send: made in advance where hashing takes long, handed out a few at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

from loadtests.harness.clients.payload import BLOCK_BYTES, Payload, UploadRow
from loadtests.harness.records.plan import Arm

PATTERN_SEED = 20_240_731
SMALL_BATCH = 16  # rows for one VU at once; a cut is noticed when they are used up
LARGE_BATCH = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """Files that share their bytes and are cut alike: any arm that sends them may take the same rows."""

    size_bytes: int
    slice_bytes: int

    @classmethod
    def of(cls, arm: Arm) -> Kind:
        return cls(arm.file_size_bytes, min(arm.piece_bytes, arm.file_size_bytes))

    @classmethod
    def parse(cls, text: str) -> Kind:
        """Raises ``ValueError``."""
        size, slice_ = text.split("-")
        return cls(int(size), int(slice_))

    def __str__(self) -> str:
        return f"{self.size_bytes}-{self.slice_bytes}"

    @property
    def large(self) -> bool:
        """Whether a row takes milliseconds: it is hashed whole."""
        return self.size_bytes > BLOCK_BYTES


@dataclass(slots=True)
class Rows:
    """All rows of one run. ``given`` are those handed out since they were last taken."""

    run: str
    _numbers: count[int] = field(default_factory=count)
    _payloads: dict[Kind, Payload] = field(default_factory=dict)
    _stock: dict[Kind, deque[UploadRow]] = field(default_factory=dict)
    _given: list[UploadRow] = field(default_factory=list)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "rows"))

    def payload(self, kind: Kind) -> Payload:
        """Bodies and hashes of one kind; the pattern is made once."""
        if kind not in self._payloads:
            self._payloads[kind] = Payload(
                self.run, PATTERN_SEED, kind.size_bytes, chunk_bytes=kind.slice_bytes, etags=not kind.large
            )
        return self._payloads[kind]

    async def fill(self, kind: Kind, wanted: int) -> None:
        """Have at least ``wanted`` rows in stock; called while no load runs."""
        stock = self._stock.setdefault(kind, deque())
        if kind.large and wanted > len(stock):
            stock.extend(await self._make(kind, wanted - len(stock)))

    async def take(self, kind: Kind) -> list[UploadRow]:
        """The next few rows for one VU."""
        stock = self._stock.setdefault(kind, deque())
        batch = LARGE_BATCH if kind.large else SMALL_BATCH
        taken = [stock.popleft() for _ in range(min(batch, len(stock)))]
        if not taken:
            taken = await self._make(kind, 1 if kind.large else batch)
        self._given += taken
        return taken

    def given(self) -> list[UploadRow]:
        """The rows handed out since the last call."""
        given, self._given = self._given, []
        return given

    def pattern(self, size_bytes: int) -> bytes:
        """The bytes that all files of a size share. Raises ``KeyError`` for a size that nobody sends."""
        found = next((p for kind, p in self._payloads.items() if kind.size_bytes == size_bytes), None)
        if found is None:
            raise KeyError(size_bytes)
        return found.pattern

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _make(self, kind: Kind, number: int) -> list[UploadRow]:
        payload = self.payload(kind)
        refs = [f"{self.run}.{next(self._numbers):07d}" for _ in range(number)]
        if not kind.large:  # the copy of a hash state each: less than handing it to a thread
            return [payload.row(ref) for ref in refs]
        loop = asyncio.get_running_loop()
        made: Iterable[UploadRow] = await asyncio.gather(
            *(loop.run_in_executor(self._threads, payload.row, ref) for ref in refs)
        )
        return list(made)
