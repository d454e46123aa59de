"""Parts that a setting asks for: who gets them, who is told, and that both start-ups agree."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from compose import envfile, joints, scaling, settings, stack, switches
from compose.envfile import EnvError
from compose.part import Part
from services.kit.settings import SettingsError
from services.upload.settings import Settings as UploadSettings
from tests.environment import load
from tests.unit.compose.choice import WORKS, new_desk
from tests.unit.compose.test_topology import SECRETS, env

pytestmark = pytest.mark.unit
TOOLS = {
    "NGINX_BIN": "/tools/nginx",
    "NGINX_VERSION": "1",
    "PGBOUNCER_BIN": "/bin/true",
    "PGBOUNCER_VERSION": "1",
    "PGBOUNCER_DIR": "/checkout/.run/pg/pgbouncer",
    "REDIS_BIN": "/tools/redis-server",
    "REDIS_CONF": "/run/redis/redis.conf",
    "REDIS_VERSION": "7",
}
LOAD = "load_environment lenient; "


def parts(**chosen: str) -> dict[str, Part]:
    return {one.name: one for one in stack.resolve(env(**TOOLS, **chosen), without=["prometheus"])}


def told_of_redis(found: Mapping[str, Part]) -> set[str]:
    return {name for name, one in found.items() if "REDIS_URL" in one.env}


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({}, set()),
        ({"RATE_LIMIT_BACKEND": "memory", "CACHE": "memory"}, set()),
        ({"RATE_LIMIT_BACKEND": "redis"}, {"gateway"}),
        ({"CACHE": "redis"}, {"upload", "files"}),
        ({"CACHE": "redis", "RATE_LIMIT_BACKEND": "redis"}, {"gateway", "upload", "files"}),
    ],
)
def test_redis_runs_for_those_who_use_it_and_for_nobody_else(chosen: dict[str, str], told: set[str]) -> None:
    found = parts(**chosen)
    assert ("redis" in found) == bool(told)
    assert told_of_redis(found) == told
    assert {name for name, one in found.items() if "redis" in one.after} == told
    assert "redis" in scaling.programs(env(**chosen)) or not told
    assert ("REDIS_PORT" in scaling.unused_ports(env(**chosen))) == (not told)


def test_every_replica_is_told() -> None:
    found = parts(TOPOLOGY="scaled", CACHE="redis", RATE_LIMIT_BACKEND="redis")
    assert told_of_redis(found) == {"gateway", "gateway-2", "upload", "upload-2", "files", "files-2"}
    assert found["gateway-2"].env["RATE_LIMIT_BACKEND"] == "redis"
    assert found["files-2"].env["CACHE"] == "redis"


def test_the_pooler_is_a_switch_of_every_topology() -> None:
    for chosen, pooled in (
        ({}, False),
        ({"POOLER": "none"}, False),
        ({"POOLER": "pgbouncer"}, True),
        ({"TOPOLOGY": "scaled"}, True),
        ({"TOPOLOGY": "scaled", "POOLER": "none"}, False),
        ({"WORKERS": "2", "POOLER": "pgbouncer"}, True),
    ):
        found = parts(**chosen)
        assert ("pgbouncer" in found) == pooled, chosen
        for name in ("auth", *scaling.parts_of(env(**chosen), "upload"), "files"):
            own = found[name].env
            assert own.get("POOLER") == ("pgbouncer" if pooled else None)
            assert (":6432/" in own.get("DATABASE_POOLER_URL", "")) == pooled
            for key in ("DATABASE_URL", "DATABASE_DIRECT_URL"):
                assert ":6432/" not in own[key]
            assert "//service:" in own["DATABASE_URL"]


UPLOAD = {
    "PORT": "1",
    "DATABASE_URL": "postgresql://service@direct",
    "DATABASE_POOLER_URL": "postgresql://service@pooler",
    "DATABASE_DIRECT_URL": "postgresql://migrator@direct",
    "FILES_URLS": "http://files",
    "INTERNAL_KEY_GATEWAY_UPLOAD": "k" * 32,
    "INTERNAL_KEY_UPLOAD_FILES": "k" * 32,
    "INTERNAL_KEY_OPERATOR_UPLOAD": "k" * 32,
    "S3_ENDPOINT": "http://store",
    "S3_PUBLIC_ENDPOINT": "http://store",
    "S3_ACCESS_KEY": "a",
    "S3_SECRET_KEY": "s",
}


def test_an_experiment_turns_the_pooler_off_for_one_process() -> None:
    """Statements are never the migrator's, who may change tables."""
    pooled = load(UploadSettings, {**UPLOAD, "POOLER": "pgbouncer"})
    assert pooled.statements_url == "postgresql://service@pooler"
    assert not pooled.keeps_prepared
    direct = load(UploadSettings, {**UPLOAD, "POOLER": "none"})
    assert direct.statements_url == load(UploadSettings, UPLOAD).statements_url
    assert direct.statements_url == "postgresql://service@direct"
    assert direct.keeps_prepared
    assert direct.direct_url == pooled.direct_url == "postgresql://migrator@direct"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"CACHE": "redis"}, "CACHE is 'redis': expected REDIS_URL"),
        ({"CACHE": "disk"}, "CACHE is 'disk': expected one of none, memory, redis"),
        ({"DB_POOL_MIN": "9", "DB_POOL_MAX": "8"}, "DB_POOL_MIN is 9: expected at most DB_POOL_MAX, 8"),
        ({"DB_POOL_MAX": "0"}, "DB_POOL_MAX is '0'"),
        ({"POOLER": "pgbouncer", "DATABASE_POOLER_URL": ""}, "expected DATABASE_POOLER_URL"),
    ],
)
def test_a_process_refuses_what_cannot_be(given: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load(UploadSettings, {**UPLOAD, **given})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"CACHE": "disk"}, "CACHE='disk': must be one of none, memory, redis"),
        ({"POOLER": "odyssey"}, "POOLER='odyssey': must be one of none, pgbouncer"),
        ({"RATE_LIMIT_BACKEND": "disk"}, "RATE_LIMIT_BACKEND='disk': must be one of memory, redis"),
        ({"DB_POOL_MAX": "many"}, "DB_POOL_MAX='many': must be a number, 1 to 1000"),
        ({"DB_POOL_MAX": "0"}, "DB_POOL_MAX='0': must be a number, 1 to 1000"),
        ({"CACHE": "memory", "WORKERS": "2"}, "CACHE=memory: 2 processes of files run"),
    ],
)
def test_both_start_ups_refuse_the_same(tmp_path: Path, given: dict[str, str], told: str) -> None:
    with pytest.raises(EnvError) as caught:
        settings.read({"WORKERS": "1", **given})
    assert caught.value.problems[0].startswith(told)
    refused = new_desk(tmp_path).script(LOAD, **{**WORKS, "WORKERS": "1", **given})
    assert refused.stderr.strip().startswith(told)


def test_pools_that_no_database_takes_are_refused(tmp_path: Path) -> None:
    chosen = {"WORKERS": "4", "DB_POOL_MAX": "250"}
    with pytest.raises(EnvError) as caught:
        settings.read(chosen)
    assert len(caught.value.problems) == len(scaling.POOLED)
    refused = new_desk(tmp_path).script(LOAD, **WORKS, **chosen)
    assert refused.stderr.strip() == caught.value.problems[0]


@pytest.mark.parametrize(
    "chosen",
    [
        {"WORKERS": "1"},
        {"WORKERS": "1", "DB_POOL_MAX": "90"},
        {"WORKERS": "4", "DB_POOL_MAX": "3"},
        {"WORKERS": "3", "POOLER": "pgbouncer", "DB_POOL_MAX": "50"},
        {"TOPOLOGY": "scaled", "DB_POOL_MAX": "60"},
        {"TOPOLOGY": "scaled", "POOLER": "none", "DB_POOL_MAX": "60"},
    ],
)
def test_both_start_ups_give_the_databases_the_same_room(tmp_path: Path, chosen: dict[str, str]) -> None:
    done = new_desk(tmp_path).script(LOAD + "write_files", **WORKS, **chosen)
    assert done.returncode == 0, done.stderr
    written = envfile.read(tmp_path / "run" / "compose.env")
    wanted = settings.read(chosen).env
    pool, pooled = int(chosen.get("DB_POOL_MAX", "20")), wanted["POOLER"] == "pgbouncer"
    for part in scaling.POOLED:
        name = f"PG_{part.upper()}_CONNECTIONS"
        assert written[name] == wanted[name]
        assert int(wanted[name]) >= scaling.replicas(wanted, part) * (pool + 2) + 10 + 40 * pooled
    assert written.get("POOLER_CLIENTS") == (wanted["POOLER_CLIENTS"] if pooled else None)


@pytest.mark.parametrize(
    ("chosen", "overlays"),
    [
        ({}, []),
        ({"POOLER": "pgbouncer"}, ["pooler"]),
        ({"POOLER": "none", "CACHE": "memory"}, []),
        ({"CACHE": "redis"}, ["redis", "cache"]),
        ({"RATE_LIMIT_BACKEND": "redis"}, ["redis", "limiter"]),
        ({"TOPOLOGY": "scaled"}, ["scaled", "pooler", "scaled.pooler"]),
        ({"OVERLAYS": "scaled", "POOLER": "none"}, ["scaled"]),
        (
            {"TOPOLOGY": "scaled", "POOLER": "none", "CACHE": "redis"},
            ["scaled", "redis", "cache", "scaled.cache"],
        ),
        ({"OVERLAYS": "limits,pooler"}, ["limits", "pooler"]),
    ],
)
def test_containers_take_the_files_that_settings_ask_for(
    tmp_path: Path, chosen: dict[str, str], overlays: list[str]
) -> None:
    desk = new_desk(tmp_path)
    assert desk.script("overlays", **WORKS, **chosen).stdout.split() == overlays
    folder = Path(joints.HERE)
    assert all((folder / f"compose.{name}.yaml").is_file() for name in overlays)


@pytest.mark.parametrize(
    "later", [{}, {"POOLER": "none"}, {"POOLER": "pgbouncer"}, {"CACHE": "none"}, {"TOPOLOGY": "scaled"}]
)
def test_what_runs_decides_for_every_command_but_up(tmp_path: Path, later: dict[str, str]) -> None:
    desk = new_desk(tmp_path)
    desk.script(LOAD + "write_files", **WORKS, TOPOLOGY="scaled", POOLER="none", CACHE="redis")
    in_effect = ["scaled", "redis", "cache", "scaled.cache"]
    assert desk.script("overlays", **WORKS, **later).stdout.split() == in_effect
    assert desk.script(LOAD + "overlays", **WORKS, **later).stdout.split() == in_effect
    assert "REDIS_PORT=6380" in (desk.run_dir / "ports.env").read_text()


@pytest.mark.parametrize(
    ("later", "overlays"),
    [
        ({}, ["redis", "cache", "pooler"]),
        ({"DB_POOL_MAX": "7"}, ["redis", "cache", "pooler"]),
        ({"CACHE": "none"}, []),
        ({"CACHE": "redis", "POOLER": "none"}, ["redis", "cache"]),
        ({"TOPOLOGY": "single"}, []),
    ],
)
def test_up_starts_what_is_asked_for_now_or_what_runs(
    tmp_path: Path, later: dict[str, str], overlays: list[str]
) -> None:
    desk = new_desk(tmp_path)
    desk.script(LOAD + "write_files", **WORKS, POOLER="pgbouncer", CACHE="redis")
    assert desk.script(f"STARTS=1; {LOAD} overlays", **WORKS, **later).stdout.split() == overlays


def test_limits_stay_those_of_what_runs(tmp_path: Path) -> None:
    desk = new_desk(tmp_path)
    show = LOAD + 'say "$LIMITS $MEMORY_UPLOAD_MB"'
    assert desk.script(show, **WORKS, OVERLAYS="limits").stdout.split() == ["small", "2048"]
    desk.script(LOAD + "write_files", **WORKS, OVERLAYS="limits", LIMITS="micro")
    assert desk.script(show, **WORKS).stdout.split() == ["micro", "1024"]
    assert desk.script(f"STARTS=1; {show}", **WORKS, LIMITS="medium").stdout.split() == ["medium", "4096"]


def test_redis_memory_is_in_the_budget(tmp_path: Path) -> None:
    desk = new_desk(tmp_path)
    sums = [
        int(desk.script(LOAD + "memory_budget", **WORKS, **chosen).stdout)
        for chosen in ({}, {"CACHE": "redis"}, {"POOLER": "pgbouncer"})
    ]
    assert (sums[1] - sums[0], sums[2] - sums[0]) == (128, 64)


def test_the_password_of_redis_is_in_a_file_for_its_owner_only(tmp_path: Path) -> None:
    joints.write_redis(tmp_path / "redis", env(CACHE="redis"))
    path = tmp_path / "redis" / "redis.conf"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert f'requirepass "{SECRETS["REDIS_PASSWORD"]}"' in text
    assert "${" not in text
    for line in (
        "bind 127.0.0.1",
        'save ""',
        "appendonly no",
        "maxmemory 64mb",
        "maxmemory-policy allkeys-lru",
    ):
        assert f"\n{line}\n" in text
    assert not [word for one in parts(CACHE="redis").values() for word in one.command if "secret-of" in word]


def test_what_stays_off_is_no_program_to_be_fetched() -> None:
    assert scaling.programs(env()) == ()
    assert scaling.programs(env(TOPOLOGY="scaled", POOLER="none")) == ("nginx",)
    assert set(switches.CHOICES) <= set(settings.CHOICES)
