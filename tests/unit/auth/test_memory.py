"""Failed logins and proofs of passwords."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from services.auth import memory
from services.auth.memory import FailureLimiter, NoProofs, ProofCache
from services.kit.errors import Fault

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class TestFailureLimiter:
    def test_exactly_the_limit_passes_per_minute_and_email(self) -> None:
        limiter = FailureLimiter(20, Clock(1200.0))
        for _ in range(20):
            limiter.check("a@b.c")
            limiter.failed("a@b.c")
        with pytest.raises(Fault) as caught:
            limiter.check("a@b.c")
        assert caught.value.code == "rate_limited"
        limiter.check("other@b.c")

    def test_checks_alone_never_count(self) -> None:
        limiter = FailureLimiter(1, Clock(0.0))
        for _ in range(100):
            limiter.check("a@b.c")
        limiter.failed("a@b.c")

    @pytest.mark.parametrize(("second", "left"), [(0.0, "60"), (0.4, "60"), (59.0, "1"), (59.9, "1")])
    def test_retry_after_is_the_rest_of_the_clock_minute(self, second: float, left: str) -> None:
        limiter = FailureLimiter(1, Clock(600 + second))
        limiter.failed("a@b.c")
        with pytest.raises(Fault) as caught:
            limiter.check("a@b.c")
        assert caught.value.headers["Retry-After"] == left

    def test_a_new_minute_starts_afresh(self) -> None:
        clock = Clock(659.9)
        limiter = FailureLimiter(1, clock)
        limiter.failed("a@b.c")
        clock.at = 660.0
        limiter.check("a@b.c")

    def test_a_failure_beyond_the_limit_is_a_refusal(self) -> None:
        limiter = FailureLimiter(1, Clock(0.0))
        limiter.failed("a@b.c")
        with pytest.raises(Fault, match="rate_limited"):
            limiter.failed("a@b.c")

    def test_memory_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "MAX_EMAILS", 3)
        limiter = FailureLimiter(1, Clock(0.0))
        for name in "abcd":
            limiter.failed(name)
        limiter.check("a")  # the oldest was forgotten
        with pytest.raises(Fault):
            limiter.check("d")


USER = UUID(int=7)


class TestProofCache:
    def make(self, life_s: float = 60.0) -> tuple[ProofCache, Clock]:
        clock = Clock(100.0)
        return ProofCache(life_s, b"pepper", clock), clock

    def test_holds_for_the_verified_password_only(self) -> None:
        proofs, _ = self.make()
        assert not proofs.holds(USER, "$stored", b"right")
        proofs.remember(USER, "$stored", b"right")
        assert proofs.holds(USER, "$stored", b"right")
        assert not proofs.holds(USER, "$stored", b"wrong")
        assert not proofs.holds(uuid4(), "$stored", b"right")

    def test_a_changed_password_misses_at_once(self) -> None:
        proofs, _ = self.make()
        proofs.remember(USER, "$old", b"right")
        assert not proofs.holds(USER, "$new", b"right")

    def test_life_counts_from_the_verification_and_hits_do_not_lengthen_it(self) -> None:
        proofs, clock = self.make()
        proofs.remember(USER, "$stored", b"right")
        clock.at += 59.9
        assert proofs.holds(USER, "$stored", b"right")
        clock.at += 0.1
        assert not proofs.holds(USER, "$stored", b"right")

    def test_the_least_recently_used_leaves_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "MAX_PROOFS", 2)
        proofs, _ = self.make()
        one, two, three = UUID(int=1), UUID(int=2), UUID(int=3)
        proofs.remember(one, "$s", b"p")
        proofs.remember(two, "$s", b"p")
        assert proofs.holds(one, "$s", b"p")
        proofs.remember(three, "$s", b"p")
        assert [proofs.holds(user, "$s", b"p") for user in (one, two, three)] == [True, False, True]

    def test_keeps_no_password(self) -> None:
        proofs, _ = self.make()
        proofs.remember(USER, "$stored", b"right")
        assert b"right" not in repr(proofs._proofs).encode()


def test_no_proofs_never_holds() -> None:
    proofs = NoProofs()
    proofs.remember(USER, "$stored", b"right")
    assert not proofs.holds(USER, "$stored", b"right")
    assert proofs.miss == "off"
