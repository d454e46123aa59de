"""``make alerts``: provoke the alerts one after the other and see that each does what it promises."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table

from loadtests.harness.alerting.own_prometheus import Watchtower, watching
from loadtests.harness.alerting.provocations import (
    Profile,
    Provocation,
    Rules,
    check,
    load_provocations,
    load_rules,
)
from loadtests.harness.alerting.provoke import PROVOCATIONS, healthy_load
from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.plan.room import refuse_unwritable
from loadtests.harness.running.rig import Rig, open_rig
from loadtests.harness.running.session import interruptible, only_one, results_folder, run_id
from loadtests.harness.testbeds.system import ROOT, System, find_system

RULES = ROOT / "grafana" / "rules"
WINDOW_S = 60.0  # of the rates and percentiles that rules look at
POLL_S = 0.5
# So long may a condition need to come true; what counts is the time from then on. A process that shares its
# cores with others reaches its share of one later, or only while they rest.
PATIENCE_S = 240.0
Look = Callable[[], Awaitable[bool]]


@dataclass(slots=True)
class Verdict:
    """What one alert did. Times are seconds after its provocation began, or (cleared) ended."""

    alert: str
    provocation: Provocation
    for_s: float
    silent_in_control: bool = True
    silent_before: bool = True
    seen_s: float | None = None  # its condition held for the first time
    fired_s: float | None = None
    cleared_s: float | None = None
    labels: dict[str, str] = field(default_factory=dict)
    # Where it did not fire: how far its condition got. Others on the machine may leave it too little CPU.
    highest: float | None = None
    limit: float | None = None

    def fired_in_time(self, scrape_s: float) -> bool:
        """Within its own waiting time and two scrapes, counted from when its condition held."""
        if self.fired_s is None or self.seen_s is None:
            return False
        return self.fired_s - self.seen_s <= self.for_s + 2 * scrape_s

    @property
    def unprovoked(self) -> bool:
        """Its condition never came true, so nothing was learnt about the rule."""
        return self.highest is not None and self.limit is not None and self.highest <= self.limit

    def holds(self, scrape_s: float) -> bool:
        silent = self.silent_in_control and self.silent_before
        return silent and self.fired_in_time(scrape_s) and self.cleared_s is not None


def alerts(environ: Mapping[str, str], console: Console) -> int:
    """0 if every provoked alert was silent before, fired in time and cleared."""
    profile_name = environ.get("PROFILE") or "smoke"
    profile = load_provocations(profile_name)
    refuse_unwritable(results_folder(environ))
    system = find_system(environ)
    run = run_id("alerts", profile_name)
    with only_one(system.run_dir):
        verdicts, scrape_s = asyncio.run(_run(run, system, profile, console))
    folder = results_folder(environ) / run
    folder.mkdir(parents=True)
    _write(folder / "alerts.json", verdicts, scrape_s)
    show(verdicts, scrape_s, console)
    console.print(f"written to {folder / 'alerts.json'}", highlight=False, soft_wrap=True)
    complete = len(verdicts) == len(profile.provoked)
    return 0 if complete and all(one.holds(scrape_s) for one in verdicts) else 1


async def _run(run: str, system: System, profile: Profile, console: Console) -> tuple[list[Verdict], float]:
    rules = load_rules(RULES / "alerts.yml", profile.divide_for_by)
    check(profile, rules)
    verdicts = [Verdict(name, how, rules.for_s[name]) for name, how in profile.provoked.items()]
    async with open_rig(run, {"": system}, load_strategies()) as rig, interruptible(rig, console):
        await rig.hold.create_identities(run, 1)
        async with watching(rig, RULES / "recording.yml", rules.text) as tower, healthy_load(rig):
            trying = Trying(rig, tower, rules, console)
            await trying.control(verdicts, profile.control_s)
            done: list[Verdict] = []
            for how, group in groupby(verdicts, key=lambda one: one.provocation):
                if rig.stop.is_set():
                    break
                done += await trying.provoke(how, list(group))
        await rig.hold.cleaner.clean()
    return done, tower.scrape_s


@dataclass(slots=True)
class Trying:
    """One run of provocations under the eyes of a Prometheus."""

    rig: Rig
    tower: Watchtower
    rules: Rules
    console: Console

    async def control(self, verdicts: Sequence[Verdict], control_s: float) -> None:
        """Everything is well: nobody may fire."""
        self._say(f"control: a healthy system for {control_s:.0f} s")
        end = time.monotonic() + control_s
        while time.monotonic() < end and not self.rig.stop.is_set():
            fired = {one.name for one in await self.tower.alerts() if one.firing}
            for verdict in verdicts:
                verdict.silent_in_control &= verdict.alert not in fired
            await asyncio.sleep(POLL_S)

    async def provoke(self, how: Provocation, verdicts: list[Verdict]) -> list[Verdict]:
        """Until all of them fire, or should have; then until all of them are silent again."""
        names = ", ".join(one.alert for one in verdicts)
        self._say(f"{how}: provoking {names}")
        # What an earlier provocation did to them is in their rates for a while.
        await self._until(lambda: self._silent(verdicts), time.monotonic() + self._aftermath_s)
        before = {one.name for one in await self.tower.alerts() if one.firing}
        for verdict in verdicts:
            verdict.silent_before = verdict.alert not in before
        slowest_s = PATIENCE_S + WINDOW_S + max(one.for_s for one in verdicts) + 4 * self.tower.scrape_s
        async with PROVOCATIONS[how](self.rig):
            began, began_at = time.monotonic(), time.time()
            await self._until(lambda: self._look(verdicts, began, began_at), began + slowest_s)
            await self._explain(verdicts, time.monotonic() - began)
        ended = time.monotonic()
        self._say(f"{how}: over; waiting until they clear")
        await self._until(lambda: self._cleared(verdicts, ended), ended + self._aftermath_s)
        return verdicts

    @property
    def _aftermath_s(self) -> float:
        """So long after a provocation its alerts may go on firing."""
        return 2 * WINDOW_S + 4 * self.tower.scrape_s

    async def _silent(self, verdicts: Sequence[Verdict]) -> bool:
        active = {one.name for one in await self.tower.alerts()}
        return all(one.alert not in active for one in verdicts)

    async def _until(self, look: Look, end: float) -> None:
        while time.monotonic() < end and not self.rig.stop.is_set():
            if await look():
                return
            await asyncio.sleep(POLL_S)

    async def _look(self, verdicts: Sequence[Verdict], began: float, began_at: float) -> bool:
        """``began_at`` is the time of day, which Prometheus goes by."""
        active = await self.tower.alerts()
        for verdict in verdicts:
            for one in active:
                if one.name == verdict.alert and one.firing and verdict.fired_s is None:
                    verdict.fired_s = time.monotonic() - began
                    verdict.seen_s = max(0.0, one.active_at - began_at)
                    verdict.labels = dict(one.labels)
                    self._say(f"  {one.name} fires after {verdict.fired_s:.1f} s")
        return all(one.fired_s is not None for one in verdicts)

    async def _explain(self, verdicts: Sequence[Verdict], lasted_s: float) -> None:
        """How near those came that did not fire."""
        for verdict in verdicts:
            threshold = self.rules.threshold(verdict.alert)
            if verdict.fired_s is None and threshold is not None:
                expr, verdict.limit = threshold
                verdict.highest = await self.tower.highest(expr, lasted_s)
                self._say(f"  {verdict.alert} is silent: {distance(verdict)}")

    async def _cleared(self, verdicts: Sequence[Verdict], ended: float) -> bool:
        firing = {one.name for one in await self.tower.alerts() if one.firing}
        for verdict in verdicts:
            if verdict.fired_s is not None and verdict.cleared_s is None and verdict.alert not in firing:
                verdict.cleared_s = time.monotonic() - ended
        return all(one.alert not in firing for one in verdicts)

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False)


def _write(path: Path, verdicts: Sequence[Verdict], scrape_s: float) -> None:
    rows = [{**asdict(one), "holds": one.holds(scrape_s)} for one in verdicts]
    path.write_text(json.dumps({"scrape_s": scrape_s, "alerts": rows}, indent=1), encoding="utf-8")


def show(verdicts: Sequence[Verdict], scrape_s: float, console: Console) -> None:
    """One line per alert."""
    table = Table(box=None, header_style="bold")
    for name in ("alert", "silent", "true", "fired", "limit", "cleared", ""):
        table.add_column(name, justify="left" if name in {"alert", ""} else "right")
    for one in verdicts:
        limit_s = (one.seen_s or 0.0) + one.for_s + 2 * scrape_s
        table.add_row(
            one.alert,
            "yes" if one.silent_in_control and one.silent_before else "no",
            *(_seconds(value) for value in (one.seen_s, one.fired_s)),
            _seconds(limit_s if one.seen_s is not None else None),
            _seconds(one.cleared_s),
            _word(one, scrape_s),
        )
    console.print(table)
    console.print("Seconds after the provocation began, or (cleared) ended.", highlight=False)


def _word(one: Verdict, scrape_s: float) -> str:
    if one.holds(scrape_s):
        return "[green]holds[/]"
    return "[yellow]not provoked[/]" if one.unprovoked else "[red]fails[/]"


def distance(verdict: Verdict) -> str:
    """How far a condition got, for whoever asks why an alert was silent."""
    if verdict.highest is None:
        return "what it compares has no value"
    reached = f"{verdict.highest:.3g} was reached, it is due above {verdict.limit:.3g}"
    if not verdict.unprovoked:
        return reached
    return f"{reached}; the provocation is too weak for this machine, or others use it too"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
