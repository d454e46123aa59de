"""``make stress``: the prepared question, proxy or direct, from its file to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from rich.console import Console

from loadtests.harness.commands.ab import announce, link_of
from loadtests.harness.commands.panels import keep_panels
from loadtests.harness.measure import INTERRUPTED, Finish, measure
from loadtests.harness.network import slowed
from loadtests.harness.question import load_question, make_plan
from loadtests.harness.records.plan import Plan
from loadtests.harness.room import available_bytes, fitted, refuse_beyond_memory
from loadtests.harness.run import Answered, in_silence
from loadtests.harness.session import only_one, results_folder, run_id
from loadtests.harness.strategies import load_strategies
from loadtests.harness.testbeds.system import find_system
from loadtests.harness.words import Words, read_stress

QUESTION = "proxy-or-direct"


def stress(
    environ: Mapping[str, str],
    command: str,
    console: Console,
    finish: Finish,
    answered: Answered = in_silence,
) -> int:
    """Ask the question of the running testbed; returns the exit code.

    ``answered`` is told when a part's answer stands, ``finish`` makes and prints the report.
    """
    strategies, question = load_strategies(), load_question(QUESTION)
    words = read_stress(environ, strategies)
    plan = make_plan(run_id(question.name, words.profile), question, words, strategies)
    refuse_beyond_memory(plan, available_bytes())
    system = find_system(environ)
    plan = fitted(plan, system.run_dir, results_folder(environ))
    announce(plan, console)

    async def run(plan: Plan, words: Words) -> int:
        async with slowed(system, link_of(words.every)) as slow:
            path, interrupted = await measure(
                plan, {"": slow}, None, environ=environ, command=command, console=console, answered=answered
            )
        code = finish(path, console)
        await keep_panels(system, path, environ, console)
        return INTERRUPTED if interrupted else code

    with only_one(system.run_dir):
        return asyncio.run(run(plan, words))
