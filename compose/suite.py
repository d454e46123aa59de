"""The checks and tests of this project, each shown as the command that it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from compose.settings import ROOT

CODE = ("compose", "gateway", "services", "loadtests", "grafana", "docs", "tests")
# Many tests wait more than they compute. More processes would start still more testbeds on the same cores.
TWO_AT_A_TIME = ("-n", "2", "--no-loadscope-reorder")
TESTS_FAILED = 1  # pytest's exit code when tests ran and some failed; others mean that it could not run
ALONE = ("--last-failed", "--last-failed-no-failures=none", "--maxfail=1")


def check() -> int:
    """All checks even when the first fails; 1 when any did."""
    packages = [name for name in CODE if any((ROOT / name).rglob("*.py"))]
    codes = [
        shown("ruff", "check", "."),
        shown("ruff", "format", "--check", "."),
        shown("mypy", "--strict", *packages),
    ]
    return int(any(codes))


def test(*arguments: str, root: Path = ROOT) -> int:
    """Pytest's exit code. What failed beside other tests has to pass alone, with testbeds of its own.

    As Python's own suite does it (``python -m test --rerun``): loads and time limits of two tests meet on
    the same cores. Nothing is hidden: the first failure stands in the output and the last line tells of it.
    """
    code = shown("pytest", *TWO_AT_A_TIME, *arguments, root=root)
    if code != TESTS_FAILED:
        return code
    click.secho("\nOnce more, alone: what failed beside other tests.", bold=True)
    if (code := shown("pytest", *ALONE, *arguments, root=root)) == 0:
        click.secho(
            "\nPassed alone, failed beside others: the tests above. Their first failures stand further up.",
            fg="yellow",
        )
    return code


def shown(module: str, *arguments: str, root: Path = ROOT) -> int:
    """Exit code of ``python -m module arguments``, run in the checkout and echoed as a command."""
    click.secho(f"$ {module} {' '.join(arguments)}", bold=True)
    with subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=root) as running:
        try:
            return running.wait()
        except KeyboardInterrupt:
            running.wait()  # Ctrl-C reached it, too: it takes away what it started
            sys.exit(130)
