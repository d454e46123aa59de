"""From a plan and its stacks to a bundle: what every command that measures does around its run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from loadtests.harness.analyse import blocks_needed
from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.records.plan import Plan
from loadtests.harness.run import Answered, in_silence, run_plan
from loadtests.harness.running.progress import Progress
from loadtests.harness.running.rig import Place, open_rig
from loadtests.harness.running.session import interruptible, results_folder
from loadtests.harness.stacks import Stacks
from loadtests.harness.testbeds.system import System, find_system
from loadtests.harness.testbeds.testbed import SystemNotUp

INTERRUPTED = 130
# Analyses, renders and prints a bundle; the answer is the exit code.
Finish = Callable[[Path, Console], int]


async def measure(
    plan: Plan,
    places: Mapping[str, Place],
    stacks: Stacks | None,
    *,
    environ: Mapping[str, str],
    command: str,
    console: Console,
    answered: Answered = in_silence,
) -> tuple[Path, bool]:
    """Run a plan on places by stack, which are up. Returns the bundle's folder, and whether a person
    interrupted it. A run that ends before any load leaves no folder, and raises ``KeyboardInterrupt`` where
    a person ended it."""

    async def renew(moved: int) -> Mapping[str, Place]:
        if stacks is None:
            return places
        await stacks.renew(moved)
        return {**places, **stacks.systems}

    with records_of(plan.run, environ, console) as writer:
        async with open_rig(
            plan.run, places, load_strategies(), shared=stacks.shared if stacks else None,
            read_all=plan.profile == "full", watching=running(environ) if stacks else None,
            revisions=stacks.revisions if stacks else None,
        ) as rig:  # fmt: skip
            with Progress(console, stopping=rig.stop.is_set) as progress:
                async with interruptible(rig, console):
                    await run_plan(
                        rig, plan, writer, progress, command,
                        blocks_wanted=blocks_needed, answered=answered, renew=renew if stacks else None,
                    )  # fmt: skip
            if not writer.begun:
                raise KeyboardInterrupt
            return writer.path, rig.interrupted


@contextmanager
def records_of(run: str, environ: Mapping[str, str], console: Console) -> Iterator[BundleWriter]:
    """Where a run is recorded; of one that ends before any load nothing is kept."""
    writer = BundleWriter(results_folder(environ) / run)
    console.print(f"Records go to {writer.path}", markup=False, highlight=False, soft_wrap=True)
    try:
        yield writer
    finally:
        if not writer.begun:
            writer.remove()
            console.print("Nothing was measured, so nothing was kept.", style="dim")


def running(environ: Mapping[str, str]) -> System | None:
    """The testbed that is up, if one is."""
    try:
        return find_system(environ, wait_s=0)
    except SystemNotUp:
        return None
