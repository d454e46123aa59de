"""How fast arms are known to upload, so that rows, disk and time are ready for what comes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from loadtests.harness.order import turns_per_block
from loadtests.harness.records.plan import Arm, Part, PartKind

HEADROOM = 1.3  # above rates seen before: rows must not run out
MOST_BYTES_PER_S = 300e6  # that any arm is believed to store before it was seen with files of a size
STRETCH_LIMIT_S = 120.0  # a kill loses at most what was not audited


@dataclass(slots=True)
class Pace:
    """``rates`` are uploads per second of the warm-up, by arm of the question; ``probed_s`` is how long one
    upload took, by strategy and file size."""

    rates: dict[str, float] = field(default_factory=dict)
    probed_s: dict[tuple[str | None, int], float] = field(default_factory=dict)

    def uploads_per_s(self, arm: Arm) -> float:
        """What is known, or at least not too little."""
        if arm.strategy is None:
            return 0.0
        if arm.rate_per_s is not None:
            return arm.rate_per_s
        probed_s = self.probed_s.get((arm.strategy, arm.file_size_bytes))
        if probed_s is not None:
            return arm.vus / max(probed_s, 1e-3)
        most = MOST_BYTES_PER_S / max(1, arm.file_size_bytes)
        return min(self.rates.get(arm.of) or most, most)  # the warm-up may have had smaller files

    def seen(self, rates: Mapping[str, float]) -> None:
        """Faster than believed is believed from now on; slower may have been a bad moment."""
        for arm, rate in rates.items():
            self.rates[arm] = max(rate, self.rates.get(arm, 0.0))

    def bytes_per_s(self, part: Part, names: Collection[str]) -> float:
        """What turns of these arms, one after the other, are expected to write."""
        arms = map(part.arm, names)
        return fmean([self.uploads_per_s(arm) * arm.stored_bytes for arm in arms]) if names else 0.0

    def blocks_at_once(self, part: Part, room_bytes: float) -> int:
        """Blocks of one stretch, which has ``room_bytes`` of disk for what they write."""
        if part.kind in (PartKind.SIZES, PartKind.KILL):  # a block has several stretches
            return 1
        seconds = turns_per_block(part) * part.period_s
        by_disk = room_bytes / max(1.0, self.bytes_per_s(part, [arm.name for arm in part.arms]) * seconds)
        return max(1, int(min(by_disk, STRETCH_LIMIT_S / seconds)))
