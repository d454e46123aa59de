"""What the commands record and print about themselves."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from rich.console import Console

from loadtests import cli
from loadtests.harness.commands.ab import ab
from loadtests.harness.commands.alerts import alerts
from loadtests.harness.commands.asking import Asking
from loadtests.harness.commands.govault import govault
from loadtests.harness.commands.report import finish
from loadtests.harness.question import QuestionError
from loadtests.harness.words import NAMES
from tests.unit.loadtests.test_report import write_bundle

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As a shell starts it, without make and without a word behind it."""
    for name in ("MAKELEVEL", *NAMES):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_command_of_make_is_recorded_as_it_was_typed(typed: pytest.MonkeyPatch) -> None:
    typed.setattr(sys, "argv", ["loadtests", "ab"])
    for name, value in {"MAKELEVEL": "1", "VUS": "8", "A": "FINALISE=inline VUS=4"}.items():
        typed.setenv(name, value)
    assert cli.command_line() == "make ab VUS=8 A='FINALISE=inline VUS=4'"


def test_a_command_without_make_is_recorded_as_it_was_typed(typed: pytest.MonkeyPatch) -> None:
    typed.setattr(sys, "argv", ["loadtests", "report", "my run"])
    typed.setenv("PROFILE", "smoke")
    assert cli.command_line() == "PROFILE=smoke python -m loadtests report 'my run'"


def test_words_of_sweep_are_told_at_once_before_it_looks_for_a_system(tmp_path: Path) -> None:
    words = {"OLDER_THAN_S": "abc", "UNKNOWN_OLDER_THAN_S": "-1", "DRY_RUN": "yes"}
    done = subprocess.run(
        [sys.executable, "-m", "loadtests", "sweep"], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, **words, "VAULTBENCH_RUN_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "OLDER_THAN_S=abc: expected whole seconds, 0 to 315360000",
        "UNKNOWN_OLDER_THAN_S=-1: expected whole seconds, 0 to 315360000",
        "DRY_RUN=yes: expected one of 0, 1",
    ]


@pytest.mark.parametrize("command", [["loadtests", "runs"], ["compose", "status"], ["compose", "down"]])
def test_whoever_stops_reading_ends_no_command(command: list[str], tmp_path: Path) -> None:
    """As in `make ask | head`: by rich, and by click.echo."""
    places = {"VAULTBENCH_RUN_DIR": str(tmp_path / "run"), "VAULTBENCH_RESULTS": str(tmp_path)}
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as nobody_reads:
        done = subprocess.run(
            [sys.executable, "-m", *command], stdout=nobody_reads, stderr=subprocess.PIPE, text=True,
            check=False, cwd=ROOT, env={**os.environ, **places},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_system_that_does_not_answer_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    async def asked() -> int:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # nobody listens
            async with aiohttp.ClientSession() as http:
                await http.get(f"http://127.0.0.1:{closed.getsockname()[1]}/")
        return 0

    with pytest.raises(SystemExit) as ended:
        cli.edge(lambda _: asyncio.run(asked()))
    assert ended.value.code == cli.INVALID
    assert "The system does not answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error",
    [
        QuestionError("need 3 GiB of disk in /data/[red]x"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/[red]x"),
        OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), "/data/[red]x"),
    ],
)
def test_brackets_of_a_path_are_shown(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def work(_: Console) -> int:
        raise error

    with pytest.raises(SystemExit):
        cli.edge(work)
    assert "/data/[red]x" in capsys.readouterr().out


READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77; shift; exec "$@"'


@pytest.mark.parametrize("command", ["stress", "report"])
def test_results_that_are_mounted_read_only_are_said_in_a_sentence(command: str, tmp_path: Path) -> None:
    """Before any load: no system runs, and a command that looked for one first would say that instead."""
    results = tmp_path / "results"
    write_bundle(results)
    mounted = ["unshare", "--mount", "--map-root-user", "sh", "-c", READ_ONLY, "sh", str(results)]
    done = subprocess.run(
        [*mounted, sys.executable, "-m", "loadtests", command], capture_output=True, text=True, check=False,
        cwd=ROOT, env={**os.environ, "VAULTBENCH_RESULTS": str(results),
                       "VAULTBENCH_RUN_DIR": str(tmp_path / "run")},
    )  # fmt: skip
    if done.returncode in (1, 77):
        pytest.skip(f"no private mounts here: {done.stderr}")
    assert (done.returncode, done.stderr) == (cli.INVALID, "")
    (line,) = done.stdout.splitlines()
    assert str(results) in line
    assert "Read-only file system" in line


@pytest.mark.parametrize(
    "command",
    [
        alerts,
        lambda environ, console: govault(environ, "", console),
        lambda environ, console: ab(Asking(environ, "", console, finish, lambda *_: None)),
    ],
)
def test_a_file_where_a_folder_of_results_should_be(
    command: Callable[[dict[str, str], Console], int], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    words = {"VAULTBENCH_RESULTS": str(tmp_path / "file" / "below"), "VAULTBENCH_RUN_DIR": str(tmp_path)}
    with pytest.raises(QuestionError, match="below, where nothing can be written: Not a directory"):
        command(words, Console())


def test_a_defect_is_not_told_as_a_failed_audit(capsys: pytest.CaptureFixture[str]) -> None:
    """Python itself would end with 1."""

    def work(_: Console) -> int:
        raise ConnectionResetError("the database went away")

    with pytest.raises(SystemExit) as ended:
        cli.edge(work)
    assert ended.value.code == cli.INVALID
    assert "ConnectionResetError: the database went away" in capsys.readouterr().err
