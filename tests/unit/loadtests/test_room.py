"""What a run may take of this machine, before it begins."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.plan.planning import GIB, least_disk_bytes, make_plan
from loadtests.harness.plan.room import (
    Usage,
    available_bytes,
    fitted,
    left_out,
    prove_writable,
    refuse_beyond_memory,
)
from loadtests.harness.question import QuestionError, load_question
from loadtests.harness.records.plan import Plan
from loadtests.harness.words import arm_texts, as_typed, read_ab, read_question

pytestmark = pytest.mark.unit

STRATEGIES = load_strategies()
GB = 10**9
MEMINFO = "MemTotal:  100 kB\nMemFree:  10 kB\nMemAvailable:  50 kB\n"


def ab(**words: str) -> Plan:
    typed = read_ab(words, STRATEGIES, as_typed(arm_texts(words)))
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
        program = "from loadtests.harness.plan.room import available_bytes; print(available_bytes())"
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


def disk(total_gb: float, free_gb: float) -> Usage:
    return lambda _: (round(total_gb * GB), 0, round(free_gb * GB))


class TestDisk:
    def test_with_room_the_plan_stays(self, tmp_path: Path) -> None:
        plan = ab()
        assert fitted(plan, tmp_path, tmp_path, usage=disk(1000, 500)) == plan

    def test_with_less_room_it_pauses_more_often(self, tmp_path: Path) -> None:
        found = fitted(ab(), tmp_path, tmp_path / "new" / "results", usage=disk(100, 4))
        assert found.disk_bytes == 3 * GB

    def test_uploads_under_way_that_do_not_fit_are_refused(self, tmp_path: Path) -> None:
        plan = ab(VUS="64", B="FILE_SIZE=256MiB")
        said = (
            rf"need 32\.5 GiB of disk in {tmp_path}, and 31\.7 GiB can be used: 32\.6 GiB are free, and"
            r" the store leaves a hundredth of the disk so\. Choose fewer VUs or smaller files, make room, or"
            r" name a folder on another disk with VAULTBENCH_RUN_DIR="
        )
        with pytest.raises(QuestionError, match=said):
            fitted(plan, tmp_path, tmp_path, usage=disk(100, 35))
        more = least_disk_bytes(plan) / GB + 2
        assert fitted(plan, tmp_path, tmp_path, usage=disk(100, more)).disk_bytes > 32 * GIB

    def test_everything_that_is_missing_is_said_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(QuestionError, match=r"(?s)GiB of disk in .*\nthe records of a run need 0\.2 GiB"):
            fitted(ab(), tmp_path, tmp_path, usage=disk(100, 0))

    def test_a_large_disk_with_less_than_a_tenth_free_will_do(self, tmp_path: Path) -> None:
        """The tenth is what the service demands for files that it writes itself."""
        plan = ab()
        assert fitted(plan, tmp_path, tmp_path, usage=disk(512, 45)) == plan

    @pytest.mark.parametrize(
        ("words", "settings", "said"),
        [
            ({"B": "CHUNK_STORE=disk"}, "", "CHUNK_STORE=disk"),
            ({"B": "upload.BODY_MODE=spooled"}, "", "BODY_MODE=spooled"),
            ({"STRATEGY": "proxy-single-spooled", "B": "VUS=3"}, "", "STRATEGY=proxy-single-spooled"),
            ({}, "CHUNK_STORE='disk'\n", "CHUNK_STORE=disk"),  # of the testbed that runs
        ],
    )
    def test_where_the_service_writes_files_a_tenth_stays_free(
        self, tmp_path: Path, words: dict[str, str], settings: str, said: str
    ) -> None:
        (tmp_path / "settings.env").write_text(settings)
        told = (
            rf"need 0\.\d GiB of disk .* 0\.0 GiB can be used: 41\.9 GiB are free, and {said} writes"
            r" uploads to files there, for which a tenth of the disk stays so\. Leave"
            rf" {said} out, choose fewer VUs"
        )
        with pytest.raises(QuestionError, match=told):
            fitted(ab(**words), tmp_path, tmp_path, usage=disk(512, 45))
        assert fitted(ab(**words), tmp_path, tmp_path, usage=disk(512, 54.2)).disk_bytes == 3 * GB

    @pytest.mark.parametrize(
        ("question", "words", "said", "advice"),
        [
            (
                "proxy-or-direct",
                {"STRATEGIES": "proxy-single-spooled,direct-single"},
                "proxy-single-spooled in STRATEGIES=",
                "Leave proxy-single-spooled in STRATEGIES= out",
            ),
            ("slow-clients", {}, "Q=slow-clients", "Ask another question"),
        ],
    )
    def test_what_is_named_is_what_somebody_typed(
        self, tmp_path: Path, question: str, words: dict[str, str], said: str, advice: str
    ) -> None:
        asked = load_question(question)
        typed = read_question(
            words, ["STRATEGIES"], STRATEGIES, as_typed(asked.arms), texts=asked.arms, load=asked.load
        )
        plan = make_plan("run", asked, typed, STRATEGIES)
        with pytest.raises(QuestionError) as caught:
            fitted(plan, tmp_path, tmp_path, usage=disk(512, 45))
        assert f", and {said} writes uploads to files there" in str(caught.value)
        assert f"stays so. {advice}, choose fewer VUs" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1

    def test_commands_that_try_every_strategy_leave_those_out_that_would_be_refused(
        self, tmp_path: Path
    ) -> None:
        assert left_out(STRATEGIES, 1000, tmp_path, disk(512, 52)) == {}
        found = left_out(STRATEGIES, 1000, tmp_path, disk(512, 51))
        assert list(found) == ["proxy-single-spooled"]
        assert found["proxy-single-spooled"].startswith(
            f"left out, because it writes uploads to files in {tmp_path}, for which a tenth of the disk stays"
            " free: 47.5 of 476.8 GiB are. Make room,"
        )

    def test_a_setting_of_the_command_counts(self, tmp_path: Path) -> None:
        with pytest.raises(QuestionError, match="CHUNK_STORE=disk writes uploads to files there"):
            fitted(ab(), tmp_path, tmp_path, {"CHUNK_STORE": "disk"}, disk(512, 45))


class TestWriting:
    def test_a_folder_with_room_is_left_as_it_was(self, tmp_path: Path) -> None:
        prove_writable(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_one_without_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device") as caught:
            prove_writable(tmp_path)
        assert caught.value.filename == str(tmp_path)
