"""What the console lines say so far: acknowledged uploads and downloads that ended well, before any audit.
For calibration and progress."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.harness.k6.console import read_tail
from loadtests.harness.records.plan import Stretch

ENDS = (b'"e":"o"', b'"e":"d"')  # of an upload, of a download


@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledged upload, or one download."""

    arm: int
    began: float
    ended: float


@dataclass(slots=True)
class Tally:
    """Follows the growing console file."""

    path: Path
    failures: Counter[str] = field(default_factory=Counter)  # by what the client saw
    _offset: int = 0
    _acks: dict[int, list[Ack]] = field(default_factory=lambda: defaultdict(list))

    def read(self, number: int) -> list[Ack]:
        """All acknowledged uploads of one stretch until now; those of earlier ones are forgotten."""
        raw, self._offset = read_tail(self.path, self._offset)
        for text in raw:
            if not any(kind in text for kind in ENDS):
                continue
            line = json.loads(text)
            if not line["ok"]:
                self.failures[failure(line.get("step"), line.get("st"), line.get("code"))] += 1
            else:
                self._acks[line["s"]].append(Ack(line["a"], line["t0"] / 1000, line["t3"] / 1000))
        for earlier in [key for key in self._acks if key < number]:
            del self._acks[earlier]
        return self._acks[number]


def failure(step: str | None, status: int | None, code: str | None) -> str:
    """What a client saw fail, in words."""
    answered = f"answered {status}" if status else "not answered"
    return f"{step or 'request'} {answered}" + (f" {code}" if code else "")


def rates_per_s(stretch: Stretch, arms: Sequence[str], acks: Sequence[Ack]) -> list[float]:
    """Uploads per second in the counted part of every period, each by the share of its time in it."""
    bounds = [stretch.counted(at) for at in range(len(stretch.order))]
    sums = [0.0] * len(bounds)
    for ack in acks:
        at = int((ack.began - stretch.t0) // stretch.period_s)
        if not 0 <= at < len(bounds) or stretch.order[at] != arms[ack.arm]:
            continue
        begin, end = bounds[at]
        inside = min(ack.ended, end) - max(ack.began, begin)
        sums[at] += max(0.0, inside) / max(ack.ended - ack.began, 1e-3)
    return [total / (end - begin) for total, (begin, end) in zip(sums, bounds, strict=True)]
