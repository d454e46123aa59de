"""The commands behind `make`: each is a few lines that call one module and turn trouble into a sentence."""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import ParamSpec

import click

from compose import (
    asking,
    behind,
    changes,
    control,
    credentials,
    doctor,
    envfile,
    life,
    logs,
    postgres,
    prom,
    ready,
    room,
    run_folder,
    stack,
    store,
    suite,
    view,
)
from compose import clean as cleaning
from compose import roll as rolling
from compose import settings as settings_module
from compose import up as starting
from compose.installer.cache import ToolError
from compose.installer.programs import Installer
from compose.top import command as top
from compose.top.processes import NativeProcesses
from compose.trace.command import COLUMNS, source_of, trace
from compose.trace.follow import TraceError

Parameters = ParamSpec("Parameters")
# What must hold on whatever store: the rest of the suite knows none, or measures this one.
ON_EVERY_STORE = ("tests/contract", "tests/integration", "tests/adversity")
# What some tests need, and no testbed by itself; a build inside a test would meet the test's time limit.
OF_TESTS = ("toxiproxy", *store.STORES)
LONG_CHAOS = "500"
TROUBLE = (
    asking.AskingError,
    stack.StackError,
    life.LifeError,
    ToolError,
    envfile.EnvError,
    credentials.CredentialsLost,
    cleaning.NotOurs,
    run_folder.ForeignFolder,
    postgres.PostgresError,
    control.ControlError,
    room.RoomError,
    TraceError,
    OSError,
)


def explained(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Process edge: trouble we know becomes its text in red and exit code 1, never a traceback."""

    @functools.wraps(command)
    def inner(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except TROUBLE as exc:
            if isinstance(exc, BrokenPipeError) and view.unread():  # by click.echo
                view.to_nobody()
                return
            told = "\n".join([_said(exc), *getattr(exc, "__notes__", [])])
            view.console(stderr=True).print(f"\n{told}", style="red", markup=False, highlight=False)
            sys.exit(1)
        except KeyboardInterrupt:
            click.echo(
                "\ninterrupted; what was started goes on (make status), the same command continues", err=True
            )
            sys.exit(130)

    return inner


def _said(trouble: Exception) -> str:
    if isinstance(trouble, OSError) and trouble.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" for {trouble.filename}" if trouble.filename else ""
        return f"No space is left on the disk{where}. Make room and run the same command again: it continues."
    if isinstance(trouble, OSError) and trouble.filename:
        return f"{trouble.filename}: {trouble.strerror}"
    return str(trouble)


def _settings() -> settings_module.Settings:
    return settings_module.read(os.environ)


def _running() -> settings_module.Settings:
    """The same, with the ports of the testbed that was started, whatever is said now."""
    return settings_module.in_effect(_settings())


def _needed(now: settings_module.Settings) -> tuple[str, ...]:
    """Programs without which the testbed does not start."""
    return (*starting.FIRST, store.chosen(now.env), starting.BEHIND)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Starts and stops the testbed. Example: python -m compose up"""


@main.command()
@explained
def up() -> None:
    """Installs what is missing, starts everything and waits until it is ready.

    Example: GATEWAY_PORT=9500 python -m compose up
    """
    now = asking.to_start(os.environ)
    try:
        starting.up(now, view.console())
    except TROUBLE as exc:
        exc.add_note("\nNo idea? `make doctor REPORT=1` writes one file that can be attached to a report.")
        raise


@main.command()
@explained
def down() -> None:
    """Stops everything; data stays. Example: python -m compose down"""
    run_dir = _settings().run_dir
    built = behind.end(run_dir)
    if life.stop(run_dir):
        click.echo("stopped; data is kept")
    elif not built:
        click.echo("nothing was running")
    if built:
        click.echo(f"{built} is no longer being built; the next start goes on with it")


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask. `make clean` never asks.", default=True, hidden=True)
@explained
def clean(yes: bool) -> None:
    """Stops everything and deletes all data; ALL=1 also deletes .env.

    Example: ALL=1 python -m compose clean
    """
    now = _settings()
    cleaning.clean(now, everything=os.environ.get("ALL") == "1", say=click.echo)


@main.command()
@explained
def status() -> None:
    """Shows what runs; exit 1 when a part is lost. Example: python -m compose status"""
    now, console = _running(), view.console()
    if not life.locked(now.run_dir):
        console.print("nothing runs; make up starts it")
        view.print_others(console, now.run_dir)
        return
    rows = control.call(now.run_dir, "status")["parts"]
    console.print(view.table(rows))
    view.print_memory(console, rows)
    for name, health in ready.targets(now.env).items() if "prometheus" in rows else ():
        idle = name == "harness" and health != "up"
        console.print(f"scraped   {name}: {'down, no run is on' if idle else health}", highlight=False)
    view.print_alerts(console, now.env["PROMETHEUS_URL"] if "prometheus" in rows else "")
    view.print_disk(console, now.run_dir, changes.recorded(now.run_dir))
    view.print_others(console, now.run_dir)
    if view.print_lost(console, rows):
        sys.exit(1)


@main.command("top")
@click.option("--once", "only_once", is_flag=True, help="Print one frame and end.")
@explained
def watch_live(only_once: bool) -> None:
    """Shows what happens now, once a second, until Ctrl-C. Example: python -m compose top --once"""
    now, console = _running(), view.console(columns=COLUMNS)
    if not life.locked(now.run_dir):
        raise stack.StackError("nothing runs; make up starts it")
    with prom.Prometheus(now.env["PROMETHEUS_URL"]) as prometheus:
        watch = top.Watch(NativeProcesses(now.run_dir), prometheus)
        if only_once:
            top.once(watch, console)
        else:
            top.live(watch, console)


@main.command()
@explained
def roll() -> None:
    """Restarts what runs more than once, one process after another; the system goes on serving.

    Example: python -m compose roll
    """
    now = _running()
    if not life.locked(now.run_dir):
        raise stack.StackError("nothing runs; make up WORKERS=2 starts it")
    rolling.roll(stack.Stack(now.run_dir, now.env), click.echo)


@main.command("logs")
@click.option("--name", envvar="NAME", default="", help="Only this part.")
@click.option("--lines", default=40, show_default=True, help="Lines of each log.")
@explained
def show_logs(name: str, lines: int) -> None:
    """Prints the end of the logs. Example: python -m compose logs --name upload"""
    logs.show(_settings().run_dir, name, lines, say=click.echo)


@main.command("trace")
@click.option("--id", "wanted", envvar="ID", default="", help="An upload_uuid or a request id.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--all", "everything", is_flag=True, help="Long journeys without omissions.")
@explained
def follow_one(wanted: str, as_json: bool, everything: bool) -> None:
    """Shows the way of one upload or request through all processes, from their logs.

    Example: python -m compose trace --id 44016b52-f120-4bf7-8570-71f5bc369a49
    """
    source = source_of(_settings().run_dir)
    everything |= os.environ.get("ALL") == "1"
    trace(source, wanted, view.console(columns=COLUMNS), as_json=as_json, everything=everything)


@main.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--report", "as_file", is_flag=True, help="Into one file, with logs, for others to read.")
@explained
def examine(as_json: bool, as_file: bool) -> None:
    """Says what is missing or will not fit; changes nothing. Example: python -m compose doctor --json"""
    as_file |= os.environ.get("REPORT") == "1"
    if not doctor.tell(asking.to_start(os.environ), view.console(), as_json=as_json, as_file=as_file):
        sys.exit(1)


@main.command()
@click.option("--all", "everything", is_flag=True, help="Also what only some commands need.")
@click.argument("names", nargs=-1)
@explained
def tools(everything: bool, names: tuple[str, ...]) -> None:
    """Installs external programs into the cache; the last lines say where they are.

    Example: python -m compose tools minio k6
    """
    now = _settings()
    # `make down` ends us when we build behind `make up`: in order, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Installer(now.env, echo=functools.partial(click.echo, err=True)) as installer:
        known = installer.names()
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ToolError(f"no program {', '.join(unknown)}; there are {', '.join(known)}")
        wanted = names or (known if everything else _needed(now))
        for variable, value in installer.locate(wanted).items():
            click.echo(f"{variable}={value}")


@main.command("tools-clean")
@explained
def tools_clean() -> None:
    """Deletes the cache of external programs. Example: python -m compose tools-clean"""
    cleaning.clean_tools(_settings(), say=click.echo)


@main.command()
@explained
def check() -> None:
    """Linter, format and types over all packages. Example: python -m compose check"""
    sys.exit(suite.check())


@main.command()
@click.argument("arguments", nargs=-1)
@explained
def test(arguments: tuple[str, ...]) -> None:
    """All checks, then all tests. Example: python -m compose test -- tests/unit -x"""
    room.refuse_tests()
    code = suite.check()
    if code == 0:
        now = _settings()
        with Installer(now.env, echo=click.echo) as installer:
            installer.locate((*_needed(now), *OF_TESTS))
        code = suite.test(*arguments)
    sys.exit(code)


@main.command()
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@explained
def chaos(arguments: tuple[str, ...]) -> None:
    """Drawn uploads and faults on a system of its own. Example: CASES=200 SEED=7 python -m compose chaos

    `python -m compose chaos -- --help` tells the rest.
    """
    os.chdir(settings_module.ROOT)
    # In this process's place, so that Ctrl-C reaches only the one that knows what to end.
    os.execv(sys.executable, [sys.executable, "-m", "tests.chaos", *arguments])  # noqa: S606


@main.command("test-all")
@explained
def test_all() -> None:
    """`test`, then what takes long: the second store, and chaos on both. All of it, even when a step fails.

    Example: python -m compose test-all
    """
    now = _settings()
    with Installer(now.env, echo=click.echo) as installer:
        installer.locate((*_needed(now), *OF_TESTS))
    code = suite.check()
    for name, layers in ((store.MINIO, ()), (store.VERSITYGW, ON_EVERY_STORE)):
        os.environ["STORE"] = name
        code |= suite.test(*layers) | suite.shown("tests.chaos", "--cases", LONG_CHAOS)
    sys.exit(int(code != 0))


@main.command("test-compose")
@click.argument("arguments", nargs=-1)
@explained
def test_compose(arguments: tuple[str, ...]) -> None:
    """The tests that start containers; Docker is needed. Example: python -m compose test-compose"""
    os.environ["VAULTBENCH_TEST_COMPOSE"] = "1"
    sys.exit(suite.shown("pytest", "-p", "no:cacheprovider", *(arguments or ("tests/compose",))))
