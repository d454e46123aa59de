"""Who sends a body right now, so that a few users cannot take every place.

The table is this process's own: with several processes a user has the limits in each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.kit.fair import FairPlaces
from services.upload import errors

SENDS_OF_ONE_CHUNK = 2  # a client that lost its connection sends again while the old one seems alive


@dataclass(slots=True, eq=False)
class _Sender:
    task: asyncio.Task[Any]
    user_id: UUID
    chunk: Hashable
    superseded: bool = False


class Senders:
    """Args:
    limit: bodies at once per user, as long as they are within a fair share of all ``places``.
    """

    def __init__(self, limit: int, places: int) -> None:
        self._limit, self._places = limit, FairPlaces(places)
        self._by_chunk: dict[tuple[UUID, Hashable], list[_Sender]] = {}

    @property
    def bodies(self) -> int:
        """Of all users."""
        return self._places.taken

    @contextmanager
    def sending(self, user_id: UUID, chunk: Hashable = None) -> Iterator[None]:
        """While the block runs, its task receives a body of this user.

        A newcomer with the same ``chunk`` (None: of no chunk) as two others, or as one of a user who may not
        send more, takes the place of the oldest of them, so that whoever connects again is never refused.

        Raises:
            Fault: ``too_many_open_uploads``; ``request_timeout`` when a newcomer took this place.
        """
        sender = self._enter(user_id, chunk)
        try:
            yield
        except asyncio.CancelledError:
            if sender.superseded and sender.task.uncancel() == 0:
                raise errors.superseded() from None
            raise
        finally:
            if not sender.superseded:
                self._leave(sender)

    def _enter(self, user_id: UUID, chunk: Hashable) -> _Sender:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be ended")
        sender = _Sender(task, user_id, chunk)
        same, bodies = self._by_chunk.get((user_id, chunk), ()), self._places.held(user_id)
        full = bodies >= self._limit or not self._places.may_take(user_id)
        if same and (full or len(same) >= SENDS_OF_ONE_CHUNK):
            self._end(same[0])
        elif full:
            raise errors.too_many_bodies(bodies)
        self._places.take(user_id)
        if chunk is not None:
            self._by_chunk.setdefault((user_id, chunk), []).append(sender)
        return sender

    def _end(self, sender: _Sender) -> None:
        sender.superseded = True
        sender.task.cancel()
        self._leave(sender)

    def _leave(self, sender: _Sender) -> None:
        self._places.give_back(sender.user_id)
        if sender.chunk is not None:
            of_chunk = (sender.user_id, sender.chunk)
            same = self._by_chunk[of_chunk]
            same.remove(sender)
            if not same:
                del self._by_chunk[of_chunk]
