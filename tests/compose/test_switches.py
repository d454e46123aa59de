"""What settings ask for beside the base testbed: each switch alone, then all of them with two of each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from compose import envfile
from tests.compose.bed import UP_WITHIN_S, Bed, new_bed
from tests.compose.conftest import Visitor
from tests.contract import flows
from tests.contract.flows import MIB, Proxy

pytestmark = [pytest.mark.docker, pytest.mark.timeout(UP_WITHIN_S)]
SMOKE_WITHIN_S = 600
ASK = "import sys, urllib.request as web; sys.stdout.buffer.write(web.urlopen(sys.argv[1]).read())"
CLIENTS = 'REDISCLI_AUTH=$REDIS_PASSWORD redis-cli -p "$REDIS_PORT" client list'
BACKENDS = """PGPASSWORD=$POSTGRES_PASSWORD psql -h 127.0.0.1 -U app -d "$0" -Atc \
    "SELECT DISTINCT client_addr FROM pg_stat_activity WHERE usename = 'service'"
"""
DECIDES = ("TOPOLOGY", "WORKERS", "POOLER", "CACHE", "RATE_LIMIT_BACKEND")
PATIENT = {"REDIS_TIMEOUT_S": "2.0"}  # the machine of a test is slow, Redis is not
POOLED = ("auth", "upload", "files")


@dataclass(frozen=True, slots=True)
class Switch:
    """What is chosen, and the containers that use Redis and the pooler then."""

    chosen: dict[str, str]
    redis: tuple[str, ...] = ()
    pooled: tuple[str, ...] = ()


SWITCHES = {
    "limiter": Switch({"RATE_LIMIT_BACKEND": "redis", "WORKERS": "2", **PATIENT}, redis=("gateway",)),
    "cache": Switch({"CACHE": "redis", "WORKERS": "2", **PATIENT}, redis=("upload", "files")),
    "pooler": Switch({"POOLER": "pgbouncer", "DB_POOL_MAX": "7"}, pooled=POOLED),
    "all": Switch(
        {"TOPOLOGY": "scaled", "RATE_LIMIT_BACKEND": "redis", "CACHE": "redis", **PATIENT},
        redis=("gateway", "gateway-2", "upload", "upload-2", "files", "files-2"),
        pooled=(*POOLED, "upload-2", "files-2"),
    ),
}


@pytest.fixture(params=SWITCHES)
def switched(daemon: str, without: str, request: pytest.FixtureRequest) -> Iterator[tuple[Bed, Switch]]:
    switch = SWITCHES[request.param]
    with new_bed(daemon, WITHOUT=without, **switch.chosen) as bed:
        bed.good("up", timeout_s=UP_WITHIN_S)
        assert "All checks passed" in bed.good("smoke", timeout_s=SMOKE_WITHIN_S)
        yield bed, switch


async def test_what_is_asked_for_runs_is_used_and_can_be_missed(
    switched: tuple[Bed, Switch], visitor: Visitor
) -> None:
    bed, switch = switched
    told = bed.good("doctor")
    for part, users, image in (
        ("redis", switch.redis, "redis:7.2"),
        ("pgbouncer", switch.pooled, "edoburu/pgbouncer"),
    ):
        assert bool(bed.container(part)) == bool(users)
        assert (f"ok    running  {part}: healthy" in told) == bool(users)
        assert (image in told) == bool(users)
    for part in {*switch.redis, *switch.pooled}:
        found = settings_of(bed, part)
        wanted = {**switch.chosen, "POOLER": "pgbouncer"} if part in switch.pooled else switch.chosen
        assert {name: str(found[name]) for name in wanted if name in found}.items() <= wanted.items()
    if switch.pooled:
        for part in POOLED:
            asked = bed.inside(f"pg-{part}", "sh", "-c", BACKENDS, f"{part}_db")
            assert asked.stdout.split() == [address(bed, "pgbouncer")], asked.stderr
    affected = sorted({*switch.redis, *switch.pooled})
    before = [bed.container(part) for part in affected]
    unsaid(bed).good("up", timeout_s=UP_WITHIN_S)
    assert [bed.container(part) for part in affected] == before, "what runs stays as it is"
    if switch.redis:
        user = await visitor(bed)
        services = {address(bed, part): part.removesuffix("-2") for part in switch.redis}
        for service in {*services.values()}:
            prefix = "" if service == "gateway" else f"/api/{service}"
            assert (await user.ok("GET", f"{prefix}/health/detailed"))["checks"]["redis"]["ok"] is True
        listed = bed.inside("redis", "sh", "-c", CLIENTS)
        clients = set(re.findall(r" addr=([0-9.]+):", listed.stdout)) - {"127.0.0.1"}
        assert {services.get(one, one) for one in clients} == {*services.values()}, listed.stderr
        bed.docker("stop", bed.container("redis"))
        data = flows.payload(2 * MIB)
        upload = await flows.run(Proxy(), user, data)
        assert await flows.content(user, upload.uuid) == data


def unsaid(bed: Bed) -> Bed:
    """The same testbed for somebody who says nothing of what is to run."""
    return replace(bed, env={name: value for name, value in bed.env.items() if name not in DECIDES})


def settings_of(bed: Bed, part: str) -> dict[str, Any]:
    """What is in effect, as the first process of a container tells on its admin port."""
    port = envfile.read(bed.folder / "run" / "ports.env")[f"{part.removesuffix('-2').upper()}_ADMIN_PORT"]
    answer = bed.inside(part, "python", "-c", ASK, f"http://127.0.0.1:{port}/settings")
    found: dict[str, Any] = json.loads(answer.stdout)["settings"]
    return found


def address(bed: Bed, part: str) -> str:
    (network,) = bed.facts(part)["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])
