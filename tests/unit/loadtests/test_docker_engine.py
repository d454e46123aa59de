"""The Docker engine over a real socket: what is asked, what becomes of refusals, what its figures mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiodocker import DockerError

from loadtests.harness.testbeds import container_stats
from loadtests.harness.testbeds.docker_engine import docker_errors, open_docker, output_of, statistics
from tests.unit.loadtests.engine_server import RECORDED, FakeEngine, serving

pytestmark = pytest.mark.unit


class Unasked(Exception):
    """The failure that a caller chose."""


@pytest.mark.parametrize("url", ["unix:///nowhere/engine.sock", "nowhere"])
async def test_nobody_listens(url: str) -> None:
    with pytest.raises(Unasked, match=rf"^asking: [^\n]*{url}"):
        async with docker_errors(Unasked, "asking"), open_docker(url):
            pass


async def test_the_address_is_the_one_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(FakeEngine(), tmp_path) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        async with open_docker() as docker:
            assert (await docker.version())["Version"] == RECORDED["version"]["Version"]


async def test_an_engine_that_is_too_old_is_refused(tmp_path: Path) -> None:
    async with serving(FakeEngine(api="1.39"), tmp_path) as url:
        with pytest.raises(DockerError, match=r"speaks API 1\.39; 1\.41"):
            async with open_docker(url):
                pass


async def test_a_newer_engine_is_spoken_to_in_its_own_version(tmp_path: Path) -> None:
    async with serving(FakeEngine(api="1.51"), tmp_path) as url, open_docker(url) as docker:
        assert docker.api_version == "v1.51"
        assert await docker.containers.list(all=True, filters='{"label": []}') == []


async def test_refusals_keep_the_engines_words_and_status(tmp_path: Path) -> None:
    async with serving(FakeEngine(), tmp_path) as url, open_docker(url) as docker:
        with pytest.raises(DockerError, match="No such container: upload") as caught:
            await statistics(docker, "upload")
        assert caught.value.status == 404
        with pytest.raises(Unasked, match=r"^asking: No such container: upload$"):
            async with docker_errors(Unasked, "asking"):
                await docker.containers.container("upload").show()


async def test_an_engine_that_does_not_answer_in_time_is_one_sentence() -> None:
    with pytest.raises(Unasked, match=r"^asking: no answer in time$"):
        async with docker_errors(Unasked, "asking"):
            raise TimeoutError


async def test_what_a_command_prints_comes_from_both_of_its_streams(tmp_path: Path) -> None:
    engine = FakeEngine(printed={"minio": (3, "on one and the other")})
    engine.add("minio")
    async with serving(engine, tmp_path) as url, open_docker(url) as docker:
        assert await output_of(docker, engine.boxes[0].id, ["minio"]) == (3, "on one and the other")


def test_recorded_statistics() -> None:
    use = container_stats.usage(RECORDED["stats"], 7)
    assert use is not None
    assert use.cpu_s == pytest.approx(0.087790012)
    assert use.rss_bytes == 29036544
    assert use.start_ticks == 7
    assert container_stats.read_at(RECORDED["stats"]) == pytest.approx(1795277640.421, abs=1e-3)
    assert container_stats.throttled(RECORDED["stats"])["periods"] == 5


def test_a_container_that_does_not_run_has_used_nothing_we_know() -> None:
    stopped = {"read": "0001-01-01T00:00:00Z", "cpu_stats": {"cpu_usage": {"total_usage": 0}}}
    assert container_stats.usage(stopped, 1) is None
    assert container_stats.usage({}, 1) is None


def test_memory_of_both_kinds_of_control_groups_leaves_out_remembered_files() -> None:
    first = {"usage": 900, "stats": {"total_rss": 100, "total_mapped_file": 20, "total_cache": 780}}
    second = {"usage": 900, "stats": {"anon": 100, "file_mapped": 20, "file": 780}}
    assert container_stats.resident_bytes(first) == container_stats.resident_bytes(second) == 120


def test_times_are_exact_to_the_nanosecond() -> None:
    assert container_stats.nanoseconds("1970-01-01T00:00:01.000000007Z") == 1_000_000_007
    assert container_stats.nanoseconds("1970-01-01T01:00:01.5+01:00") == 1_500_000_000
    assert container_stats.nanoseconds("0001-01-01T00:00:00Z") == 0


def test_limits_are_read_back() -> None:
    found = container_stats.limits(RECORDED["inspect"], RECORDED["stats"])
    assert found == {"cpus": 0.5, "memory_bytes": 209715200, "memory_and_swap_bytes": 209715200}
    quota = {"HostConfig": {"CpuQuota": 20000, "CpuPeriod": 100000, "CpusetCpus": "0"}}
    assert container_stats.limits(quota, {}) == {"cpus": 0.2, "cpuset": "0"}
    assert container_stats.limits({"HostConfig": {}}, {"memory_stats": {"limit": 2**60}}) == {}


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
    assert container_stats.state_word(state) == word
