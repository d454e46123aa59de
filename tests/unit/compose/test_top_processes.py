"""`make top`: what the processes of a testbed use, and that a part of the screen is no made-up number."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose import life
from compose.top.processes import HARNESS, NativeProcesses
from tests.unit.compose.beds import Bed, python, runs, within

pytestmark = pytest.mark.unit

BURNING = "while True: pass"


class TestProcesses:
    @pytest.fixture
    def bed(self, tmp_path: Path) -> Iterator[Bed]:
        made = Bed(tmp_path / "run")
        yield made
        life.stop(made.run_dir)

    def test_cpu_is_a_rate_and_memory_is_there(self, bed: Bed) -> None:
        bed.start(python("burner", BURNING), runs("sleeper"))
        bed.reaches("burner", "healthy")
        bed.reaches("sleeper", "healthy")

        def written() -> bool:
            parts = life.read_state(bed.run_dir).get("parts", {})
            return bool(parts) and all(row["pid"] for row in parts.values())

        assert within(written)
        processes = NativeProcesses(bed.run_dir)
        first = {part.name: part for part in processes.look(time.monotonic())}
        assert {part.cpu_cores for part in first.values()} == {None}

        def burnt() -> bool:
            now = {part.name: part for part in processes.look(time.monotonic())}
            cores = [now[name].cpu_cores or 0.0 for name in ("burner", "sleeper")]
            return cores[0] > 0.02 and cores[1] < cores[0]

        assert within(burnt)
        assert first["burner"].memory_bytes > 1 << 20
        assert first["sleeper"].state == "healthy"

    def test_nothing_runs(self, tmp_path: Path) -> None:
        assert NativeProcesses(tmp_path).look(1.0) == []

    def test_the_harness_is_a_part_while_it_holds_its_lock(self, bed: Bed) -> None:
        bed.start(runs("sleeper"))
        bed.reaches("sleeper", "healthy")
        lock = bed.run_dir / "harness.lock"
        lock.write_text(str(os.getpid()))
        assert HARNESS not in {part.name for part in NativeProcesses(bed.run_dir).look(1.0)}
        with lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            parts = {part.name: part for part in NativeProcesses(bed.run_dir).look(1.0)}
        assert parts[HARNESS].memory_bytes > 1 << 20
