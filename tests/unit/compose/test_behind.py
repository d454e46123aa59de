"""The build of k6 behind a running testbed: one at a time, and ended with it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from compose import behind, process, settings, up
from compose.cli import main
from compose.installer.programs import Installer
from tests.unit.compose.beds import within

pytestmark = pytest.mark.unit

# As Go: it tells its version and settings, and compiles in processes of its own.
GO = """#!/bin/sh
case "$*" in
"env GOVERSION") echo go1.99.0 ;;
env*) echo '{{}}' ;;
"version -m"*) echo 'program: go1.99.0' ;;
*"build "*minio*) while [ "$1" != -o ]; do shift; done; echo made >"$2" ;;
*list*minio*) ;;
*) echo half >"$GOTMPDIR/half"; sleep 600 & echo $! >{compiler}; wait ;;
esac
"""


class Place:
    """A run folder and a tool cache without k6, beside a Go that never comes to an end."""

    def __init__(self, folder: Path) -> None:
        self.run_dir, self.tools, self.compiler = folder / "run", folder / "tools", folder / "compiler"
        (self.run_dir / "logs").mkdir(parents=True)
        go = folder / "bin" / "go"
        go.parent.mkdir()
        go.write_text(GO.format(compiler=self.compiler))
        go.chmod(0o755)

    def recorded(self) -> dict[str, int]:
        record: dict[str, int] = json.loads((self.run_dir / behind.FILE).read_text())
        return record

    def compiles(self) -> int:
        """The process id of the compiler, once there is one."""
        log = self.run_dir / "logs" / "k6.log"
        assert within(lambda: self.compiler.exists() and self.compiler.stat().st_size > 1, 30), (
            log.read_text()
        )
        return int(self.compiler.read_text())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("VAULTBENCH_TOOLS", str(made.tools))
    monkeypatch.setenv("VAULTBENCH_RUN_DIR", str(made.run_dir))
    for name in ("VAULTBENCH_OFFLINE", "K6", "K6_BIN"):
        monkeypatch.delenv(name, raising=False)
    yield made
    behind.end(made.run_dir)


class TestEnd:
    def test_down_ends_it_with_its_compilers_and_leaves_nothing_half_made(self, place: Place) -> None:
        behind.start(place.run_dir, "k6")
        builder, compiler = place.recorded(), place.compiles()
        done = CliRunner().invoke(main, ["down"])
        assert done.output == "k6 is no longer being built; the next start goes on with it\n"
        assert not process.alive(builder["pid"], builder["start_ticks"])
        assert within(lambda: not process.alive(compiler))
        assert not (place.run_dir / behind.FILE).exists()
        assert sorted(path.name for path in (place.tools / ".build").iterdir()) == ["go"]
        assert sorted(path.name for path in (place.tools / ".build" / "go").iterdir()) == ["cache", "mod"]
        assert not list(place.tools.glob("k6/*"))

    def test_there_is_nothing_to_end_without_one(self, place: Place) -> None:
        assert behind.end(place.run_dir) == ""
        assert CliRunner().invoke(main, ["down"]).output == "nothing was running\n"

    def test_a_process_of_somebody_else_with_its_number_lives_on(self, place: Place) -> None:
        with subprocess.Popen(["sleep", "600"]) as theirs:
            record = {"name": "k6", "pid": theirs.pid, "start_ticks": 1}
            (place.run_dir / behind.FILE).write_text(json.dumps(record))
            assert behind.end(place.run_dir) == ""
            assert theirs.poll() is None
            theirs.kill()


class TestStart:
    def test_one_that_is_at_it_is_enough(self, place: Place) -> None:
        log = behind.start(place.run_dir, "k6")
        first = place.recorded()
        place.compiles()
        assert behind.start(place.run_dir, "k6") == log == place.run_dir / "logs" / "k6.log"
        assert place.recorded() == first

    def test_after_one_that_has_ended_there_is_a_new_one(self, place: Place) -> None:
        behind.start(place.run_dir, "k6")
        first = place.recorded()
        place.compiles()
        behind.end(place.run_dir)
        place.compiler.unlink()
        behind.start(place.run_dir, "k6")
        assert place.recorded() != first
        place.compiles()

    def test_it_finds_the_caches_of_the_start_however_late_it_comes(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caches = place.tools / ".build" / "go"

        def later(run_dir: Path, name: str) -> Path:
            """A process that begins on a busy machine: it is there, and has no hold yet."""
            return run_dir / "logs" / f"{name}.log"

        monkeypatch.setattr(behind, "start", later)
        now = settings.read(os.environ)
        with Installer(now.env, echo=print) as tools:
            tools.locate(["minio"])
            (caches / "mod" / "module").mkdir()
            assert "k6 is being built behind this" in up._install_behind(tools, now)
        assert (caches / "mod" / "module").is_dir()
        assert not (caches / "tmp").exists()
        with Installer(now.env, echo=print) as tools:
            assert "MINIO_BIN" in tools.locate(["minio"])
