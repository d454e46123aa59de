"""Who sends a body right now, so that one user cannot take every place.

The table is this process's own: with several processes a user has the limit in each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.upload import errors

SENDS_OF_ONE_CHUNK = 2  # a client that lost its connection sends again while the old one seems alive


@dataclass(slots=True, eq=False)
class _Sender:
    task: asyncio.Task[Any]
    chunk: Hashable
    superseded: bool = False


@dataclass(slots=True)
class _User:
    """One user's senders, the oldest first; by chunk those that send one."""

    bodies: int = 0
    by_chunk: dict[Hashable, list[_Sender]] = field(default_factory=dict)


class Senders:
    """Args:
    limit: bodies at once per user.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._users: dict[UUID, _User] = {}

    @property
    def bodies(self) -> int:
        """Of all users."""
        return sum(user.bodies for user in self._users.values())

    @contextmanager
    def sending(self, user_id: UUID, chunk: Hashable = None) -> Iterator[None]:
        """While the block runs, its task receives a body of this user.

        A newcomer with the same ``chunk`` (None: of no chunk) as two others, or as one at the user's limit,
        takes the place of the oldest of them, so that whoever connects again is never refused.

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
                self._leave(user_id, sender)

    def _enter(self, user_id: UUID, chunk: Hashable) -> _Sender:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be ended")
        user = self._users.get(user_id) or _User()
        same, full = user.by_chunk.get(chunk, ()), user.bodies >= self._limit
        if same and (full or len(same) >= SENDS_OF_ONE_CHUNK):
            self._end(user_id, same[0])
        elif full:
            raise errors.too_many_bodies(self._limit)
        sender = _Sender(task, chunk)
        user = self._users.setdefault(user_id, user)
        user.bodies += 1
        if chunk is not None:
            user.by_chunk.setdefault(chunk, []).append(sender)
        return sender

    def _end(self, user_id: UUID, sender: _Sender) -> None:
        sender.superseded = True
        sender.task.cancel()
        self._leave(user_id, sender)

    def _leave(self, user_id: UUID, sender: _Sender) -> None:
        user = self._users[user_id]
        user.bodies -= 1
        if sender.chunk is not None:
            same = user.by_chunk[sender.chunk]
            same.remove(sender)
            if not same:
                del user.by_chunk[sender.chunk]
        if not user.bodies:
            del self._users[user_id]
