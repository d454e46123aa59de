"""What a person sees while a run goes on: question, block of how many, the ratio so far, rates, time left.

The numbers are from acknowledged uploads, before any audit: an estimate for waiting people, never a result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text
from scipy import stats

from loadtests.harness.k6.tally import Tally
from loadtests.harness.order import turns_per_block
from loadtests.harness.records.plan import Part, PartKind, Stretch

QUESTIONS = {
    PartKind.WARM_UP: "Warm-up",
    PartKind.COMPARE: "Which is faster?",
    PartKind.LEVELS: "Would more clients help?",
    PartKind.NEIGHBOURS: "And the others?",
    PartKind.RATES: "What if more arrive?",
    PartKind.SIZES: "From which size on?",
    PartKind.KILL: "What is gone after a kill?",
    PartKind.CROWD: "How many slow clients?",
    PartKind.FLEET: "Does the rate rise with the fleet?",
}
WITH_RATIO = frozenset({PartKind.COMPARE})
WIDE = 110  # columns; a narrower terminal shows less


@dataclass(slots=True)
class SoFar:
    """Rates of one part by block and arm, as far as it came."""

    arms: tuple[str, ...]
    _sums: dict[int, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, stretch: Stretch, rates: Sequence[float]) -> None:
        """Rates of all periods of a stretch that has ended."""
        for block, arm, rate in zip(stretch.blocks, stretch.order, rates, strict=True):
            self._sums.setdefault(block, {}).setdefault(arm, []).append(rate)

    @property
    def blocks(self) -> int:
        return len(self._sums)

    @property
    def turns(self) -> int:
        return sum(len(rates) for block in self._sums.values() for rates in block.values())

    def rate_per_s(self, arm: str) -> float | None:
        found = [rate for block in self._sums.values() for rate in block.get(arm, ())]
        return fmean(found) if found else None

    def ratio(self, arm: str) -> tuple[float, float | None]:
        """``arm`` over the first arm, and the half-width as a factor's logarithm; NaN where nothing is known.

        The mean of the blocks' log ratios with a t interval over blocks (95 %).
        """
        base = self.arms[0]
        logs = [
            math.log(fmean(block[arm]) / fmean(block[base]))
            for block in self._sums.values()
            if min([*block.get(arm, [0.0]), *block.get(base, [0.0])]) > 0
        ]
        if not logs:
            return math.nan, None
        if len(logs) < 3:
            return math.exp(fmean(logs)), None
        t = float(stats.t.ppf(0.975, len(logs) - 1))
        return math.exp(fmean(logs)), t * stdev(logs) / math.sqrt(len(logs))


@dataclass(slots=True)
class Now:
    """The part under way."""

    part: Part
    first_stage: bool
    wanted: int  # blocks
    so_far: SoFar
    stretch: Stretch | None = None
    number: int = 0  # of the stretch in the console's lines


class Progress:
    """A live line on a terminal, plain lines elsewhere. Use as a context manager."""

    def __init__(
        self,
        console: Console,
        *,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._console = console
        self._stopping = stopping
        self._clock = clock
        self._now: Now | None = None
        self._phase = "preparing"
        self._tally: Tally | None = None
        self._left_s: Mapping[str, float] = {}
        self._closing_s = 0.0
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._line, transient=True)

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, highlight=False)

    def follow(self, tally: Tally) -> None:
        """Where acknowledged uploads are read."""
        self._tally = tally

    def left(self, seconds: Mapping[str, float], closing_s: float) -> None:
        """Seconds that the parts still to come, this one included, take with their first stage; of each the
        last ``closing_s`` are those after its last turn."""
        self._left_s, self._closing_s = dict(seconds), closing_s

    def phase(self, name: str) -> None:
        """What is done between two stretches."""
        self._phase = name
        if self._now is not None:
            self._now.stretch = None

    def part(self, part: Part, wanted: int, *, first_stage: bool) -> None:
        """So many blocks of a part are to be run; more may follow the first stage."""
        so_far = self._now.so_far if self._now and self._now.part.name == part.name else None
        names = tuple(arm.name for arm in part.arms)
        self._now = Now(part, first_stage, wanted, so_far or SoFar(names))

    def playing(self, stretch: Stretch, number: int) -> None:
        """A stretch begins."""
        if self._now is not None:
            self._now.stretch, self._now.number = stretch, number

    def played(self, stretch: Stretch, rates: Sequence[float]) -> None:
        """A stretch has ended, with the rates of its periods."""
        if self._now is None:
            return
        self._now.stretch = None  # its turns are in the sum from here on
        self._now.so_far.add(stretch, rates)
        if not self._console.is_terminal:
            self.say(self.text(wide=True))

    def text(self, *, wide: bool) -> str:
        """The state in one line."""
        now = self._now
        if now is None:
            return f"{self._phase} …"
        so_far = now.so_far
        of = f"{now.wanted} or more" if now.first_stage else str(now.wanted)
        turn = self._turn()
        pieces = [f"{QUESTIONS[now.part.kind]}"]
        if now.part.kind is not PartKind.WARM_UP:
            pieces.append(f"block {min(so_far.blocks + (now.stretch is not None), now.wanted)} of {of}")
        if now.part.kind in WITH_RATIO and (ratio := self._ratio(so_far, wide=wide)):
            pieces.append(ratio)
        pieces.append(self._rates(so_far, turn, wide=wide) if now.stretch or so_far.blocks else self._phase)
        if self._tally is not None and (failed := self._tally.failures.total()):
            pieces.append(f"{failed} failed")
        pieces.append("stopping" if self._stopping() else f"about {minutes(self._left())} left")
        return "  ".join(piece for piece in pieces if piece)

    def _ratio(self, so_far: SoFar, *, wide: bool) -> str:
        found = []
        for arm in so_far.arms[1:]:
            ratio, half = so_far.ratio(arm)
            if math.isnan(ratio):
                continue
            low, high = ratio * math.exp(-(half or 0.0)), ratio * math.exp(half or 0.0)
            interval = "" if half is None else f" ({low:.2f} to {high:.2f})"
            name = f"{arm}/{so_far.arms[0]} " if wide else ""
            found.append(f"{name}{ratio:.2f}{interval}")
        return ", ".join(found)

    def _rates(self, so_far: SoFar, turn: tuple[str, float] | None, *, wide: bool) -> str:
        names = so_far.arms if wide and len(so_far.arms) <= 3 else ()
        known = [f"{arm} {rate:.0f}/s" for arm in names if (rate := so_far.rate_per_s(arm)) is not None]
        if turn is not None and (not known or not wide):
            known = [f"{turn[0]} {turn[1]:.0f}/s"]
        return ", ".join(known)

    def _turn(self) -> tuple[str, float] | None:
        """Whose turn it is, and its uploads per second since the turn began."""
        now = self._now
        if now is None or now.stretch is None or self._tally is None:
            return None
        at = self._clock()
        index = int((at - now.stretch.t0) // now.stretch.period_s)
        if not 0 <= index < len(now.stretch.order):
            return None
        begin = now.stretch.t0 + index * now.stretch.period_s
        done = sum(ack.ended >= begin for ack in self._tally.read(now.number))
        return now.stretch.order[index], done / max(at - begin, 0.5)

    def _left(self) -> float:
        """Seconds, never none: whoever reads this is still waiting."""
        left, now = dict(self._left_s), self._now
        if now is not None and now.part.name in left:
            share = self._turns_left(now) / (now.part.first_blocks * turns_per_block(now.part))
            left[now.part.name] = max(share * left[now.part.name], self._closing_s)
        return max(1.0, sum(left.values()))

    def _turns_left(self, now: Now) -> float:
        """Turns of the part under way that are still to come."""
        left = float(now.wanted * turns_per_block(now.part) - now.so_far.turns)
        if (stretch := now.stretch) is not None:
            left -= min(max(0.0, (self._clock() - stretch.t0) / stretch.period_s), len(stretch.order))
        return max(0.0, left)

    def _line(self) -> Text:
        text = self.text(wide=self._console.width >= WIDE)
        return Text.assemble(("  ▸ ", "bold cyan"), text, no_wrap=True, overflow="ellipsis")


def minutes(seconds: float) -> str:
    """A duration as people say it."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
