"""Time, ids and randomness, as one injected object."""

from __future__ import annotations

import random
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class World:
    """What a process takes from outside.

    ``now`` is seconds since the epoch, ``monotonic`` seconds of a clock that never steps back.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    new_uuid: Callable[[], uuid.UUID] = uuid.uuid4
    token_hex: Callable[[int], str] = secrets.token_hex
    rng: random.Random = field(default_factory=random.SystemRandom)
