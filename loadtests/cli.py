"""``python -m loadtests``: the commands behind ``make stress`` and its neighbours."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

# What a person can mend: shown as a sentence, without a stack.
INVALID = 2


def edge(work: Callable[[Console], int]) -> None:
    """Run a command and end the process with its code; known failures become one clear message."""
    from loadtests import cli_errors

    console = Console()
    try:
        code = work(console)
    except cli_errors.EXPECTED as error:
        console.print(f"[red]{error}[/]", highlight=False)
        code = INVALID
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def command_line() -> str:
    """How this run was asked for, with the overrides that came by the environment."""
    from loadtests.harness.overrides import NAMES

    given = [f"{name}={shlex.quote(os.environ[name])}" for name in NAMES if os.environ.get(name)]
    return " ".join([*given, "python -m loadtests", *(shlex.quote(word) for word in sys.argv[1:])])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure a running vaultbench system."""


@main.command()
@click.option("--experiment", default="exp07", show_default=True, help="File name in loadtests/experiments.")
def stress(experiment: str) -> None:
    """Proxy or direct? Four questions, one verdict.

    Reads PROFILE, SCALE, VUS, FILE_SIZE, STRATEGIES and LOGIN from the environment.
    """
    from loadtests.harness.stress import stress as run

    edge(lambda console: run(experiment, os.environ, command_line(), console))


@main.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False, path_type=Path))
def report(bundle: Path) -> None:
    """Analyse and render a bundle again; needs nothing but the folder."""
    from loadtests.harness.stress import finish

    edge(lambda console: finish(bundle, console, interrupted=False))
