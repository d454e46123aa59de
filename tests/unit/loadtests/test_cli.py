"""What the commands record and print about themselves."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from rich.console import Console

from loadtests import cli
from loadtests.harness.question import QuestionError
from loadtests.harness.words import NAMES

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
    ],
)
def test_brackets_of_a_path_are_shown(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def work(_: Console) -> int:
        raise error

    with pytest.raises(SystemExit):
        cli.edge(work)
    assert "/data/[red]x" in capsys.readouterr().out


def test_a_defect_is_not_told_as_a_failed_audit(capsys: pytest.CaptureFixture[str]) -> None:
    """Python itself would end with 1."""

    def work(_: Console) -> int:
        raise ConnectionResetError("the database went away")

    with pytest.raises(SystemExit) as ended:
        cli.edge(work)
    assert ended.value.code == cli.INVALID
    assert "ConnectionResetError: the database went away" in capsys.readouterr().err
