"""What a killed test run leaves is removed by the next one, and nothing else is."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compose import postgres
from tests.leftovers import LOCK, PREFIX, remove_stale

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
HOLDS = """
import sys, time, tempfile
from pathlib import Path
from tests import leftovers
tempfile.tempdir = sys.argv[1]
with leftovers.owned_folder() as folder:
    (folder / "run").mkdir()
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_killed_run_leaves_nothing_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "STATE_HOME", tmp_path / "state")
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        cluster = postgres.home(folder / "run") / "pg" / "auth"
        cluster.mkdir(parents=True)
        other = postgres.home(tmp_path / "another" / "run")
        other.mkdir(parents=True)

        assert remove_stale(tmp_path) == []
        assert cluster.is_dir()
        child.send_signal(signal.SIGKILL)
        child.wait()

    assert folder.is_dir()
    assert remove_stale(tmp_path) == [folder]
    assert not folder.exists()
    assert not cluster.exists()
    assert other.is_dir()


def test_a_folder_that_is_being_made_is_left_alone(tmp_path: Path) -> None:
    fresh = tmp_path / f"{PREFIX}fresh"
    fresh.mkdir()
    (fresh / f"{LOCK}.draft").touch()
    assert remove_stale(tmp_path) == []
    assert fresh.is_dir()
