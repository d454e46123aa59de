"""``make ab``: any A against any B, from the words to the stacks that the engine measures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from loadtests.harness.commands.panels import keep_panels
from loadtests.harness.measure import INTERRUPTED, Finish, measure
from loadtests.harness.network import Link, slowed
from loadtests.harness.question import (
    AB,
    GIB,
    Estimate,
    estimate,
    load_question,
    make_plan,
)
from loadtests.harness.records.plan import Plan
from loadtests.harness.rig import Place
from loadtests.harness.room import available_bytes, fitted, refuse_beyond_memory
from loadtests.harness.run import Answered, in_silence
from loadtests.harness.session import only_one, results_folder, run_id
from loadtests.harness.stacks import Making, Stacks, StacksError, open_helper, open_stacks
from loadtests.harness.strategies import load_strategies
from loadtests.harness.testbeds.system import ROOT, System, find_system
from loadtests.harness.testbeds.target_testbed import TargetTestbed
from loadtests.harness.words import ArmWords, Words, arm_texts, asks_for_settings, read_ab, revision_of

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def ab(
    environ: Mapping[str, str],
    command: str,
    console: Console,
    finish: Finish,
    answered: Answered = in_silence,
) -> int:
    """Compare the two arms of the command line; returns the exit code.

    ``answered`` is told when the comparison's answer stands, ``finish`` makes and prints the report. Raises
    ``WordsError``, ``QuestionError``, ``StacksError``, ``NetworkError`` and ``SystemNotUp``.
    """
    with only_one(run_dir_of(environ)):
        return asyncio.run(_ab(environ, command, console, finish, answered))


async def _ab(
    environ: Mapping[str, str], command: str, console: Console, finish: Finish, answered: Answered
) -> int:
    strategies, question, texts = load_strategies(), load_question(AB), arm_texts(environ)

    async def measured(plan: Plan, places: Mapping[str, Place], stacks: Stacks | None) -> int:
        path, interrupted = await measure(
            plan, places, stacks, environ=environ, command=command, console=console, answered=answered
        )
        code = finish(path, console)
        if isinstance(running := places.get(""), System):  # Prometheus knows the running testbed only
            await keep_panels(running, path, environ, console)
        return INTERRUPTED if interrupted else code

    async with AsyncExitStack() as stack:
        helper, known = None, {}
        if any(map(asks_for_settings, texts.values())):
            helper = await stack.enter_async_context(open_helper(environ))
            known = await helper.know({arm: revision_of(text) for arm, text in texts.items()})
        words = read_ab(environ, strategies, known)
        own_stacks, others = needs_stacks(words), targets_of(words)
        run = run_id(question.name, words.profile)
        plan = make_plan(run, question, words, strategies, own_stacks=own_stacks)
        link = common_link(words) or Link()
        plan = plan.model_copy(update={"rtt_ms": link.rtt_ms, "bandwidth_mbit": link.bandwidth_mbit})
        refuse_beyond_memory(plan, available_bytes())
        plan = fitted(plan, run_dir_of(environ), results_folder(environ))
        announce(plan, console)
        if not own_stacks:
            system = find_system(environ)
            refuse_ourselves(system, others)
            slow = await stack.enter_async_context(slowed(system, link))
            return await measured(plan, {"": slow, **others}, None)
        if helper is None:  # arms that differ in their network only
            helper = await stack.enter_async_context(open_helper(environ))
            await helper.know(dict.fromkeys(texts))
        arms = {name: arm for name, arm in words.arms.items() if arm.target is None}
        links = {name: link_of(arm, words.every) for name, arm in arms.items()}
        stacks = await stack.enter_async_context(open_stacks(helper, arms, links, environ))
        tell(stacks.making, console)
        if stacks.same_code:
            console.print("Both revisions hold the same code: this is an A/A.")
        return await measured(plan, {**stacks.systems, **others}, stacks)


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


def needs_stacks(words: Words) -> bool:
    """Whether the arms differ in more than what the client does. Another implementation has its own stack."""
    return any(arm.needs_stack for arm in words.arms.values()) or common_link(words) is None


def common_link(words: Words) -> Link | None:
    """The network of all arms; nothing where they differ in it."""
    links = {link_of(arm, words.every) for arm in words.arms.values()}
    return links.pop() if len(links) == 1 else None


def link_of(words: ArmWords, every: ArmWords | None = None) -> Link:
    """The network of an arm, where it says one, else that of the run."""
    run = every or ArmWords()
    rtt_ms = run.rtt_ms if words.rtt_ms is None else words.rtt_ms
    bandwidth = run.bandwidth_mbit if words.bandwidth_mbit is None else words.bandwidth_mbit
    return Link(rtt_ms or 0.0, bandwidth)


def announce(plan: Plan, console: Console) -> None:
    """What will be done, how long it takes and what it fills, before anything starts."""
    expected = estimate(plan)
    console.print(f"[bold]{plan.asks}[/]")
    for arm in plan.arms:
        console.print(
            f"  {arm.name}: {arm.title} ({arm.strategy}, {arm.file_size_bytes:,} bytes, {arm.vus} VU)"
        )
    console.print(f"Profile {plan.profile}: {in_words(expected)}", highlight=False)


def in_words(expected: Estimate) -> str:
    """The estimate as a sentence."""
    least, most = round(expected.seconds), round(expected.most_seconds)
    longest = "" if most == least else f", at most {most} s if the spread asks for more"
    return f"about {least} s{longest}; up to {expected.bytes / GIB:.1f} GiB of disk at once"


def tell(making: Making, console: Console) -> None:
    """How long the stacks took."""
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in making.took_s.items())
    console.print(f"Stacks ready after {making.seconds:.1f} s ({steps})", highlight=False)
