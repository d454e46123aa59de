"""The description of the processes against the processes' own settings, and against secrets leaking."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose import envfile, part, scaling, settings, switches, topology
from compose.credentials import SIZES
from compose.envfile import EnvError
from compose.part import Part
from gateway.settings import Settings as GatewaySettings
from services.auth.settings import Settings as AuthSettings
from services.files.settings import Settings as FilesSettings
from services.kit.settings import ProcessSettings
from services.upload.settings import Settings as UploadSettings

pytestmark = pytest.mark.unit

PROCESSES: dict[str, type[ProcessSettings]] = {
    "gateway": GatewaySettings,
    "auth": AuthSettings,
    "upload": UploadSettings,
    "files": FilesSettings,
}
# Read by Python and the C library, not by us.
INTERPRETER = {"PYTHONUNBUFFERED", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX"}
SYSTEM = {"PATH", "HOME", "LANG"}
# Loopback; neither pooler nor Redis until a setting asks; of the services each has a port of its own.
FIXED = {
    "ADMIN_HOST",
    "HOST",
    "DATABASE_DIRECT_URL",
    "DATABASE_POOLER_URL",
    "POOLER",
    "REDIS_URL",
    "REUSE_PORT",
}
FOUND = {
    "ROOT": "/checkout",
    "RUN_DIR": "/checkout/.run",
    "PYTHON": "/venv/bin/python",
    "CORES": "2",
    "PG_ACCOUNT": "",
    "PG_DATA_DIR": "/checkout/.run/pg",
    "POSTGRES_BIN_DIR": "/tools/postgres/bin",
    "POSTGRES_VERSION": "16",
    "MINIO_BIN": "/tools/minio",
    "MINIO_VERSION": "1",
    "VERSITYGW_BIN": "/tools/versitygw",
    "VERSITYGW_VERSION": "1",
    "PROMETHEUS_BIN": "/tools/prometheus",
    "PROMETHEUS_VERSION": "2",
    "POSTGRES_EXPORTER_BIN": "/tools/postgres_exporter",
    "POSTGRES_EXPORTER_VERSION": "0",
    "NODE_EXPORTER_BIN": "/tools/node_exporter",
    "NODE_EXPORTER_VERSION": "1",
    "PROCESS_EXPORTER_BIN": "/tools/process_exporter",
    "PROCESS_EXPORTER_VERSION": "0",
    "GRAFANA_BIN": "/grafana/bin/grafana",
    "GRAFANA_VERSION": "13",
    "VERSION": "0",
}
SECRETS = {name: f"secret-of-{name}" for name in SIZES}
EVERYTHING = {str(field.alias) for cls in PROCESSES.values() for field in cls.model_fields.values()}


def env(**more: str) -> dict[str, str]:
    names: tuple[str, ...] = ("TOPOLOGY", "REPLICAS", "WORKERS", "DB_POOL_MAX", *switches.CHOICES)
    chosen = {name: more[name] for name in names if name in more}
    if chosen.get("TOPOLOGY") != scaling.SCALED:
        chosen.setdefault("WORKERS", "1")  # whatever machine this is
    return {**dict(settings.read(chosen).env), **SECRETS, **FOUND, **more}


def parts(**more: str) -> dict[str, Part]:
    return {one.name: one for one in topology.load_topology(env(**more))}


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_gets_every_setting_it_reads_and_no_other(name: str) -> None:
    keys = {field.alias for field in PROCESSES[name].model_fields.values()}
    ports = {key: value for key, value in env().items() if key.endswith("_PORT")}
    set_already = {*ports, *env(), *switches.CHOICES}
    somebody_set_all = {key: "1" for key in EVERYTHING if key not in set_already}
    somebody_set_all |= {"CACHE": "none", "RATE_LIMIT_BACKEND": "memory"}
    got = set(parts(**somebody_set_all)[name].env)
    assert got - INTERPRETER - SYSTEM - FIXED == keys - FIXED


@pytest.mark.parametrize("name", PROCESSES)
def test_nothing_optional_is_set_by_itself(name: str) -> None:
    values = parts()[name].env
    assert "LOG_LEVEL" not in values
    assert values["BENCH_ENDPOINTS"] == "1"
    assert values["MALLOC_ARENA_MAX"] == "1"


def test_each_secret_goes_only_where_it_is_used() -> None:
    holders = {
        secret: {name for name, one in parts().items() if any(value in text for text in one.env.values())}
        for secret, value in SECRETS.items()
    }
    assert holders["JWT_SECRET"] == {"gateway", "auth"}
    assert holders["S3_SECRET_KEY"] == {"store-key", "upload", "files"}
    assert holders["MINIO_ROOT_PASSWORD"] == {"minio", "store-key"}
    assert holders["PG_AUTH_PASSWORD"] == {"roles"}
    assert holders["DB_AUTH_PASSWORD"] == holders["DB_AUTH_MIGRATOR_PASSWORD"] == {"roles", "auth"}
    assert holders["DB_MONITOR_PASSWORD"] == {"roles", *(f"exporter-pg-{name}" for name in scaling.POOLED)}
    assert holders["INTERNAL_KEY_UPLOAD_FILES"] == {"upload", "files"}


def test_no_secret_is_in_an_argument_list() -> None:
    words = [word for one in parts().values() for word in one.command]
    words += [word for one in parts().values() if one.ready and one.ready.exec for word in one.ready.exec]
    assert not [word for word in words for secret in SECRETS.values() if secret in word]


def test_no_secret_is_in_a_file_of_the_start_up() -> None:
    folder = Path(topology.NATIVE).parent
    for path in (*folder.glob("*.yaml"), *folder.glob("*.env"), *folder.glob("*.toml")):
        assert "minioadmin" not in path.read_text()
        for line in path.read_text().splitlines():
            key, found, value = line.strip().partition(": ")
            assert not (found and key in SIZES and "${" not in value), line


def test_every_port_of_the_file_belongs_to_one_part() -> None:
    known = envfile.read(settings.PORTS)
    used = [port for one in parts().values() for port in one.ports]
    nobodys = {"HARNESS_METRICS_PORT", *scaling.unused_ports({})}
    expected = [int(value) for key, value in known.items() if key.endswith("_PORT") and key not in nobodys]
    assert sorted(used) == sorted(expected)


def test_edges_lead_to_parts_and_have_no_circle() -> None:
    found = parts()
    seen: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"circle: {path}"
        for other in found[name].after:
            visit(other, (*path, name))
        seen.append(name)

    for name in found:
        visit(name, ())
    assert seen.index("pg-auth") < seen.index("auth") < seen.index("gateway")


def test_every_missing_name_is_reported() -> None:
    lacking = env()
    del lacking["JWT_SECRET"], lacking["S3_PORT"]
    with pytest.raises(EnvError) as caught:
        topology.load_topology(lacking)
    told = "\n".join(caught.value.problems)
    assert "auth needs JWT_SECRET" in told
    assert "minio needs S3_PORT" in told


def test_another_store_takes_the_place_of_the_usual_one() -> None:
    usual, other = parts(), parts(STORE="versitygw")
    assert {*usual} - {*other} == {"minio"}
    assert {*other} - {*usual} == {"versitygw"}
    assert "versitygw" in other["upload"].after
    assert "versitygw" in other["files"].after
    assert set(other["versitygw"].ports) < set(usual["minio"].ports)
    assert other["store-key"].env == {**usual["store-key"].env, "STORE": "versitygw"}
    for name in {*usual} & {*other} - {"store-key"}:
        assert usual[name].env == other[name].env, "nobody else has to know"


def test_a_part_left_out_is_waited_for_by_nobody() -> None:
    found = {one.name: one for one in topology.load_topology(env(), without=["minio", "store-key"])}
    assert "minio" not in found
    assert found["upload"].after == {"pg-upload": "healthy", "roles": "done"}


def test_parts_survive_the_wire() -> None:
    described = list(parts().values())
    assert part.load(part.dump(described)) == described


def test_the_same_testbed_from_another_shell_is_the_same() -> None:
    assert part.dump(topology.load_topology(env(PATH="/a", HOME="/b", LANG="x"))) == part.dump(
        topology.load_topology(env(PATH="/c", HOME="/d", LANG="y"))
    )
