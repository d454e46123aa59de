"""``make ask``: the prepared questions, listed or asked. ``make stress`` is short for one of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.commands.asking import Asking, few_cores
from loadtests.harness.measure import running
from loadtests.harness.plan.places import needs_stacks, stack_bytes
from loadtests.harness.plan.planning import estimate, make_plan
from loadtests.harness.plan.room import available_bytes, refuse_beyond_memory
from loadtests.harness.question import Question, QuestionError, load_question, questions
from loadtests.harness.report.terminal import WIDTH
from loadtests.harness.words import ASK, STRESS, ProfileName, Words, WordsError, as_typed, read_question

LIST = ("Q", "PROFILE")
STRESS_QUESTION = "proxy-or-direct"


def stress(asking: Asking) -> int:
    """``make stress``: proxy or direct?"""
    return _ask(asking, load_question(STRESS_QUESTION), STRESS)


def ask(asking: Asking) -> int:
    """The question that ``Q`` names, or the list of all; returns the exit code.

    Raises what ``Asking.ask`` does, and ``WordsError`` where the list is asked with words.
    """
    if name := asking.environ.get("Q", "").strip():
        return _ask(asking, load_question(name), ASK)
    if idle := [word for word in ASK if word not in LIST and asking.environ.get(word)]:
        raise WordsError(f"{word}: of which question? Q= names one" for word in idle)
    words = read_question(asking.environ, LIST, load_strategies(), {}, texts={}, load={})
    _print([entry(name, words.profile, asking.environ) for name in questions()], asking.console)
    return 0


def _ask(asking: Asking, question: Question, names: Collection[str]) -> int:
    environ, strategies = asking.environ, load_strategies()
    return asking.ask(
        question,
        question.arms,
        lambda known: read_question(
            environ, names, strategies, known, texts=question.arms, load=question.load
        ),
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list: about how long a question takes, and whether this machine can ask it."""

    name: str
    question: str
    seconds: float | None
    here: str


def entry(name: str, profile: ProfileName, environ: Mapping[str, str]) -> Entry:
    """A question as the list shows it; one whose file is wrong says what is wrong."""
    strategies = load_strategies()
    try:
        question = load_question(name)
        words = read_question(
            {"PROFILE": profile},
            LIST,
            strategies,
            as_typed(question.arms),
            texts=question.arms,
            load=question.load,
        )
        plan = make_plan("", question, words, strategies)
    except (QuestionError, WordsError) as error:
        return Entry(name, "", None, f"no: {error}")
    problems = [*_in_containers(environ, words), *few_cores(question)]
    try:
        refuse_beyond_memory(plan, available_bytes(), stack_bytes(words))
    except QuestionError as error:
        problems.append(str(error))
    here = f"no: {'; '.join(problems)}" if problems else _ready(environ, words)
    return Entry(name, question.question, estimate(plan).most_seconds, here)


def _ready(environ: Mapping[str, str], words: Words) -> str:
    """Arms that differ in the client only need a testbed that runs; others bring their own."""
    return "yes" if needs_stacks(words) or running(environ) else "yes, after make up"


def _in_containers(environ: Mapping[str, str], words: Words) -> list[str]:
    if environ.get("BENCH_PROJECT") and needs_stacks(words):
        return ["its arms need processes of their own, which are not started beside containers"]
    return []


def _print(entries: Sequence[Entry], console: Console) -> None:
    shown = Table(box=None, pad_edge=False, header_style="dim", width=min(WIDTH, console.width))
    shown.add_column("Q=", no_wrap=True)
    shown.add_column("asks", overflow="fold")
    shown.add_column("minutes", justify="right", no_wrap=True)
    shown.add_column("here", overflow="fold")
    for one in entries:
        minutes = "" if one.seconds is None else f"{max(1, math.ceil(one.seconds / 60))}"
        shown.add_row(one.name, one.question, minutes, one.here)
    console.print(shown)
    console.print("\nAsk one: make ask Q=hash. What others found: docs/answers.md", highlight=False)
