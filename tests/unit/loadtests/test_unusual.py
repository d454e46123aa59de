"""What of a run is not the default, as the head of its report names it."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.harness.analysis.unusual import unusual
from tests.unit.loadtests import fabricate as make

pytestmark = pytest.mark.unit


def named(words: dict[str, str] | None = None, **of_manifest: Any) -> list[str]:
    found = make.result()
    return unusual(make.plan(found, words=words or {}), make.manifest(found, **of_manifest))


def test_a_plain_run_has_nothing_unusual() -> None:
    assert named() == []


def test_words_are_named_but_those_said_elsewhere() -> None:
    assert named({"VUS": "64", "A": "CACHE=redis", "PROFILE": "full", "RTT_MS": "20"}) == ["VUS=64"]


def test_a_setting_is_named_once_with_the_processes_that_have_it() -> None:
    settings = {
        "gateway": {"LOGGING": "off", "PORT": 9100},
        "A/upload": {"LOGGING": "off", "FINALISE": "inline"},
        "B/upload": {"LOGGING": "json-queued", "FINALISE": "detached"},
    }
    assert named(settings=settings) == ["gateway, A/upload LOGGING=off", "B/upload FINALISE=detached"]


def test_what_every_arm_has_is_not_listed_arm_by_arm() -> None:
    pool = {"DB_POOL_MAX": 10}
    settings = {f"{arm}/{name}": pool for arm in ("A", "B", "C") for name in ("auth", "files")}
    assert named(settings=settings) == ["auth, files of every arm DB_POOL_MAX=10"]
    assert named(settings=settings | {"D/auth": {}}) == ["auth, files of A, B, C DB_POOL_MAX=10"]
    assert named(settings=settings | {"D/auth": pool}) == [
        "A/auth, A/files, B/auth, B/files, C/auth, C/files, D/auth DB_POOL_MAX=10"
    ]


def test_topology() -> None:
    found = named(
        settings={"upload-1": {}, "upload-2": {}, "gateway-1": {}}, tools={"nginx": "1.24", "k6": "1.8"}
    )
    assert found == ["2 of upload", "with nginx"]


def test_limits_and_durability() -> None:
    found = named(
        host={"cores": 4.0}, k6_cores=1.0,
        containers={"gateway": {"cpus": 0.5, "memory_bytes": 256 << 20}, "auth": {}},
        databases={"upload_db": {"fsync": "off", "synchronous_commit": "on"}},
    )  # fmt: skip
    assert found == [
        "k6 on 1 of 4 cores", "gateway limited to 0.5 CPUs and 256 MiB", "upload_db fsync=off"
    ]  # fmt: skip
