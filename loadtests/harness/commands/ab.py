"""``make ab``: any A against any B, by the words of the command line."""

from __future__ import annotations

from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.commands.asking import Asking
from loadtests.harness.question import AB, load_question
from loadtests.harness.words import arm_texts, read_ab


def ab(asking: Asking) -> int:
    """Compare the two arms of the command line; returns the exit code. Raises what ``Asking.ask`` does."""
    environ, strategies = asking.environ, load_strategies()
    return asking.ask(
        load_question(AB), arm_texts(environ), lambda known: read_ab(environ, strategies, known)
    )
