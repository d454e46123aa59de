"""How many places users get who take all they can."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.fair import FEW, FairPlaces

pytestmark = pytest.mark.unit


def take_all(places: FairPlaces, user: str) -> int:
    """How many this user holds once he may take no more."""
    while places.may_take(user):
        places.take(user)
    return places.held(user)


def test_each_greedy_user_leaves_as_many_as_he_takes() -> None:
    places = FairPlaces(256)
    assert [take_all(places, user) for user in "abcde"] == [128, 64, 32, 16, 8]
    assert places.taken == 248
    assert take_all(places, "a") == 128


def test_users_who_come_together_get_the_same() -> None:
    places = FairPlaces(300)
    while wanting := [user for user in "abcd" if places.may_take(user)]:
        for user in wanting:
            places.take(user)
    assert [places.held(user) for user in "abcd"] == [60] * 4  # a fifth stays free


def test_shares_become_equal_as_places_are_given_back() -> None:
    rng, places = random.Random(3), FairPlaces(300)
    assert (take_all(places, "a"), take_all(places, "b")) == (150, 75)
    for _ in range(2_000):
        ends = rng.choices("ab", [places.held("a"), places.held("b")])[0]
        places.give_back(ends)
        for user in rng.sample("ab", 2):
            if places.may_take(user):
                places.take(user)
    assert {places.held("a"), places.held("b")} <= set(range(96, 105))


def test_who_wants_less_than_a_share_gets_all_of_it() -> None:
    places = FairPlaces(256)
    for user in "abcd":
        take_all(places, user)
    for _ in range(10):
        for _ in range(5):
            assert places.may_take("modest")
            places.take("modest")
        for _ in range(5):
            places.give_back("modest")


def test_a_few_are_never_refused() -> None:
    places = FairPlaces(1)
    assert [take_all(places, user) for user in "ab"] == [FEW, FEW]


@given(st.integers(1, 200), st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=300))
def test_whatever_happens_the_counts_are_true(limit: int, steps: list[tuple[str, bool]]) -> None:
    places, held = FairPlaces(limit), dict.fromkeys("abc", 0)
    for user, takes in steps:
        if takes and places.may_take(user):
            assert held[user] < FEW or held[user] < limit - sum(held.values())
            places.take(user)
            held[user] += 1
        elif not takes and held[user]:
            places.give_back(user)
            held[user] -= 1
    assert {user: places.held(user) for user in "abc"} == held
    assert places.taken == sum(held.values())
