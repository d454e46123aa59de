"""What a person sees while a run goes on: question, trial, phase, live rate, time left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from loadtests.harness.records.model import Question, Trial, TrialPlan
from loadtests.harness.running.console import read_tail

QUESTIONS = {
    Question.RAMP: "Until when?",
    Question.CAPACITY: "How much?",
    Question.SATURATION: "How much? (proof)",
    Question.SINGLE: "How much? (one PUT)",
    Question.LARGE: "Several chunks",
    Question.NEIGHBOURS: "And the others?",
    Question.RAW: "The store alone",
    Question.JOURNEY: "Journey",
    Question.BENCH: "Benchmark",
}
RATE_OVER_S = 3.0


@dataclass(slots=True)
class Tally:
    """Uploads seen in a growing console file."""

    path: Path | None = None
    offset: int = 0
    done: list[float] = field(default_factory=list)
    errors: int = 0

    def follow(self, path: Path) -> None:
        self.path, self.offset, self.done, self.errors = path, 0, [], 0

    def rate(self, now: float) -> float:
        """Successful uploads (or raw PUTs) per second over the last seconds."""
        if self.path is None:
            return 0.0
        lines, self.offset = read_tail(self.path, self.offset)
        for line in lines:
            if line["e"] in ("o", "r") and line.get("step") not in ("login", "list"):
                self.errors += not line["ok"]
                if line["ok"]:
                    self.done.append(now)
        self.done = [at for at in self.done if now - at <= RATE_OVER_S]
        return len(self.done) / RATE_OVER_S


class Progress:
    """A live line on a terminal, plain lines elsewhere. Use as a context manager."""

    def __init__(self, console: Console, *, estimated_s: float) -> None:
        self._console = console
        self._started = time.monotonic()
        self._estimated_s = estimated_s
        self._total = 0
        self._number = 0
        self._plan: TrialPlan | None = None
        self._phase = "preparing"
        self._phase_end: float | None = None
        self._tally = Tally()
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

    def planned(self, total: int, estimated_s: float) -> None:
        self._total, self._estimated_s = total, estimated_s

    def trial(self, plan: TrialPlan) -> None:
        self._number += 1
        self._plan = plan
        self._tally = Tally()

    def finished(self, trial: Trial) -> None:
        """One plain line for a finished trial."""
        plan = trial.plan
        sign = {"valid": "[green]ok[/]", "invalid": "[red]invalid[/]"}.get(
            trial.validity, "[yellow]caution[/]"
        )
        if trial.interrupted:
            sign = "[yellow]interrupted[/]"
        known = plan.arm != "none" and not trial.interrupted
        rate = f"{trial.goodput_per_s:6.1f}/s" if known else " " * 8
        self.say(
            f"[dim]{self._number:3d}/{self._total}[/] {QUESTIONS[plan.question]:19} "
            f"{plan.arm:16} {plan.level:>14} {rate}  {sign}"
        )

    def phase(self, name: str, length_s: float | None = None) -> None:
        self._phase = name
        self._phase_end = time.monotonic() + length_s if length_s else None

    def load(self, console: Path) -> None:
        self._tally.follow(console)

    def left_s(self) -> float:
        return max(0.0, self._estimated_s - (time.monotonic() - self._started))

    def _line(self) -> Text:
        if self._plan is None:
            return Text(f"  {self._phase} …")
        now = time.monotonic()
        phase = self._phase + (f" {max(0.0, self._phase_end - now):.0f} s" if self._phase_end else "")
        rate, errors = self._tally.rate(now), self._tally.errors
        return Text.assemble(
            ("  ▸ ", "bold cyan"), (QUESTIONS[self._plan.question], "bold"),
            f"  trial {self._number} of {self._total}  {self._plan.arm} at {self._plan.level}  {phase}",
            f"  {rate:.0f} uploads/s  ", (f"{errors} errors", "red" if errors else "dim"),
            f"  about {minutes(self.left_s())} left",
        )  # fmt: skip


def minutes(seconds: float) -> str:
    """A duration as people say it."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
