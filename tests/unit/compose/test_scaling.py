"""The scaled topology as it is described: names, ports, addresses, and who knows which password."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from compose import joints, logs, roll, scaling, settings, stack
from compose.envfile import EnvError
from compose.part import Part
from compose.postgres import Place
from compose.stack import StackError
from compose.trace.sources import FileLogs
from services.kit.settings import SettingsError
from services.kit.upstream.replicas import REST_S
from services.upload.settings import Settings as UploadSettings
from tests.environment import load
from tests.unit.compose.test_topology import SECRETS, env

pytestmark = pytest.mark.unit
TOOLS = {
    "NGINX_BIN": "/tools/nginx",
    "NGINX_VERSION": "1",
    "PGBOUNCER_BIN": "/bin/true",
    "PGBOUNCER_VERSION": "1",
    "PGBOUNCER_DIR": "/checkout/.run/pg/pgbouncer",
}


def scaled(replicas: int = 2, **more: str) -> dict[str, str]:
    return env(TOPOLOGY="scaled", REPLICAS=str(replicas), **TOOLS, **more)


def parts(replicas: int = 2) -> dict[str, Part]:
    return {one.name: one for one in stack.resolve(scaled(replicas), without=["prometheus"])}


def test_the_first_replica_keeps_its_ports_and_the_others_have_a_block_each() -> None:
    found = parts(3)
    assert {name: found[name].ports for name in ("gateway", "upload", "files")} == {
        "gateway": (9000, 9010),
        "upload": (9002, 9012),
        "files": (9003, 9013),
    }
    assert {name: found[name].ports for name in ("gateway-2", "upload-2", "files-3")} == {
        "gateway-2": (9200, 9210),
        "upload-2": (9202, 9212),
        "files-3": (9223, 9233),
    }
    assert "auth-2" not in found


def test_every_replica_has_a_name_of_its_own() -> None:
    names = [one.env["INSTANCE"] for one in parts(3).values() if "INSTANCE" in one.env]
    assert len(names) == len(set(names)) == 10
    assert {"gateway-1", "upload-3", "files-2", "auth-1"} <= set(names)


def test_clients_go_through_nginx_and_gateways_know_all_replicas() -> None:
    found = parts()
    assert scaled()["GATEWAY_URL"] == "http://127.0.0.1:9080"
    for name in ("gateway", "gateway-2"):
        assert found[name].env["UPLOAD_URLS"] == "http://127.0.0.1:9002,http://127.0.0.1:9202"
        assert found[name].env["TRUSTED_PROXIES"] == "127.0.0.2/32"
    assert found["upload-2"].env["FILES_URLS"] == "http://127.0.0.1:9003,http://127.0.0.1:9203"
    assert set(found["nginx"].after) == {"gateway", "gateway-2"}
    assert {"upload-2", "files-2", "auth"} <= set(found["gateway"].after)


def test_requests_go_through_the_pooler_and_locks_do_not() -> None:
    for name in ("auth", "upload", "upload-2", "files"):
        own = parts()[name].env
        service = name.partition("-")[0]
        assert f"//{service}:" in own["DATABASE_POOLER_URL"]
        assert ":6432/" in own["DATABASE_POOLER_URL"]
        assert "//migrator:" in own["DATABASE_DIRECT_URL"]
        assert own["POOLER"] == "pgbouncer"


def test_replicas_say_that_they_leave_before_the_others_stop_resting_them() -> None:
    for name in ("gateway", "gateway-2", "upload-2", "files-2"):
        assert 0 < float(parts()[name].env["DRAIN_S"]) < min(REST_S, joints.FAIL_TIMEOUT_S)
    assert max(REST_S, joints.FAIL_TIMEOUT_S) < roll.SETTLE_S


def test_alone_nothing_is_balanced_pooled_or_drained() -> None:
    found = {one.name: one for one in stack.resolve(env(), without=["prometheus"])}
    assert not {"nginx", "pgbouncer", "upload-2"} & set(found)
    assert not {"DRAIN_S", "POOLER"} & set(found["upload"].env)
    direct = found["upload"].env["DATABASE_DIRECT_URL"].partition("@")[2]
    assert direct == found["upload"].env["DATABASE_URL"].partition("@")[2]
    assert found["upload"].env["INSTANCE"] == "upload-1"


@pytest.mark.parametrize(
    "given",
    [
        {"TOPOLOGY": "large"},
        {"TOPOLOGY": "scaled", "REPLICAS": "0"},
        {"TOPOLOGY": "scaled", "REPLICAS": "many"},
        {"REPLICAS": "2"},
        {"TOPOLOGY": "scaled", "UPLOAD_2_PORT": "9002"},
    ],
)
def test_bad_choices_are_refused(given: Mapping[str, str]) -> None:
    with pytest.raises(EnvError) as caught:
        settings.read(given)
    assert len(caught.value.problems) == 1
    assert list(given)[-1] in caught.value.problems[0]


def test_ports_of_replicas_can_be_chosen() -> None:
    found = settings.read({"TOPOLOGY": "scaled", "UPLOAD_2_PORT": "7002"}).env
    assert found["UPLOAD_URLS"] == "http://127.0.0.1:9002,http://127.0.0.1:7002"


def test_isolated_testbeds_get_free_ports_for_replicas_too() -> None:
    found = stack.isolated_env({"PATH": "/bin", "TOPOLOGY": "scaled", "REPLICAS": "2"})
    names = [*scaling.default_ports(found), "NGINX_PORT", "UPLOAD_PORT"]
    assert len({found[name] for name in names}) == len(names)
    assert found["UPLOAD_2_PORT"] in found["UPLOAD_URLS"]
    assert found["NGINX_PORT"] in found["GATEWAY_URL"]


def test_nginx_passes_bodies_through_and_leaves_out_who_refuses() -> None:
    text = joints.nginx_conf(scaled(3))
    for line in (
        "proxy_request_buffering off;",
        "proxy_buffering off;",
        "client_max_body_size 0;",
        "proxy_http_version 1.1;",
        "daemon off;",
        "listen 127.0.0.1:9080",
    ):
        assert line in text
    assert text.count("max_fails=1 fail_timeout=2s;") == 3
    assert "non_idempotent" not in text
    assert "${" not in text


def test_the_poolers_files_are_for_its_account_only(tmp_path: Path) -> None:
    place = Place("", tmp_path, tmp_path)
    found = joints.prepare(tmp_path, scaled(), place)
    folder = Path(found["PGBOUNCER_DIR"])
    for name in joints.PGBOUNCER_FILES:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        assert "${" not in (folder / name).read_text()
    assert SECRETS["DB_UPLOAD_PASSWORD"] in (folder / "users.txt").read_text()
    assert "host upload_db upload  127.0.0.1/32 scram-sha-256" in (folder / "hba.conf").read_text()
    assert os.access(tmp_path / "nginx" / "nginx.conf", os.R_OK)


def test_only_replicas_can_be_rolled() -> None:
    running = ["pg-auth", "auth", "upload", "upload-2", "files", "files-2", "gateway", "gateway-2", "nginx"]
    assert roll.names(running) == ["gateway", "gateway-2", "upload", "upload-2", "files", "files-2"]
    with pytest.raises(StackError, match="WORKERS=2"):
        roll.names(["pg-auth", "auth", "upload", "files", "gateway"])


def test_chunks_on_a_disk_need_a_shared_one(tmp_path: Path) -> None:
    own = dict(parts()["upload-2"].env)
    assert load(UploadSettings, {**own, "CHUNK_STORE": "disk"}).spool_shared
    with pytest.raises(SettingsError) as caught:
        load(UploadSettings, {**own, "CHUNK_STORE": "disk", "SPOOL_SHARED": "off"})
    assert "SPOOL_SHARED" in caught.value.problems[0]
    alone = {**own, "CHUNK_STORE": "disk", "SPOOL_SHARED": "off", "UPLOAD_REPLICAS": "1"}
    assert load(UploadSettings, alone).chunk_store == "disk"


def test_a_service_has_the_logs_of_all_its_processes(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("upload", "upload-2", "upload-10", "pg-upload"):
        (tmp_path / "logs" / f"{name}.log").write_text(f"of {name}\n")
    said: list[str] = []
    logs.show(tmp_path, "upload", 10, said.append)
    assert {line for line in said if line.startswith("of ")} == {"of upload", "of upload-2", "of upload-10"}
    said.clear()
    logs.show(tmp_path, "upload-2", 10, said.append)
    assert [line for line in said if line.startswith("of ")] == ["of upload-2"]
    traced = b"".join(FileLogs(tmp_path / "logs").blocks("upload"))
    assert sorted(traced.split(b"\n")[:-1]) == [b"of upload", b"of upload-10", b"of upload-2"]
