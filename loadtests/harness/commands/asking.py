"""What every question shares, prepared or typed: from words to stacks, the run, and its report."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.commands.panels import keep_panels
from loadtests.harness.measure import INTERRUPTED, Finish, measure
from loadtests.harness.plan.places import common_link, link_of, needs_stacks, stack_bytes, stacks_of
from loadtests.harness.plan.planning import GIB, Estimate, estimate, make_plan
from loadtests.harness.plan.room import available_bytes, fitted, refuse_beyond_memory, refuse_unwritable
from loadtests.harness.question import Question, QuestionError
from loadtests.harness.records.plan import Plan
from loadtests.harness.run import Answered
from loadtests.harness.running.rig import Place
from loadtests.harness.running.session import only_one, results_folder, run_id
from loadtests.harness.stacks import Making, Stacks, StacksError, open_helper, open_stacks
from loadtests.harness.testbeds.network import Link, slowed
from loadtests.harness.testbeds.system import ROOT, System, find_system_async
from loadtests.harness.testbeds.target_testbed import TargetTestbed
from loadtests.harness.words import Known, Words, asks_for_settings, revision_of

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Reads a command's words, with the settings that somebody may choose by arm.
Read = Callable[[Mapping[str, Known]], Words]


@dataclass(frozen=True, slots=True)
class Asking:
    """How a command was called, and what it does with what it finds. ``answered`` is told when a part's
    answer stands, ``finish`` makes and prints the report."""

    environ: Mapping[str, str]
    command: str
    console: Console
    finish: Finish
    answered: Answered

    def ask(self, question: Question, texts: Mapping[str, str], read: Read) -> int:
        """Ask a question whose arms are ``texts``; returns the exit code.

        Raises ``WordsError``, ``QuestionError``, ``StacksError``, ``NetworkError`` and ``SystemNotUp``.
        """
        if problems := few_cores(question):
            raise QuestionError("; ".join(problems))
        refuse_unwritable(results_folder(self.environ))
        with only_one(run_dir_of(self.environ)):
            return asyncio.run(self._ask(question, texts, read))

    async def _ask(self, question: Question, texts: Mapping[str, str], read: Read) -> int:
        strategies, console, environ = load_strategies(), self.console, self.environ
        async with AsyncExitStack() as stack:
            helper, known = None, {}
            if any(map(asks_for_settings, texts.values())):
                helper = await stack.enter_async_context(open_helper(environ))
                known = await helper.know({arm: revision_of(text) for arm, text in texts.items()})
            words = read(known)
            others = targets_of(words)
            plan = make_plan(run_id(question.name, words.profile), question, words, strategies)
            refuse_beyond_memory(plan, available_bytes(), stack_bytes(words))
            system = None if needs_stacks(words) else await find_system_async(environ)
            plan = fitted(plan, run_dir_of(environ), results_folder(environ), environ)
            announce(plan, console)
            if system is not None:
                refuse_ourselves(system, others)
                slow = await stack.enter_async_context(slowed(system, common_link(words) or Link()))
                return await self._measured(plan, {"": slow, **others}, None)
            if helper is None:  # arms that differ in their network only
                helper = await stack.enter_async_context(open_helper(environ))
                await helper.know(dict.fromkeys(texts))
            places = stacks_of(words)
            arms = {name: arm for name, arm in words.arms.items() if places[name] == name and not arm.target}
            links = {name: link_of(arm, words.every) for name, arm in arms.items()}
            stacks = await stack.enter_async_context(open_stacks(helper, arms, links, environ))
            tell(stacks.making, console)
            if stacks.same_code:
                console.print("Both revisions hold the same code: this is an A/A.")
            return await self._measured(plan, {**stacks.systems, **others}, stacks)

    async def _measured(self, plan: Plan, places: Mapping[str, Place], stacks: Stacks | None) -> int:
        path, interrupted = await measure(
            plan, places, stacks,
            environ=self.environ, command=self.command, console=self.console, answered=self.answered,
        )  # fmt: skip
        code = self.finish(path, self.console)
        if isinstance(running := places.get(""), System):  # Prometheus knows the running testbed only
            await keep_panels(running, path, self.environ, self.console)
        return INTERRUPTED if interrupted else code


def run_dir_of(environ: Mapping[str, str]) -> Path:
    """The state folder of the testbed, whether one runs or not; made where it is missing."""
    folder = Path(environ.get("VAULTBENCH_RUN_DIR") or ROOT / ".run")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def targets_of(words: Words) -> dict[str, TargetTestbed]:
    """The arms that are another implementation."""
    return {name: TargetTestbed(arm.target, arm.pids) for name, arm in words.arms.items() if arm.target}


def refuse_ourselves(system: System, targets: Mapping[str, TargetTestbed]) -> None:
    """Raises ``StacksError`` where another implementation is the running testbed itself."""
    ours = urlsplit(system.gateway_url)
    for name, target in targets.items():
        theirs = urlsplit(target.url)
        if (theirs.hostname in LOOPBACK or theirs.hostname == ours.hostname) and theirs.port == ours.port:
            raise StacksError(f"{name}: {target.url} is the running testbed itself; A/A is `make ab` alone")


def announce(plan: Plan, console: Console) -> None:
    """What will be done, how long it takes and what it fills, before anything starts."""
    expected = estimate(plan)
    console.print(f"[bold]{plan.asks}[/]")
    for arm in plan.arms:
        how = "download" if arm.download else arm.strategy
        console.print(f"  {arm.name}: {arm.title} ({how}, {arm.file_size_bytes:,} bytes, {arm.vus} VU)")
    console.print(f"Profile {plan.profile}: {in_words(expected)}", highlight=False)


def in_words(expected: Estimate) -> str:
    """The estimate as a sentence."""
    least, most = round(expected.seconds), round(expected.most_seconds)
    longest = "" if most == least else f", about {most} s if the spread asks for more"
    return f"about {least} s{longest}; up to {expected.bytes / GIB:.1f} GiB of disk at once"


def tell(making: Making, console: Console) -> None:
    """How long the stacks took."""
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in making.took_s.items())
    console.print(f"Stacks ready after {making.seconds:.1f} s ({steps})", highlight=False)


def few_cores(question: Question) -> list[str]:
    """A sentence where this machine has fewer processors than the question needs."""
    here = len(os.sched_getaffinity(0))
    return (
        [] if here >= question.cores else [f"{question.name} needs {question.cores} cores, here are {here}"]
    )
