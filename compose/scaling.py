"""How many processes of each service run, and the names, ports and addresses that follow from it.

WORKERS says how many: `auto` (by the cores there are, see workers.env) or a number for each service. Then all
gateways listen on one port, and whoever calls a service knows all of its processes. `TOPOLOGY=scaled` has
REPLICAS of gateway, upload and files instead, each with its own port, nginx in front of the gateways and
(see switches.py) PgBouncer in front of the databases.

Replica 1 keeps the names and ports it has alone; replica k >= 2 gets ports from 9200 + 20 (k - 2) on, each
with a variable of its own (UPLOAD_2_PORT, UPLOAD_2_ADMIN_PORT …).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from compose import envfile, postgres, switches

SINGLE, SCALED, AUTO = "single", "scaled", "auto"
REPLICATED = ("gateway", "auth", "upload", "files")
POOLED = tuple(postgres.DATABASES)  # the services that have a database of their own
SHARES = Path(__file__).with_name("workers.env")
DEFAULT_REPLICAS, MOST_REPLICAS = 2, 32
FIRST_PORT, PORTS_PER_REPLICA, ADMIN_OFFSET = 9200, 20, 10
# The place of a process in its replica's ports, as in 9000 to 9003.
PLACE: Mapping[str, int] = {"gateway": 0, "auth": 1, "upload": 2, "files": 3}
COUNTS: Mapping[str, str] = {part: f"{part.upper()}_PROCESSES" for part in REPLICATED}
CHOSEN = ("TOPOLOGY", "POOLER", *COUNTS.values())
# Of each Postgres: what a process opens besides its pool (a lock, a migration), what others open, and how
# many there may be in all: each is a process of 4 MiB or more.
POOL, CONNECTIONS_BESIDE_POOL, CONNECTIONS_OF_OTHERS = 20, 5, 20
FEWEST_CONNECTIONS, MOST_CONNECTIONS = 100, 1000
POOLER_CONNECTIONS = 40  # max_db_connections in pgbouncer.ini
# So long a process that stops still serves, so that whoever balances notices.
DRAIN_S = "1"
_REPLICA = re.compile(rf"({'|'.join(REPLICATED)})-[0-9]+")


def scaled(env: Mapping[str, str]) -> bool:
    return env.get("TOPOLOGY") == SCALED


def counts(environ: Mapping[str, str], cores: int) -> dict[str, str]:
    """The topology, and how many processes of each service run on so many cores, by variable."""
    if scaled(environ):
        number = int(environ.get("REPLICAS") or DEFAULT_REPLICAS)
        found = {part: 1 if part == "auth" else number for part in REPLICATED}
    else:
        chosen = environ.get("WORKERS") or AUTO
        shares = {part: int(envfile.read(SHARES)[f"CORES_PER_{part.upper()}"]) for part in REPLICATED}
        found = {
            part: max(1, cores // share) if chosen == AUTO else int(chosen) for part, share in shares.items()
        }
    topology = SCALED if scaled(environ) else SINGLE
    return {"TOPOLOGY": topology} | {
        COUNTS[part]: str(min(number, MOST_REPLICAS)) for part, number in found.items()
    }


def replicas(env: Mapping[str, str], part: str) -> int:
    """How many processes of a part run."""
    return int(env.get(COUNTS.get(part, "")) or 1)


def share_a_port(env: Mapping[str, str], part: str) -> bool:
    """Whether several processes of a part listen on one port."""
    return part == "gateway" and replicas(env, part) > 1 and not scaled(env)


def programs(env: Mapping[str, str]) -> tuple[str, ...]:
    """Programs that run only because a setting asks for them."""
    return switches.programs(env, scaled=scaled(env))


def unused_ports(env: Mapping[str, str]) -> frozenset[str]:
    """Variables of ports on which nothing listens."""
    return switches.unused_ports(env, scaled=scaled(env))


def part_name(part: str, replica: int) -> str:
    return part if replica == 1 else f"{part}-{replica}"


def service_of(name: str) -> str:
    """What a part is: `upload-2` is a process of `upload`; every other part is itself."""
    found = _REPLICA.fullmatch(name)
    return found[1] if found else name


def parts_of(env: Mapping[str, str], part: str) -> list[str]:
    """Names of all replicas of a part; of a part that has none, its own."""
    return [part_name(part, replica) for replica in range(1, replicas(env, part) + 1)]


def variables(part: str, replica: int) -> tuple[str, str]:
    """The variables of a replica's public and admin port."""
    number = "" if replica == 1 else f"{replica}_"
    return f"{part.upper()}_{number}PORT", f"{part.upper()}_{number}ADMIN_PORT"


def default_ports(env: Mapping[str, str]) -> dict[str, str]:
    """The ports of all replicas but the first; a port that is shared is not among them."""
    found: dict[str, str] = {}
    first = FIRST_PORT + int(env.get("PORT_SHIFT") or 0)
    for part in REPLICATED:
        for replica in range(2, replicas(env, part) + 1):
            port = first + PORTS_PER_REPLICA * (replica - 2) + PLACE[part]
            public, admin = variables(part, replica)
            found |= {} if share_a_port(env, part) else {public: str(port)}
            found[admin] = str(port + ADMIN_OFFSET)
    return found


def extended(env: Mapping[str, str], environ: Mapping[str, str], cores: int) -> dict[str, str]:
    """`env` with the topology, every replica's ports and what follows from them.

    `environ` holds what somebody set by hand; that wins.
    """
    found = {**env, **counts(environ, cores)}
    found["POOLER"] = switches.pooler(environ, scaled=scaled(found))
    found |= {name: environ.get(name) or port for name, port in default_ports(found).items()}
    addresses = {f"{part.upper()}_URLS": ",".join(_urls(found, part)) for part in POOLED}
    if scaled(found):
        addresses["GATEWAY_URL"] = f"http://{found['GATEWAY_ADDRESS']}:{found['NGINX_PORT']}"
    found |= {name: environ.get(name) or value for name, value in addresses.items()}
    pool = int(environ.get("DB_POOL_MAX") or POOL)
    allowed = {part: connections(found, part, pool) for part in POOLED}
    found["POOLER_CLIENTS"] = str(sum(allowed.values()))
    return found | {f"PG_{part.upper()}_CONNECTIONS": str(number) for part, number in allowed.items()}


def _urls(env: Mapping[str, str], part: str) -> Iterator[str]:
    for replica in range(1, replicas(env, part) + 1):
        yield f"http://127.0.0.1:{env[variables(part, replica)[0]]}"


def connections(env: Mapping[str, str], part: str, pool: int) -> int:
    """How many connections a service's Postgres allows: enough for all processes with such a pool.

    Behind a pooler too: an arm of a comparison may turn it off.
    """
    wanted = replicas(env, part) * (pool + CONNECTIONS_BESIDE_POOL) + CONNECTIONS_OF_OTHERS
    wanted += POOLER_CONNECTIONS if switches.pooled(env) else 0
    return max(FEWEST_CONNECTIONS, wanted)


def of_replica(env: Mapping[str, str], part: str, replica: int) -> dict[str, str]:
    """The environment under which one replica's description is resolved: its ports, its number."""
    ports = zip(variables(part, 1), variables(part, replica), strict=True)
    own = {first: env[name] for first, name in ports if name in env}
    own |= {"REPLICA": str(replica), "REUSE_PORT": "1" if share_a_port(env, part) else ""}
    if replicas(env, part) > 1:
        own["DRAIN_S"] = env.get("DRAIN_S") or DRAIN_S
    return {**env, **own}


def problems(environ: Mapping[str, str], cores: int) -> list[str]:
    """What is wrong with WORKERS, REPLICAS and the sizes that follow from them."""
    workers, several = environ.get("WORKERS") or AUTO, environ.get("REPLICAS", "")
    found = []
    if workers != AUTO and not _is_count(workers):
        found.append(f"WORKERS={workers!r}: must be {AUTO} or a number, 1 to {MOST_REPLICAS}")
    elif workers != AUTO and scaled(environ):
        found.append(f"WORKERS={workers}: with TOPOLOGY=scaled, REPLICAS says how many processes run")
    if several and not _is_count(several):
        found.append(f"REPLICAS={several!r}: must be a number, 1 to {MOST_REPLICAS}")
    elif several and int(several) > 1 and not scaled(environ):
        found.append(f"REPLICAS={several}: without TOPOLOGY=scaled, WORKERS says how many")
    if found:
        return found
    chosen = counts(environ, cores)
    return _bad_pools(environ, chosen) + switches.problems(environ, replicas(chosen, "files"))


def _bad_pools(environ: Mapping[str, str], chosen: Mapping[str, str]) -> list[str]:
    pool = environ.get("DB_POOL_MAX") or str(POOL)
    if not (pool.isascii() and pool.isdecimal() and 1 <= int(pool) <= MOST_CONNECTIONS):
        return [f"DB_POOL_MAX={pool!r}: must be a number, 1 to {MOST_CONNECTIONS}"]
    found = []
    for part in POOLED:
        wanted = connections({**environ, **chosen}, part, int(pool))
        if wanted > MOST_CONNECTIONS:
            found.append(
                f"DB_POOL_MAX={pool}: {replicas(chosen, part)} processes of {part} could open {wanted} "
                f"connections to their database, more than {MOST_CONNECTIONS}; choose a smaller pool, or "
                "fewer processes (WORKERS, REPLICAS)"
            )
    return found


def _is_count(value: str) -> bool:
    return value.isascii() and value.isdecimal() and value[0] != "0" and int(value) <= MOST_REPLICAS
