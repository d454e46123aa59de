"""``python -m loadtests``: the commands behind ``make stress`` and its neighbours."""

from __future__ import annotations

import asyncio
import errno
import os
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import aiohttp
import click
from rich.console import Console

from loadtests.cli_errors import EXPECTED
from loadtests.harness.commands.ab import ab as run_ab
from loadtests.harness.commands.alerts import alerts as run_alerts
from loadtests.harness.commands.ask import ask as run_ask
from loadtests.harness.commands.ask import stress as run_stress
from loadtests.harness.commands.asking import Asking
from loadtests.harness.commands.compare import compare as compare_runs
from loadtests.harness.commands.compare import two_runs
from loadtests.harness.commands.demo import demo as run_demo
from loadtests.harness.commands.govault import govault as run_govault
from loadtests.harness.commands.ledger import show_ledger
from loadtests.harness.commands.panels import panels as show_panels
from loadtests.harness.commands.report import finish
from loadtests.harness.commands.report import report as write_again
from loadtests.harness.commands.runs import runs as list_runs
from loadtests.harness.commands.share import share as share_run
from loadtests.harness.commands.smoke import smoke as run_smoke
from loadtests.harness.commands.sweep import sweep as run_sweep
from loadtests.harness.plan.room import FULL, raise_open_files
from loadtests.harness.report.terminal import answers
from loadtests.harness.running.session import find_bundle, results_folder
from loadtests.harness.stacks import remove_leftovers
from loadtests.harness.words import NAMES, read_sweep

INVALID = 2
INTERRUPTED = 130
# By a file system that is mounted read-only, the rights of an account, a file in a folder's place, a name.
REFUSED = (
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
)


class Output(Console):
    """Standard output. Whoever stops reading it, as `head` does, ends no command: the rest goes nowhere, and
    the code is the command's own."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def edge(work: Callable[[Console], int]) -> None:
    """Run a command and end the process with its code; what a person can mend becomes one sentence. A defect
    of ours ends with its trace, and not with 1, which says that the audit failed."""
    console = Output()
    try:
        sys.exit(work(console))
    except EXPECTED as error:
        said = str(error)
    except aiohttp.ClientConnectorError as error:
        said = f"The system does not answer: {error}. What is wrong says: make status"
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001  (the trace is shown)
        if (of_disk := _of_disk(error)) is None:
            traceback.print_exc()
            sys.exit(INVALID)
        said = of_disk
    console.print(said, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(INVALID)


def _of_disk(error: Exception) -> str | None:
    if not isinstance(error, OSError):
        return None
    if error.errno in REFUSED and error.filename:
        ours = Path(error.filename).absolute().is_relative_to(results_folder(os.environ))
        way_out = " Another folder of runs is named with VAULTBENCH_RESULTS=" if ours else ""
        return f"{error.filename} cannot be read or written: {error.strerror}.{way_out}"
    if error.errno not in FULL:
        return None
    place = f" for {error.filename}" if error.filename else ""
    return (
        f"No space is left on the disk{place}. Make room and run it again: what was being written is not"
        " complete."
    )


def command_line() -> str:
    """How this run was asked for, with the words that came by the environment, as a person typed it."""
    given = [f"{name}={shlex.quote(os.environ[name])}" for name in NAMES if os.environ.get(name)]
    if os.environ.get("MAKELEVEL"):  # make itself sets it
        return " ".join(["make", *sys.argv[1:2], *given])
    return " ".join([*given, "python -m loadtests", *(shlex.quote(word) for word in sys.argv[1:])])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure a running vaultbench system."""
    raise_open_files()


@main.command()
def stress() -> None:
    """Proxy or direct? From how much faster to from which size on. Short for ask Q=proxy-or-direct.

    Ends with a table of what each way costs and makes possible; PRICES names a file for the sum in money.
    Reads PROFILE, PRECISION, BUDGET_S, SEED, LOGIN, PRICES, STRATEGIES, FILE_SIZE, VUS, RTT_MS,
    BANDWIDTH_MBIT, KEEP_ALIVE and READS from the environment. Example: PROFILE=smoke python -m loadtests
    stress
    """
    edge(lambda console: _measured(run_stress, console))


@main.command()
def ask() -> None:
    """List the prepared questions, or ask the one that Q names. docs/answers.md has answers.

    The list says what each asks, about how long it takes and whether this machine can. A question reads the
    words of `stress`, and in its place what it says itself. It ends with what is claimed, what was measured,
    and why. Exit codes are those of `ab`.

    Example: Q=hash PROFILE=smoke python -m loadtests ask
    """
    edge(lambda console: _measured(run_ask, console))


@main.command()
def ab() -> None:
    """Compare any A with any B: settings, strategies, sizes, networks, revisions. docs/ab.md has the words.

    Ends with 0; 1 when the audit failed; 2 when the run is invalid or a word is wrong; 3 when not everything
    was measured; 4 when B is shown to have lost more than FAIL_ON_LOSS (a share such as 10%) against A, in
    uploads per second or in CPU per upload; 130 after Ctrl-C. From `make` it is always 2.

    Example: A="FINALISE=inline" B="FINALISE=detached" python -m loadtests ab
    """
    edge(lambda console: _measured(run_ab, console))


def _measured(run: Callable[[Asking], int], console: Console) -> int:
    """A command that loads a system; what a killed one left goes first."""
    remove_leftovers(os.environ)
    return run(Asking(os.environ, command_line(), console, finish, answers(console)))


@main.command()
def govault() -> None:
    """Repeat GoVault's study on the running testbed, and judge its sentences. docs/govault.md says how.

    SCALE (0.005 to 1) is a factor on its numbers of clients, TIME (0.01 to 1) on its durations; by itself
    it takes 20 minutes at most. Reads BUDGET_S and DISK too. Ends with 0; 1 when the audit failed; 2 when
    nothing runs or a word is wrong; 130 after Ctrl-C, with what was measured until then.

    Example: SCALE=0.1 TIME=0.05 python -m loadtests govault
    """
    edge(lambda console: run_govault(os.environ, command_line(), console))


@main.command()
def demo() -> None:
    """Upload one file by each strategy and show every step. Reads RTT_MS and BANDWIDTH_MBIT."""
    edge(lambda console: run_demo(os.environ, console))


@main.command()
def smoke() -> None:
    """Ask every health route; upload and read back one file by each strategy.

    Reads RTT_MS and BANDWIDTH_MBIT from the environment. Example: RTT_MS=40 python -m loadtests smoke
    """
    edge(lambda console: run_smoke(os.environ, console))


@main.command()
def alerts() -> None:
    """Provoke the alerts and see that each fires in time and clears. PROFILE is smoke, ci or full."""
    edge(lambda console: run_alerts(os.environ, console))


@main.command()
@click.argument("run", required=False, envvar="RUN")
@click.option(
    "--prices", envvar="PRICES", help="A file as loadtests/prices/example.yaml: what things cost you."
)
def report(run: str | None, prices: str | None) -> None:
    """Analyse a run again and write its report, by its id or folder; the newest by default.

    Ends with the code of the run: 0; 1 when the audit failed; 2 when the run is invalid, or cannot be read;
    3 when not everything was measured; 4 when FAIL_ON_LOSS was asked for and is exceeded.
    Example: make report RUN=20260731-101500-ab-ci PRICES=loadtests/prices/example.yaml
    """
    edge(lambda console: write_again(find_bundle(run, os.environ), prices, console))


@main.command()
def runs() -> None:
    """List what was measured, newest first: when, on what, what was found, whether it holds.

    Ends with 0. Example: make runs
    """
    edge(lambda console: list_runs(os.environ, console))


@main.command()
@click.argument("runs", required=False, envvar="RUNS")
def compare(runs: str | None) -> None:
    """Show two runs side by side, with everything recorded that they differ in; never a winner.

    Ends with 0; 2 when a run is missing or cannot be read.
    Example: make compare RUNS=20260731-101500-ab-ci,20260801-090000-ab-ci
    """
    edge(lambda console: compare_runs(two_runs(runs, os.environ), console))


@main.command()
@click.argument("run", required=False, envvar="RUN")
def share(run: str | None) -> None:
    """Write one zip of at most 5 MB that can be given away, and print a Markdown block to paste.

    Secrets, host names, e-mail addresses and paths of the machine are replaced; single uploads stay out. The
    newest run by default. Ends with 0; 2 when the run is missing or cannot be read.
    Example: make share RUN=20260731-101500-ab-ci
    """
    edge(lambda console: share_run(find_bundle(run, os.environ), os.environ, console))


@main.command()
@click.argument("run", required=False, envvar="RUN")
def panels(run: str | None) -> None:
    """Draw the dashboards of a run as one page, without Grafana and Prometheus; of the newest by default.

    Example: make panels RUN=20260731-101500-stress-ci
    """
    edge(lambda console: show_panels(find_bundle(run, os.environ), console))


@main.command()
@click.option("--dry-run", is_flag=True, help="Count, and remove nothing.")
@click.option(
    "--older-than-s",
    type=click.IntRange(min=0),
    help="An age below those of the settings. 0 also ends every open upload: only while nobody uploads.",
)
@click.option(
    "--unknown-older-than-s",
    type=click.IntRange(min=0),
    help="What the store has and no row knows stays for 30 s whatever OLDER_THAN_S says: its row may be"
    " on the way. Less than that breaks uploads that begin now: only while nobody uploads.",
)
def sweep(dry_run: bool, older_than_s: int | None, unknown_older_than_s: int | None) -> None:
    """Remove what nothing needs any more, now: what expired uploads, deleted files and faults left.

    Prints a table of what went. Ends with 0; 1 when a service could not do it; 2 when nothing runs or a
    value is wrong. Rows of ended uploads and deleted files keep their time in any case.

    Example: make sweep OLDER_THAN_S=3600 DRY_RUN=1
    """

    def work(console: Console) -> int:
        said = read_sweep(os.environ)
        return run_sweep(
            os.environ,
            console,
            dry_run=dry_run or said.dry_run,
            older_than_s=said.older_than_s if older_than_s is None else older_than_s,
            unknown_older_than_s=(
                said.unknown_older_than_s if unknown_older_than_s is None else unknown_older_than_s
            ),
        )

    edge(work)


@main.command()
@click.argument("run", required=False, envvar="RUN")
def ledger(run: str | None) -> None:
    """Print what became of every upload of a run, audit by audit; of the newest by default.

    Ends with 0; 1 when an audit failed; 2 when something was not audited, or the run cannot be read.
    """
    edge(lambda console: show_ledger(find_bundle(run, os.environ), console))
