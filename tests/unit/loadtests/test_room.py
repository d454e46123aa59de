"""What a run may take of this machine, before it begins."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from loadtests.harness.question import GIB, QuestionError, least_disk_bytes, load_question, make_plan
from loadtests.harness.records.plan import Plan
from loadtests.harness.room import available_bytes, fitted, refuse_beyond_memory
from loadtests.harness.strategies import load_strategies
from loadtests.harness.words import read_ab

pytestmark = pytest.mark.unit

STRATEGIES = load_strategies()
GB = 10**9
MEMINFO = "MemTotal:  100 kB\nMemFree:  10 kB\nMemAvailable:  50 kB\n"


def ab(**words: str) -> Plan:
    typed = read_ab(words, STRATEGIES, {})
    return make_plan("run", load_question("ab"), typed, STRATEGIES)


class TestMemory:
    def test_vus_times_size_beyond_memory_is_refused(self) -> None:
        plan = ab(VUS="10", B="FILE_SIZE=100MiB")
        refuse_beyond_memory(plan, 8 * GIB)
        with pytest.raises(QuestionError, match=r"need about 5\.9 GiB of memory .* 7\.0 GiB are free"):
            refuse_beyond_memory(plan, 7 * GIB)

    @pytest.mark.parametrize(
        ("files", "available"),
        [
            ({}, 50 * 1024),
            # Control groups version 2: the group above us has the limit, and pages of files that go.
            (
                {
                    "proc/self/cgroup": "0::/a/b\n",
                    "sys/fs/cgroup/a/b/memory.max": "max\n",
                    "sys/fs/cgroup/a/b/memory.current": "10\n",
                    "sys/fs/cgroup/a/memory.max": "4000\n",
                    "sys/fs/cgroup/a/memory.current": "3000\n",
                    "sys/fs/cgroup/a/memory.stat": "anon 5\ninactive_file 500\n",
                },
                1500,
            ),
            # In a container of version 1 our group is the first that is seen.
            (
                {
                    "proc/self/cgroup": "3:cpu:/x\n2:memory:/docker/abc\n",
                    "sys/fs/cgroup/memory/memory.limit_in_bytes": "4000\n",
                    "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000\n",
                    "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 10\n",
                },
                3010,
            ),
        ],
    )
    def test_the_narrowest_limit_counts(
        self, tmp_path: Path, files: Mapping[str, str], available: int
    ) -> None:
        for name, text in {"proc/meminfo": MEMINFO, **files}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        assert available_bytes(tmp_path) == available

    def test_a_limit_of_address_space_counts(self) -> None:
        program = "from loadtests.harness.room import available_bytes; print(available_bytes())"
        limit = 3 * GB

        def limited() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        said = subprocess.run(
            [sys.executable, "-c", program], preexec_fn=limited, capture_output=True, text=True, check=True
        )
        assert int(said.stdout) <= limit

    def test_who_says_nothing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(QuestionError, match="meminfo does not say how much memory is free"):
            available_bytes(tmp_path)


class TestDisk:
    def test_with_room_the_plan_stays(self, tmp_path: Path) -> None:
        plan = ab()
        assert fitted(plan, tmp_path, tmp_path, lambda _: (1000 * GB, 0, 500 * GB)) == plan

    def test_with_less_room_it_pauses_more_often(self, tmp_path: Path) -> None:
        found = fitted(ab(), tmp_path, tmp_path / "new" / "results", lambda _: (100 * GB, 0, 13 * GB))
        assert found.disk_bytes == 3 * GB

    def test_uploads_under_way_that_do_not_fit_are_refused(self, tmp_path: Path) -> None:
        plan = ab(VUS="64", B="FILE_SIZE=256MiB")
        said = rf"need 32\.5 GiB of disk in {tmp_path}, and 27\.9 GiB can be used: 37\.3 GiB are free"
        with pytest.raises(QuestionError, match=said):
            fitted(plan, tmp_path, tmp_path, lambda _: (100 * GB, 0, 40 * GB))
        more = least_disk_bytes(plan) + 11 * GB
        assert fitted(plan, tmp_path, tmp_path, lambda _: (100 * GB, 0, more)).disk_bytes > 32 * GIB

    def test_everything_that_is_missing_is_said_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(QuestionError, match=r"(?s)GiB of disk in .*\nthe records of a run need 0\.2 GiB"):
            fitted(ab(), tmp_path, tmp_path, lambda _: (100 * GB, 0, 0))
