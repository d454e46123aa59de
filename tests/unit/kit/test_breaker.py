"""The circuit breaker: when it opens, who may try, when it closes. The clock is the test's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from services.kit.upstream.breaker import (
    LEAST_REQUESTS,
    TRIALS,
    Breaker,
    CircuitOpen,
    Permit,
    Rules,
    State,
    Unguarded,
    guards,
)
from services.kit.upstream.window import WINDOW_S, Window

pytestmark = pytest.mark.unit
OPEN_S = 30.0


class Bed:
    """A breaker and its clock; ``moves`` are its changes of state."""

    def __init__(self, share: float = 0.6) -> None:
        self.now_s = 1_000.0
        self.breaker = Breaker(Rules(share, OPEN_S), lambda: self.now_s)
        self.moves: list[State] = []
        self.breaker.watch(self.moves.append)

    def run(self, outcomes: str) -> None:
        """One request after the other: ``s`` succeeds, ``f`` fails, ``d`` is dropped."""
        for outcome in outcomes:
            permit = self.breaker.admit()
            {"s": self.breaker.succeeded, "f": self.breaker.failed, "d": self.breaker.dropped}[outcome](
                permit
            )

    def opened(self) -> Bed:
        self.run("f" * LEAST_REQUESTS)
        return self

    def half_open(self) -> Bed:
        self.opened()
        self.breaker.end_open()
        return self


@pytest.mark.parametrize(
    ("share", "outcomes", "opens"),
    [
        (0.6, "f" * 9, False),  # too few to judge
        (0.6, "f" * 10, True),
        (0.6, "ssss" + "f" * 6, True),  # 6 of 10
        (0.6, "sssss" + "f" * 5, False),
        (0.6, "s" * 22 + "f" * 33, True),  # exactly 60 %
        (0.6, "s" * 23 + "f" * 33, False),
        (0.6, "d" * 50 + "f" * 9, False),  # clients that left are no requests
        (0.5, "sssss" + "f" * 5, True),
        (0.5, "ssssss" + "f" * 5, False),
    ],
)
def test_it_opens_at_ten_requests_and_the_share_of_failures(share: float, outcomes: str, opens: bool) -> None:
    bed = Bed(share)
    bed.run(outcomes)
    assert (bed.breaker.state is State.OPEN) == opens
    assert bed.moves == ([State.OPEN] if opens else [])


def test_what_is_older_than_the_window_does_not_count() -> None:
    bed = Bed()
    bed.run("f" * 9)
    bed.now_s += WINDOW_S
    bed.run("f" * 9)
    assert bed.moves == []
    bed.now_s += WINDOW_S - 1
    bed.run("f")
    assert bed.moves == [State.OPEN]


def test_while_open_nobody_passes_and_the_time_left_is_said() -> None:
    bed = Bed().opened()
    for passed_s, left_s in ((0.0, 30), (10.5, 20), (29.5, 1), (29.999, 1)):
        bed.now_s = 1_000.0 + passed_s
        with pytest.raises(CircuitOpen) as refused:
            bed.breaker.admit()
        assert refused.value.retry_after_s == left_s
    bed.now_s = 1_000.0 + OPEN_S
    bed.breaker.admit()
    assert bed.breaker.state is State.HALF_OPEN


def test_five_may_try_at_once_and_five_successes_close_it() -> None:
    bed = Bed().half_open()
    trials = [bed.breaker.admit() for _ in range(TRIALS)]
    with pytest.raises(CircuitOpen) as refused:
        bed.breaker.admit()
    assert refused.value.retry_after_s == 1
    for trial in trials:
        assert bed.breaker.state is State.HALF_OPEN
        bed.breaker.succeeded(trial)
    assert bed.moves == [State.OPEN, State.HALF_OPEN, State.CLOSED]
    bed.run("f" * 9)  # the count begins anew
    assert bed.breaker.state is State.CLOSED


def test_one_failed_trial_opens_it_again_for_the_whole_time() -> None:
    bed = Bed().half_open()
    bed.run("ssss")
    bed.now_s += 20
    bed.run("f")
    with pytest.raises(CircuitOpen) as refused:
        bed.breaker.admit()
    assert refused.value.left_s == OPEN_S


def test_a_client_that_leaves_gives_its_trial_back() -> None:
    bed = Bed().half_open()
    for _ in range(3 * TRIALS):
        bed.run("d")
    bed.run("s" * TRIALS)
    assert bed.breaker.state is State.CLOSED


def test_a_trial_that_hangs_does_not_hold_the_others_back_for_ever() -> None:
    """A slow client decides how long its body takes."""
    bed = Bed().half_open()
    hanging = [bed.breaker.admit() for _ in range(TRIALS)]
    bed.now_s += WINDOW_S
    bed.run("ssss")
    bed.breaker.succeeded(hanging[0])
    assert bed.breaker.state is State.CLOSED


def test_what_began_in_an_earlier_state_says_nothing() -> None:
    bed = Bed()
    old = [bed.breaker.admit() for _ in range(20)]
    bed.half_open()
    for permit in old[:10]:
        bed.breaker.failed(permit)
    for permit in old[10:]:
        bed.breaker.succeeded(permit)
    assert bed.breaker.state is State.HALF_OPEN
    assert bed.moves == [State.OPEN, State.HALF_OPEN]


def test_an_answer_that_breaks_off_in_its_middle_is_a_failure_after_all() -> None:
    bed = Bed()
    for _ in range(10):
        permit = bed.breaker.admit()
        bed.breaker.succeeded(permit)
        assert bed.breaker.state is State.CLOSED
        bed.breaker.broke(permit)
    assert bed.breaker.state is State.OPEN


def test_off_lets_everything_pass() -> None:
    guard = guards(False, Rules(), lambda: 0.0)()
    assert isinstance(guard, Unguarded)
    for _ in range(100):
        guard.failed(guard.admit())
    assert guard.state is State.CLOSED


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=80))
def test_a_window_holds_what_the_last_seconds_held(steps: list[tuple[int, bool]]) -> None:
    now = [0]
    window, seen = Window(lambda: float(now[0])), list[tuple[int, bool]]()
    for passed_s, marked in steps:
        now[0] += passed_s
        window.add(1, int(marked))
        seen.append((now[0], marked))
        recent = [one for at, one in seen if at > now[0] - WINDOW_S]
        assert (window.requests, window.marked) == (len(recent), sum(recent))


class Machine(RuleBasedStateMachine):
    """Any interleaving of requests, ends, time and probes keeps what the breaker promises."""

    permits = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.bed = Bed()
        self.trials: dict[Permit, float] = {}
        self.outcomes: list[tuple[float, bool]] = []
        self.opened_at = 0.0
        self.bed.breaker.watch(self._moved)

    def _moved(self, state: State) -> None:
        self.trials.clear()
        self.outcomes.clear()
        if state is State.OPEN:
            self.opened_at = self.bed.now_s

    @rule(target=permits)
    def ask(self) -> Permit | None:
        breaker, was = self.bed.breaker, self.bed.breaker.state
        try:
            permit = breaker.admit()
        except CircuitOpen as refused:
            assert was is not State.CLOSED
            assert 0 < refused.left_s <= OPEN_S
            return None
        if was is State.OPEN:
            assert self.bed.now_s >= self.opened_at + OPEN_S
        if breaker.state is State.HALF_OPEN:
            self.trials[permit] = self.bed.now_s
        return permit

    @rule(permit=consumes(permits), how=st.sampled_from(["succeeded", "failed", "dropped"]))
    def end(self, permit: Permit | None, how: str) -> None:
        if permit is None:
            return
        breaker, was = self.bed.breaker, self.bed.breaker.state
        current = permit.era == breaker._permit.era
        self.trials.pop(permit, None)
        if current and how != "dropped":
            self.outcomes.append((self.bed.now_s, how == "failed"))
        getattr(breaker, how)(permit)
        if current and was is State.HALF_OPEN and how == "failed":
            assert breaker.state is State.OPEN
        if not current or how == "dropped":
            assert breaker.state is was

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 11.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.bed.now_s += seconds

    @rule()
    def seen_alive(self) -> None:
        was = self.bed.breaker.state
        self.bed.breaker.end_open()
        assert self.bed.breaker.state is (State.HALF_OPEN if was is State.OPEN else was)

    @precondition(lambda self: self.bed.breaker.state is State.CLOSED)
    @invariant()
    def closed_means_not_enough_failed(self) -> None:
        """Judged at the last outcome, by those in its window."""
        if self.outcomes and self.outcomes[-1][1]:
            last = int(self.outcomes[-1][0])
            recent = [failed for at, failed in self.outcomes if int(at) > last - WINDOW_S]
            assert len(recent) < LEAST_REQUESTS or sum(recent) / len(recent) < 0.6

    @invariant()
    def few_try_at_once(self) -> None:
        recent = [began for began in self.trials.values() if began > self.bed.now_s - WINDOW_S]
        assert len(recent) <= TRIALS


TestMachine = Machine.TestCase
