"""Time, ids and randomness, as one injected object."""

from __future__ import annotations

import random
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

_POOLED_IDS = 256
_VARIANTS = "89ab"  # RFC 9562: the two highest bits of this digit are 1 and 0


class RequestIds:
    """Random (version 4) UUIDs as text; the kernel is asked for 256 of them at once.

    A fork would give two processes the same ids, so a pool belongs to one process.
    """

    __slots__ = ("_left", "_pool")

    def __init__(self) -> None:
        self._pool, self._left = "", 0

    def __call__(self) -> str:
        if not self._left:
            self._pool, self._left = secrets.token_hex(16 * _POOLED_IDS), _POOLED_IDS
        self._left -= 1
        at = 32 * self._left
        text = self._pool[at : at + 32]
        variant = _VARIANTS[int(text[16], 16) & 3]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


@dataclass(frozen=True, slots=True)
class World:
    """What a process takes from outside.

    ``now`` is seconds since the epoch, ``monotonic`` seconds of a clock that never steps back.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    new_uuid: Callable[[], uuid.UUID] = uuid.uuid4
    new_request_id: Callable[[], str] = field(default_factory=RequestIds)
    token_hex: Callable[[int], str] = secrets.token_hex
    rng: random.Random = field(default_factory=random.SystemRandom)
