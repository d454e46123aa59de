"""What the overlays add to compose.yaml, compared with the description of the plain processes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose import scaling, switches, topology

pytestmark = pytest.mark.unit
FOLDER = Path(topology.NATIVE).parent
Services = dict[str, dict[str, Any]]


CLIENTS_ROADS = {
    "<FAULTS_GATEWAY_PORT>": "gateway:<GATEWAY_PORT>",
    "<FAULTS_PUBLIC_STORE_PORT>": "minio:<S3_PORT>",
}


def services(name: str) -> Services:
    found: Services = yaml.safe_load((FOLDER / name).read_text())["services"]
    return found


def native(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["parts"]
    return found


BASE, SCALED = services("compose.yaml"), services("compose.scaled.yaml")
TWICE = ("gateway", "upload", "files")
NATIVE, POOLED, REDIS = map(native, (switches.SCALED_FILE, switches.POOLER_FILE, switches.REDIS_FILE))
# What is known twice in the scaled topology: an overlay, and the one for the second replicas.
ADDED = {
    name: {**services(f"compose.{name}.yaml"), **services(f"compose.scaled.{name}.yaml")}
    for name in ("pooler", "limiter", "cache")
}


def joined(name: str) -> dict[str, Any]:
    """The environment of a service with the overlay in effect."""
    return {**BASE[name]["environment"], **SCALED[name].get("environment", {})}


def test_the_same_parts_as_natively() -> None:
    seconds = {scaling.part_name(part, 2) for part in TWICE}
    assert set(SCALED) == set(NATIVE) | seconds | {"upload", "files"}  # each is told of all replicas
    assert set(services("compose.pooler.yaml")) == set(POOLED)
    assert {*services("compose.redis.yaml"), *ADDED["limiter"], *ADDED["cache"]} == set(REDIS) | seconds


@pytest.mark.parametrize("part", TWICE)
def test_the_second_replica_is_the_first_under_another_name(part: str) -> None:
    first, second = joined(part), SCALED[f"{part}-2"]
    assert second["environment"] == {**first, "INSTANCE": f"{part}-2"}
    for key in ("command", "mem_limit", "image", "stop_grace_period", "restart", "healthcheck", "read_only"):
        assert second[key] == BASE[part][key]
    assert "ports" not in second


@pytest.mark.parametrize("name", ["upload", "files", "gateway"])
def test_the_same_settings_change(name: str) -> None:
    only_native = {
        "HOST"
    }  # natively the gateway stops listening for others; a container has a network of its own
    start_up = {"FILES_URLS", "UPLOAD_URLS", "DRAIN_S"}  # natively they come from there
    wanted = set(NATIVE.get(name, {}).get("environment", {})) - only_native
    inside = SCALED[name]["environment"]
    assert set(inside) - start_up == wanted
    assert inside.get("DRAIN_S") == scaling.DRAIN_S


@pytest.mark.parametrize(("overlay", "described"), [("pooler", POOLED), ("limiter", REDIS), ("cache", REDIS)])
def test_what_a_setting_asks_for_is_the_same_for_every_replica(
    overlay: str, described: dict[str, dict[str, Any]]
) -> None:
    """Natively and in containers, but for the hosts' names."""

    def plain(environment: dict[str, str]) -> dict[str, str]:
        return {key: re.sub(r"(?<=@)[a-z0-9.-]+", "HOST", value) for key, value in environment.items()}

    for name, added in ADDED[overlay].items():
        if name == "pgbouncer":
            continue
        part = described[name.removesuffix("-2")]
        assert plain(added["environment"]) == plain(part["environment"])
        assert list(added["depends_on"]) == part["after"]
        assert (name in BASE) != name.endswith("-2")


def test_one_description_configures_redis_both_ways() -> None:
    inside = services("compose.redis.yaml")["redis"]
    text = (FOLDER / "redis" / "redis.conf").read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(inside["environment"])
    assert inside["volumes"] == ["./redis:/templates:ro"]
    assert "ports" not in inside
    assert inside["read_only"] is True
    assert not re.search(r"[`'$](?!\{)", text), "a shell fills it in"


def test_only_nginx_is_published_and_everything_has_a_limit() -> None:
    added = set(SCALED) - set(BASE)
    assert {name for name in added if "ports" in SCALED[name]} == {"nginx"}
    assert all("mem_limit" in SCALED[name] and SCALED[name]["read_only"] for name in added)


def test_limits_forbid_swap_and_name_each_process() -> None:
    found = services("compose.limits.yaml")
    assert set(found) == set(scaling.REPLICATED)
    for name, service in found.items():
        assert service["cpus"] == "${LIMIT_CPUS}"
        assert service["memswap_limit"] == BASE[name]["mem_limit"]


def test_every_road_between_parts_leads_through_toxiproxy() -> None:
    text = re.sub(r"\$\{(\w+)\}", r"<\1>", (FOLDER / "toxiproxy" / "proxies.json").read_text())
    proxies = {one["listen"].partition(":")[2]: one["upstream"] for one in json.loads(text)}
    used = set()
    for name, service in services("compose.faults.yaml").items():
        for key, value in service.get("environment", {}).items():
            host, port = re.search(r"[/@](toxiproxy):\$\{(\w+)\}", value).groups()  # type: ignore[union-attr]
            before = BASE[name]["environment"][key]
            target, its_port = re.search(r"[/@]([a-z-]+):\$\{(\w+_PORT)\}", before).groups()  # type: ignore[union-attr]
            assert proxies[f"<{port}>"] == f"{target}:<{its_port}>", (name, key, host)
            used.add(f"<{port}>")
    assert {port: proxies[port] for port in set(proxies) - used} == CLIENTS_ROADS


def test_a_client_has_both_of_its_roads_through_toxiproxy() -> None:
    """One alone would slow one way of uploading and not the other."""
    published = services("compose.faults.yaml")["toxiproxy"]["ports"]
    assert [port.rpartition(":")[2] for port in published] == [
        "${TOXIPROXY_PORT}",
        *(f"${{{port[1:-1]}}}" for port in CLIENTS_ROADS),
    ]
    script = (FOLDER / "docker" / "overlay-faults.sh").read_text()
    assert "\nGATEWAY_URL=http://127.0.0.1:$FAULTS_GATEWAY_PORT\n" in script
    assert "\nS3_PUBLIC_ENDPOINT=http://localhost:$FAULTS_PUBLIC_STORE_PORT\n" in script, (
        "URLs are signed for it"
    )
