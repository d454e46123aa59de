"""What the service remembers between requests: failed logins, and proofs of passwords just verified."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from cachetools import LRUCache, TTLCache

from services.auth.errors import too_many_failures
from services.auth.outcome import ProofLookup

WINDOW_S = 60
MAX_EMAILS = 100_000
MAX_PROOFS = 10_000


class FailureLimiter:
    """At most ``limit`` failed logins per e-mail and clock minute; successes never count.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit, self._now = limit, now
        self._window = 0
        self._failures: LRUCache[str, int] = LRUCache(MAX_EMAILS)

    def check(self, email: str) -> None:
        """Raises:
        Fault: ``rate_limited`` with the seconds to the end of the minute.
        """
        now = self._turn()
        if self._failures.get(email, 0) >= self._limit:
            raise too_many_failures(max(1, WINDOW_S - int(now % WINDOW_S)))

    def failed(self, email: str) -> None:
        """Count one; raises like ``check`` when others used the last try meanwhile."""
        self.check(email)
        self._failures[email] = self._failures.get(email, 0) + 1

    def _turn(self) -> float:
        now = self._now()
        if int(now // WINDOW_S) != self._window:
            self._window = int(now // WINDOW_S)
            self._failures.clear()
        return now


class Proofs(Protocol):
    """Passwords just verified; ``miss`` is the metric label of a login that had to hash."""

    miss: ProofLookup

    def holds(self, user_id: UUID, stored: str, password: bytes) -> bool:
        """Whether this password was verified against this stored string a moment ago."""

    def remember(self, user_id: UUID, stored: str, password: bytes) -> None:
        """Called after a successful verification only."""


class NoProofs:
    """Every login hashes."""

    miss = ProofLookup.OFF

    def holds(self, user_id: UUID, stored: str, password: bytes) -> bool:
        return False

    def remember(self, user_id: UUID, stored: str, password: bytes) -> None:
        return None


class ProofCache:
    """Keeps HMAC-SHA256(pepper, stored string, password) for ``life_s`` per user, the 10,000 used last.

    The stored string is read from the database on every login and is part of the proof, so a changed
    password or a removed user misses at once. Guesses never enter, so a guess always costs a full hash.
    Who can read this process's memory could attack these entries at HMAC speed; the same reader sees
    passwords in flight anyway.

    Args:
        pepper: random bytes made at start, stored nowhere.
        monotonic: seconds.
    """

    miss = ProofLookup.MISS

    def __init__(self, life_s: float, pepper: bytes, monotonic: Callable[[], float]) -> None:
        self._pepper = pepper
        self._proofs: TTLCache[UUID, bytes] = TTLCache(MAX_PROOFS, life_s, timer=monotonic)

    def holds(self, user_id: UUID, stored: str, password: bytes) -> bool:
        proof = self._proofs.get(user_id)
        return proof is not None and hmac.compare_digest(proof, self._proof(stored, password))

    def remember(self, user_id: UUID, stored: str, password: bytes) -> None:
        self._proofs[user_id] = self._proof(stored, password)

    def _proof(self, stored: str, password: bytes) -> bytes:
        return hmac.digest(self._pepper, stored.encode() + b"\0" + password, hashlib.sha256)
