"""compose.yaml against native.yaml: one topology, written twice because two programs read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from compose import envfile, scraping, settings, topology
from compose.installer import recipe
from compose.settings import ROOT
from compose.top import containers
from tests.unit.compose.test_topology import env

pytestmark = pytest.mark.unit

FOLDER = ROOT / "compose"
CONTAINERS: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
PROCESSES: dict[str, dict[str, Any]] = {
    name: part
    for name, part in yaml.safe_load(topology.NATIVE.read_text())["parts"].items()
    # An image there, and natively whatever somebody has.
    if name != "grafana"
}
OURS = ("auth", "upload", "files", "gateway")
EXPORTERS = tuple(scraping.EXPORTERS)
ONCE = tuple(name for name, part in PROCESSES.items() if part.get("oneshot"))
UNASKED = "exporter-processes"  # its image holds one program and nothing that could ask it
IMAGES, MEMORY, HEALTH = (envfile.read(FOLDER / f"{name}.env") for name in ("images", "memory", "health"))
MORE = {f"MORE_{name.upper()}_{what}" for name in OURS for what in ("PORTS", "ADMIN_PORTS", "URLS")}
BY_WORKERS = (
    MORE | {f"PG_{name.upper()}_CONNECTIONS" for name in OURS} | {"UPLOAD_PROCESSES", "FILES_PROCESSES"}
)
PUBLISHED = {"gateway", "minio", "prometheus", "grafana"}
NAME = re.compile(r"\$\{([A-Z0-9_]+)")
# What differs by nature: addresses inside the network, and where a container listens.
ADDRESSES = {
    "DATABASE_URL",
    "DATABASE_DIRECT_URL",
    "AUTH_URLS",
    "UPLOAD_URLS",
    "FILES_URLS",
    "S3_ENDPOINT",
    "SPOOL_DIR",
    "HOST",
}
# Empty in every container that may ask something over HTTP: Docker would hand on a proxy of the person's.
NO_PROXY = {
    one for name in ("HTTP", "HTTPS", "ALL", "NO") for one in (f"{name}_PROXY", f"{name.lower()}_proxy")
}
ONLY_INSIDE = {"HOST", "ADMIN_HOST", "HOME", *NO_PROXY}
ONLY_OUTSIDE = {"REUSE_PORT"}  # inside, whoever starts the processes says so


def names(value: Any) -> set[str]:
    """Every ${NAME} in a value, however deep."""
    return set(NAME.findall(yaml.safe_dump(value, width=10_000)))


def ports(value: Any) -> set[str]:
    return {name for name in names(value) if name.endswith("_PORT")}


def listens(container: Mapping[str, Any]) -> set[str]:
    """The ports a container listens on, wherever its program takes them from."""
    environment = container.get("environment", {})
    own = {key: environment[key] for key in ("PORTS", "ADMIN_PORTS", "PGPORT") if key in environment}
    return ports(own) | ports(container.get("command", []))


def test_those_that_end_are_known_wherever_states_are_read() -> None:
    assert set(containers.ONCE) == set(ONCE)
    assert f"/^({'|'.join(ONCE)})$/" in (FOLDER / "docker" / "view.sh").read_text()


def test_the_same_parts_and_grafana() -> None:
    assert set(CONTAINERS) == set(PROCESSES) | {"grafana"}


@pytest.mark.parametrize("name", PROCESSES)
def test_the_same_ports(name: str) -> None:
    assert listens(CONTAINERS[name]) == set(PROCESSES[name].get("ports", ()))


@pytest.mark.parametrize("name", PROCESSES)
def test_the_same_edges_each_after_health(name: str) -> None:
    edges: dict[str, dict[str, str]] = CONTAINERS[name].get("depends_on", {})
    assert list(edges) == PROCESSES[name].get("after", [])
    for part, edge in edges.items():
        ends = "service_completed_successfully" if part in ONCE else "service_healthy"
        assert edge["condition"] == ends


@pytest.mark.parametrize("name", [name for name in PROCESSES if name not in (UNASKED, *ONCE)])
def test_the_same_question_about_health(name: str) -> None:
    asked = " ".join(CONTAINERS[name]["healthcheck"]["test"])
    ready = PROCESSES[name]["ready"]
    if "sql" in ready:
        assert asked.endswith(f"-h 127.0.0.1 -U app -d {ready['sql']}")
        assert CONTAINERS[name]["environment"]["PGPORT"] == ready["port"]
    else:
        port, path = re.fullmatch(
            r"http://(?:127\.0\.0\.1|\$\{GATEWAY_ADDRESS\}):(\$\{\w+\})(/.*)", ready["http"]
        ).groups()  # type: ignore[union-attr]
        assert port in asked
        assert path in asked


def test_as_many_bad_answers_as_natively_make_a_container_unhealthy() -> None:
    described = [yaml.safe_load(file.read_text())["services"] for file in FOLDER.glob("compose*.yaml")]
    asked = [part["healthcheck"] for parts in described for part in parts.values() if "healthcheck" in part]
    assert {one["retries"] for one in asked} == {"${HEALTH_RETRIES}"}
    found = topology.load_topology(env())
    probes = [probe for part in found for probe in (part.ready, part.live) if probe]
    assert {probe.retries for probe in probes} == {int(HEALTH["HEALTH_RETRIES"])} == {3}


@pytest.mark.parametrize("name", [*OURS, *ONCE, "minio"])
def test_the_same_settings(name: str) -> None:
    """Fixed values are equal; what somebody may set natively is handed on to the container, too."""
    inside = CONTAINERS[name]["environment"]
    outside = PROCESSES[name]["environment"]
    handed_on = {key for key, value in inside.items() if value is None}
    assert handed_on == set(PROCESSES[name].get("optional", ()))
    # Inside, a list for all processes of the container.
    lists = {"PORTS": "PORT", "ADMIN_PORTS": "ADMIN_PORT"}
    fixed = {lists.get(key, key): value for key, value in inside.items() if value is not None}
    assert set(fixed) - ONLY_INSIDE == set(outside) - ONLY_INSIDE - ONLY_OUTSIDE
    # `:?` is Compose's way to refuse an empty value; the other start-up refuses every one. `:-` has the value
    # that the other one works out.
    plain = {key: re.sub(r":[?-][^}]*|\$\{MORE_\w+\}", "", value) for key, value in fixed.items()}
    wanted = {key: value.replace("${REPLICA}", "1") for key, value in outside.items()}
    differing = {key for key in set(plain) & set(wanted) if plain[key] != wanted[key]}
    assert differing <= ADDRESSES | {key for key in differing if key.endswith("_URL")}


def test_no_container_that_asks_anything_gets_a_proxy() -> None:
    files = [*FOLDER.glob("compose*.yaml")]
    described = [yaml.safe_load(file.read_text())["services"] for file in files]
    new = {name: part for parts in described for name, part in parts.items() if "image" in part}
    deaf = {"pgbouncer", "redis", "nginx", "toxiproxy"}  # nothing in them asks over HTTP by a proxy's rules
    assert len(new) > len(CONTAINERS)
    for name in new.keys() - deaf:
        assert {key: new[name]["environment"].get(key) for key in NO_PROXY} == dict.fromkeys(NO_PROXY, ""), (
            name
        )
    scripts = "".join(file.read_text() for file in (*files, *(FOLDER / "docker").glob("*.sh")))
    asking = re.findall(r"\bwget\b[ ,].*", scripts)
    assert asking
    assert not [line for line in asking if not re.search(r"-Y\W+off", line)]


def test_a_container_is_known_by_the_run_folder_of_its_testbed() -> None:
    marked = {
        name
        for name, part in CONTAINERS.items()
        if part.get("labels") == {"vaultbench.run_dir": "${RUN_DIR}"}
    }
    assert marked == set(CONTAINERS)


def test_images_can_be_read_by_the_account_that_runs_them() -> None:
    for name in ("Dockerfile", "Dockerfile.bench"):
        assert "chmod -R a+rX /app" in (FOLDER / name).read_text(), "a clone under umask 077"


@pytest.mark.parametrize("name", EXPORTERS)
def test_exporters_are_told_the_same(name: str) -> None:
    """But for addresses, and for what a container cannot see of the machine or sees as its own."""
    inside, outside = CONTAINERS[name], PROCESSES[name]
    addressed = {"DATA_SOURCE_URI"}
    for key, value in outside["environment"].items():
        found = inside["environment"][key]
        assert found == value or (key in addressed and found.partition(":")[2] == value.partition(":")[2])
    assert set(inside["environment"]) - NO_PROXY == set(outside["environment"])
    placed = ("--web.listen-address", "-web.listen-address", "-config.path")
    differing = {word for word in inside["command"] if not word.startswith(placed)} ^ {
        word for word in outside["command"][1:] if not word.startswith(placed)
    }
    own = {"--path.procfs=/etc/exporter/proc", "--no-collector.netdev.netlink", "--collector.filesystem"}
    assert differing == (own if name == "exporter-host" else set())


@pytest.mark.parametrize("name", EXPORTERS)
def test_exporters_are_nobody_and_only_two_see_the_machine(name: str) -> None:
    one = CONTAINERS[name]
    assert one["user"] == "65534:65534"
    assert ("pid" in one) == (name in {"exporter-host", UNASKED})
    assert not {"cap_add", "privileged", "network_mode"} & set(one)
    assert all(volume.endswith(":ro") for volume in one.get("volumes", ()))


@pytest.mark.parametrize("name", OURS)
def test_addresses_name_the_part_and_its_own_port(name: str) -> None:
    inside = CONTAINERS[name]["environment"]
    for key in ADDRESSES - {"HOST", "SPOOL_DIR"}:
        for host, port in re.findall(r"(?:@|//)([a-z-]+):\$\{(\w+_PORT)\}", inside.get(key, "")):
            assert port in listens(CONTAINERS[host]), key
        assert key not in inside or "127.0.0.1" not in inside[key]


@pytest.mark.parametrize("name", [name for name in PROCESSES if name != "prometheus"])
def test_stopped_the_same_way(name: str) -> None:
    stop = PROCESSES[name].get("stop", {"signal": "SIGTERM", "grace_s": 10})
    inside = CONTAINERS[name]
    assert inside.get("stop_signal", "SIGTERM") == stop["signal"]
    assert inside["stop_grace_period"] == f"{stop['grace_s']}s"


def test_the_databases_have_the_same_configuration() -> None:
    from compose.postgres import CONFIGURATION  # noqa: PLC0415

    for name in ("pg-auth", "pg-upload", "pg-files"):
        assert CONTAINERS[name]["command"][2] == f"port={CONTAINERS[name]['environment']['PGPORT']}"
        for word in CONTAINERS[name]["command"][4::2]:
            key, _, value = word.partition("=")
            assert f"{key} = {value}" in CONFIGURATION or word in PROCESSES[name]["command"]
        assert (
            "--locale=C -E UTF8 -A scram-sha-256" in CONTAINERS[name]["environment"]["POSTGRES_INITDB_ARGS"]
        )


@pytest.mark.parametrize("parts", [CONTAINERS, PROCESSES], ids=["containers", "processes"])
def test_the_store_keeps_the_parts_of_every_upload_that_may_be_open(parts: dict[str, dict[str, Any]]) -> None:
    """Uploads live up to 28 days, however active: see the database function ``prolonged``."""
    hours = parts["minio"]["environment"]["MINIO_API_STALE_UPLOADS_EXPIRY"].removesuffix("h")
    assert int(hours) >= (28 + 1) * 24


def test_only_what_people_open_is_published_and_only_here() -> None:
    found = {name: one["ports"] for name, one in CONTAINERS.items() if "ports" in one}
    assert set(found) == PUBLISHED
    for name, lines in found.items():
        for line in lines:
            where, outside, inside = re.fullmatch(r"(.+):(\$\{\w+\}):(\$\{\w+\})", line).groups()  # type: ignore[union-attr]
            assert outside == inside, "the port is part of what a presigned URL signs"
            assert where == ("${GATEWAY_HOST}" if name == "gateway" else "127.0.0.1")
    assert envfile.read(settings.PORTS)["GATEWAY_HOST"] == "127.0.0.1"


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_is_locked_down_and_bounded(name: str) -> None:
    one = CONTAINERS[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in one["security_opt"]
    assert one["mem_limit"] == f"${{MEMORY_{name.upper().replace('-', '_')}_MB}}m"
    assert re.fullmatch(r"\$\{[A-Z0-9_]+_IMAGE\}", one["image"])


def test_the_budget_counts_every_container_once() -> None:
    assert {f"MEMORY_{name.upper().replace('-', '_')}_MB" for name in (*CONTAINERS, "bench")} == set(MEMORY)
    assert all(value.isdecimal() for value in MEMORY.values())


def test_the_page_has_the_same_sums() -> None:
    page = (ROOT / "docs" / "compose.md").read_text()
    run = int(MEMORY["MEMORY_BENCH_MB"])
    assert f"prints their sum ({sum(map(int, MEMORY.values())) - run} MiB)" in page
    assert f"measures adds ({run} MiB" in page


@pytest.mark.parametrize("name", OURS)
def test_our_processes_come_back_after_a_crash(name: str) -> None:
    assert CONTAINERS[name]["restart"] == "on-failure"


def test_every_name_has_a_value_from_a_file_a_secret_or_the_start_up() -> None:
    computed = {"CORES", "STORE_CORS_ORIGINS", "RUN_DIR", "GRAFANA_HOME_DASHBOARD", *BY_WORKERS}
    secrets = set(re.findall(r"^([A-Z]\w+) \d", (FOLDER / "secrets.list").read_text(), re.MULTILINE))
    known = {*IMAGES, *MEMORY, *HEALTH, *envfile.read(settings.PORTS), *secrets, *computed}
    assert names(CONTAINERS) <= known


def test_images_are_pinned_and_agree_with_the_programs_of_the_other_start_up() -> None:
    toolchain, recipes = recipe.load()
    tags = {name: image.partition("@")[0].rpartition(":")[2] for name, image in IMAGES.items()}
    assert all(tag and tag != "latest" for tag in tags.values())
    assert tags["MINIO_IMAGE"] == recipes["minio"].version
    assert tags["K6_IMAGE"] == recipes["k6"].version
    assert tags["TOXIPROXY_IMAGE"] == recipes["toxiproxy"].version
    assert tags["POSTGRES_IMAGE"].startswith(f"{recipes['postgres'].version}-")
    assert tags["PROMETHEUS_IMAGE"] == f"v{recipes['prometheus-go'].version}"
    for name in scraping.EXPORTER_PROGRAMS:
        assert tags[f"{name.upper()}_IMAGE"].removeprefix("v") == recipes[name].version
    assert tags["GO_IMAGE"].partition("-")[0] == toolchain.requirement.partition("==")[2]


def test_no_image_is_named_anywhere_else() -> None:
    for path in (*FOLDER.glob("compose*.yaml"), *FOLDER.glob("Dockerfile*")):
        stages = set(re.findall(r"^FROM .* AS (\S+)$", text := path.read_text(), re.M))
        for line in text.splitlines():
            image = re.match(r"\s*(?:image:|FROM)\s+(\S+)", line)
            assert image is None or image[1] in stages or image[1].startswith("${"), f"{path.name}: {line}"


def test_words_that_the_older_compose_refuses_are_absent() -> None:
    for path in FOLDER.glob("compose*.yaml"):
        described = yaml.safe_load(path.read_text())
        assert not {"name", "include", "version"} & set(described), path.name
        for one in described["services"].values():
            assert "develop" not in one
            assert "start_interval" not in one.get("healthcheck", {})
            assert not isinstance(one.get("env_file"), list)


def test_dockerfiles_build_with_the_legacy_builder() -> None:
    for path in FOLDER.glob("**/*Dockerfile*"):
        text = path.read_text()
        code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        assert "# syntax" not in text
        assert not re.search(r"--mount|--link|--chmod|<<", code), path


def test_the_health_of_a_container_asks_with_what_its_image_has() -> None:
    asked = {name: one["healthcheck"] for name, one in CONTAINERS.items() if "healthcheck" in one}
    assert set(CONTAINERS) - set(asked) == {UNASKED, *ONCE}
    programs = {name: one["test"][1] for name, one in asked.items()}
    with_busybox = {"prometheus", "grafana", *EXPORTERS} - {UNASKED}
    assert {name for name, program in programs.items() if program == "wget"} == with_busybox
    assert {program for name, program in programs.items() if name.startswith("pg-")} == {"pg_isready"}
    assert {programs[name] for name in (*OURS, "minio")} == {"bash"}
