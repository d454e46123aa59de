"""``make govault``: the source's own study on the running testbed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.commands.report import finish
from loadtests.harness.govault.reach import planned, seconds_of
from loadtests.harness.govault.records import Course
from loadtests.harness.govault.run import ASKS, run_study
from loadtests.harness.measure import INTERRUPTED, records_of
from loadtests.harness.plan.planning import GIB
from loadtests.harness.plan.room import kept_bytes, recorded, refuse_unwritable, spooling_setting
from loadtests.harness.question import QuestionError
from loadtests.harness.running.rig import open_rig
from loadtests.harness.running.session import interruptible, only_one, results_folder, run_id
from loadtests.harness.testbeds.system import System, find_system
from loadtests.harness.words import StudyWords, read_study


def govault(environ: Mapping[str, str], command: str, console: Console) -> int:
    """Run the study and write its report; 0, 1 where the audit failed, 130 after Ctrl-C.

    Raises ``WordsError``, ``SystemNotUp`` and what a load raises.
    """
    words = read_study(environ)
    refuse_unwritable(results_folder(environ))
    system = find_system(environ)
    with only_one(system.run_dir):
        path, interrupted = asyncio.run(_govault(system, words, environ, command, console))
    code = finish(path, console)
    return INTERRUPTED if interrupted else code


def course_of(words: StudyWords, run: str, usable_bytes: int) -> Course:
    """What is to be run, before anything starts."""
    return Course(
        run=run,
        words=dict(words.given),
        scale=words.scale,
        time=words.time,
        budget_s=words.budget_s,
        disk_bytes=max(0, min(words.disk_bytes, usable_bytes)),
        ramps=planned(words.scale),
    )


async def _govault(
    system: System, words: StudyWords, environ: Mapping[str, str], command: str, console: Console
) -> tuple[Path, bool]:
    total, _, free = shutil.disk_usage(system.run_dir)
    spooled = bool(spooling_setting(recorded(system.run_dir)))
    course = course_of(words, run_id("govault", "study"), free - kept_bytes(total, spooled=spooled))
    _announce(course, console)

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    with records_of(course.run, environ, console) as writer:
        async with (
            open_rig(course.run, {"": system}, load_strategies()) as rig,
            interruptible(rig, console),
        ):
            with console.status("preparing") as status:
                await run_study(rig, course, writer, command, say=say, show=status.update)
            if not writer.begun and rig.interrupted:
                raise KeyboardInterrupt
            if not writer.begun:
                raise QuestionError("no ramp can be run here; the reasons are above. SCALE= asks for less")
            return writer.path, rig.interrupted


def _announce(course: Course, console: Console) -> None:
    """What will be done and how long it takes."""
    most_s = sum(seconds_of(ramp, course.time) for ramp in course.ramps)
    limit = "" if course.budget_s is None else f", ended after {course.budget_s / 60:.0f} min at the latest"
    levels = ", ".join(str(vus) for vus in dict.fromkeys(ramp.vus for ramp in course.ramps))
    console.print(f"[bold]{ASKS}[/]")
    console.print(
        f"{len(course.ramps)} ramps, to {levels} clients, each method at each (SCALE={course.scale:g},"
        f" TIME={course.time:g}): at most {most_s / 60:.0f} min{limit}; up to {course.disk_bytes / GIB:.1f}"
        " GiB of disk at once",
        highlight=False,
    )
