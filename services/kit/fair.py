"""Places that a few users cannot take from the others.

Whoever holds many of a limited number of places may take one more only while he holds fewer than are still
free. So one user gets half of the places, two get a third each if they come together, and however they come,
each of them leaves as many free as he took: a newcomer finds some until there are about as many greedy users
as the limit has binary digits. As places are given back the shares of all who want more become equal, and who
wants less gets all he wants. (Choudhury and Hahne, "Dynamic queue length thresholds", 1998, for the buffers
of a switch.) Nobody is put out of a place, so no work is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

FEW = 8  # that anybody may hold, also when none is free: he then waits for what a place stands for


class FairPlaces:
    """Args:
    places: how many there are; those who hold few may exceed it together.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._held: Counter[Hashable] = Counter()
        self.taken = 0

    def held(self, user: Hashable) -> int:
        return self._held[user]

    def may_take(self, user: Hashable) -> bool:
        held = self._held[user]
        return held < FEW or held < self._places - self.taken

    def take(self, user: Hashable) -> None:
        self._held[user] += 1
        self.taken += 1

    def give_back(self, user: Hashable) -> None:
        self._held[user] -= 1
        self.taken -= 1
        if not self._held[user]:
            del self._held[user]
