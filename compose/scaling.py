"""`TOPOLOGY=scaled`: several gateways, upload and files processes, and what joins them.

nginx stands in front of the gateways, the gateways choose among upload and files replicas themselves, and
PgBouncer stands in front of the databases. Replica 1 keeps the names and ports it has alone; replica k >= 2
gets ports from 9200 + 20 (k - 2) on, each with a variable of its own (UPLOAD_2_PORT, UPLOAD_2_ADMIN_PORT …).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

SINGLE, SCALED = "single", "scaled"
REPLICATED = ("gateway", "upload", "files")
PROGRAMS = ("nginx", "pgbouncer")
CHOSEN = ("TOPOLOGY", "REPLICAS")
DEFAULT_REPLICAS, MOST_REPLICAS = 2, 8
FIRST_PORT, PORTS_PER_REPLICA, ADMIN_OFFSET = 9200, 20, 10
# The place of a process in its replica's ports, as in 9000 to 9003.
PLACE: Mapping[str, int] = {"gateway": 0, "upload": 2, "files": 3}


def scaled(env: Mapping[str, str]) -> bool:
    return env.get("TOPOLOGY") == SCALED


def replicas(env: Mapping[str, str]) -> int:
    """How many of each replicated process run."""
    return int(env.get("REPLICAS") or DEFAULT_REPLICAS) if scaled(env) else 1


def programs(env: Mapping[str, str]) -> tuple[str, ...]:
    """Programs that only this topology needs."""
    return PROGRAMS if scaled(env) else ()


def unused_ports(env: Mapping[str, str]) -> frozenset[str]:
    """Variables of ports on which nothing listens in this topology."""
    return frozenset() if scaled(env) else frozenset(f"{name.upper()}_PORT" for name in PROGRAMS)


def part_name(part: str, replica: int) -> str:
    return part if replica == 1 else f"{part}-{replica}"


def parts_of(env: Mapping[str, str], part: str) -> list[str]:
    """Names of all replicas of a part; of a part that has none, its own."""
    count = replicas(env) if part in REPLICATED else 1
    return [part_name(part, replica) for replica in range(1, count + 1)]


def variables(part: str, replica: int) -> tuple[str, str]:
    """The variables of a replica's public and admin port."""
    number = "" if replica == 1 else f"{replica}_"
    return f"{part.upper()}_{number}PORT", f"{part.upper()}_{number}ADMIN_PORT"


def default_ports(count: int) -> dict[str, str]:
    """The ports of all replicas but the first."""
    found: dict[str, str] = {}
    for replica in range(2, count + 1):
        for part in REPLICATED:
            port = FIRST_PORT + PORTS_PER_REPLICA * (replica - 2) + PLACE[part]
            public, admin = variables(part, replica)
            found |= {public: str(port), admin: str(port + ADMIN_OFFSET)}
    return found


def extended(env: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """`env` with the topology, every replica's ports and the addresses that follow from them.

    `environ` holds what somebody set by hand; that wins.
    """
    if not scaled(environ):
        return {**env, "TOPOLOGY": SINGLE, "REPLICAS": "1"}
    count = replicas(environ)
    ports = {name: environ.get(name) or port for name, port in default_ports(count).items()}
    found = {**env, **ports, "TOPOLOGY": SCALED, "REPLICAS": str(count)}
    addresses = {
        "GATEWAY_URL": f"http://127.0.0.1:{found['NGINX_PORT']}",
        "UPLOAD_URLS": ",".join(_urls(found, "upload")),
        "FILES_URLS": ",".join(_urls(found, "files")),
    }
    return {**found, **{name: environ.get(name) or value for name, value in addresses.items()}}


def _urls(env: Mapping[str, str], part: str) -> Iterator[str]:
    for replica in range(1, replicas(env) + 1):
        yield f"http://127.0.0.1:{env[variables(part, replica)[0]]}"


def of_replica(env: Mapping[str, str], part: str, replica: int) -> dict[str, str]:
    """The environment under which one replica's description is resolved: its ports, its number."""
    own = zip(variables(part, 1), variables(part, replica), strict=True)
    return {**env, "REPLICA": str(replica), **{first: env[name] for first, name in own if name in env}}


def problems(environ: Mapping[str, str]) -> list[str]:
    """What is wrong with REPLICAS."""
    value = environ.get("REPLICAS", "")
    if value and not (value.isdecimal() and 1 <= int(value) <= MOST_REPLICAS):
        return [f"REPLICAS={value!r}: must be a number, 1 to {MOST_REPLICAS}"]
    if value and int(value) > 1 and not scaled(environ):
        return [f"REPLICAS={value}: only TOPOLOGY=scaled has replicas"]
    return []
