"""The Engine API client against a real socket: what it asks, what it makes of refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.harness.running import engine_stats
from loadtests.harness.running.engine_api import EngineError, open_engine
from tests.unit.loadtests.engine_server import RECORDED, FakeEngine, serving

pytestmark = pytest.mark.unit


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no Docker engine answers at .*engine\.sock"):
        async with open_engine(str(tmp_path / "engine.sock")):
            pass


async def test_an_engine_that_is_too_old_is_refused(tmp_path: Path) -> None:
    async with serving(FakeEngine(api="1.39"), tmp_path) as path:
        with pytest.raises(EngineError, match=r"speaks API 1\.39; 1\.41"):
            async with open_engine(path):
                pass


async def test_refusals_keep_the_engines_words_and_status(tmp_path: Path) -> None:
    async with serving(FakeEngine(), tmp_path) as path, open_engine(path) as engine:
        with pytest.raises(EngineError, match="No such container: upload") as caught:
            await engine.inspect("upload")
    assert caught.value.status == 404


async def test_a_newer_engine_is_spoken_to_in_its_own_version(tmp_path: Path) -> None:
    async with serving(FakeEngine(api="1.51"), tmp_path) as path, open_engine(path) as engine:
        assert engine.api == "1.51"
        assert (await engine.version())["Version"] == RECORDED["version"]["Version"]


def test_recorded_statistics() -> None:
    use = engine_stats.usage(RECORDED["stats"], 7)
    assert use is not None
    assert use.cpu_s == pytest.approx(0.087790012)
    assert use.rss_bytes == 29036544
    assert use.start_ticks == 7
    assert engine_stats.read_at(RECORDED["stats"]) == pytest.approx(1795277640.421, abs=1e-3)
    assert engine_stats.throttled(RECORDED["stats"])["periods"] == 5


def test_a_container_that_does_not_run_has_used_nothing_we_know() -> None:
    stopped = {"read": "0001-01-01T00:00:00Z", "cpu_stats": {"cpu_usage": {"total_usage": 0}}}
    assert engine_stats.usage(stopped, 1) is None
    assert engine_stats.usage({}, 1) is None


def test_memory_of_both_kinds_of_control_groups_leaves_out_remembered_files() -> None:
    first = {"usage": 900, "stats": {"total_rss": 100, "total_mapped_file": 20, "total_cache": 780}}
    second = {"usage": 900, "stats": {"anon": 100, "file_mapped": 20, "file": 780}}
    assert engine_stats.resident_bytes(first) == engine_stats.resident_bytes(second) == 120


def test_times_are_exact_to_the_nanosecond() -> None:
    assert engine_stats.nanoseconds("1970-01-01T00:00:01.000000007Z") == 1_000_000_007
    assert engine_stats.nanoseconds("1970-01-01T01:00:01.5+01:00") == 1_500_000_000
    assert engine_stats.nanoseconds("0001-01-01T00:00:00Z") == 0


def test_limits_are_read_back() -> None:
    found = engine_stats.limits(RECORDED["inspect"], RECORDED["stats"])
    assert found == {"cpus": 0.5, "memory_bytes": 209715200, "memory_and_swap_bytes": 209715200}
    quota = {"HostConfig": {"CpuQuota": 20000, "CpuPeriod": 100000, "CpusetCpus": "0"}}
    assert engine_stats.limits(quota, {}) == {"cpus": 0.2, "cpuset": "0"}
    assert engine_stats.limits({"HostConfig": {}}, {"memory_stats": {"limit": 2**60}}) == {}


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ({"Status": "running", "Health": {"Status": "starting"}}, "starting"),
        ({"Status": "running"}, "running"),
        ({"Status": "paused", "Health": {"Status": "healthy"}}, "paused"),
        ({"Status": "exited", "Health": {"Status": "unhealthy"}}, "exited"),
    ],
)
def test_one_word_for_a_state(state: dict[str, object], word: str) -> None:
    assert engine_stats.state_word(state) == word
