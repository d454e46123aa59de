"""What somebody may set for the start-up, read once, with every problem reported at once."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compose import envfile, grafana, ports, room, scaling, store, switches
from compose.cores import cores

ROOT = Path(__file__).resolve().parent.parent
PORTS = Path(__file__).with_name("ports.env")
WORDS = PORTS.with_name("words.list")
SHIFT, MOST_SHIFT = re.compile("0|[1-9][0-9]*"), 50_000
PORT, LAST_PORT = re.compile("[1-9][0-9]{0,4}"), 65_535
FOLDERS = ("VAULTBENCH_RUN_DIR", "VAULTBENCH_TOOLS", "VAULTBENCH_RESULTS")
SECRETS = "VAULTBENCH_ENV_FILE"
# Of two testbeds by two of these, no port is the same, with as many processes as there can be (of containers
# behind OVERLAYS=faults: beside up to 21 of each). Of others it may be: by 0 and 100, one's store is where
# the other's gateway is; the second is then refused.
SHIFTS = tuple(tens + ones for tens in range(0, MOST_SHIFT, 10_000) for ones in (0, 1000, 2000))
CHOICES: Mapping[str, tuple[str, ...]] = {
    "RUNTIME": ("", "native", "compose"),
    "PROMETHEUS_SOURCE": ("", "auto", "debian", "go", "off"),
    "VAULTBENCH_OFFLINE": ("", "0", "1"),
    "ALL": ("", "0", "1"),
    "REPORT": ("", "0", "1"),
    "TOPOLOGY": ("", scaling.SINGLE, scaling.SCALED),
    "STORE": ("", *store.STORES),
    **switches.CHOICES,
}
PROGRAMS = (
    "MINIO",
    "K6",
    "PROMETHEUS",
    "TOXIPROXY_BIN",
    "VERSITYGW_BIN",
    "POSTGRES_EXPORTER_BIN",
    "NODE_EXPORTER_BIN",
    "PROCESS_EXPORTER_BIN",
    "NGINX_BIN",
    "PGBOUNCER_BIN",
    "FAKETIME_BIN",
    "REDIS_BIN",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """`env` is the environment under which everything is resolved: defaults of ports.env, then ours.
    VAULTBENCH_RUN_DIR and VAULTBENCH_ENV_FILE move what is written, for a second testbed."""

    root: Path
    run_dir: Path
    secrets_file: Path
    env: Mapping[str, str]
    runtime: str
    offline: bool


def read(environ: Mapping[str, str], root: Path = ROOT) -> Settings:
    """Settings from an environment; raises `EnvError` naming every bad value."""
    environ = {
        **environ,
        **{name: environ[name].lower() for name in (*CHOICES, "WORKERS") if name in environ},
    }
    problems = [
        f"{name}={environ[name]!r}: must be one of {', '.join(filter(None, allowed))}"
        for name, allowed in CHOICES.items()
        if environ.get(name, "") not in allowed
    ]
    problems += _bad_places(environ)
    wrong_words = _bad_addresses(environ)
    problems += wrong_words or _without_effect(environ)
    defaults = addresses({} if wrong_words else environ)
    if not (wrong := scaling.problems(environ, cores())):
        defaults = scaling.extended(defaults, environ, cores())
    problems += wrong + _bad_ports(defaults) + _bad_programs(environ) + grafana.problems(environ)
    if problems:
        raise envfile.EnvError(problems)
    return Settings(
        root=root,
        run_dir=Path(environ.get("VAULTBENCH_RUN_DIR") or root / ".run").absolute(),
        secrets_file=secrets_file(environ, root),
        env={**environ, **defaults, "STORE_CORS_ORIGINS": store_origins(environ)},
        runtime=environ.get("RUNTIME", ""),
        offline=environ.get("VAULTBENCH_OFFLINE") == "1",
    )


def secrets_file(environ: Mapping[str, str], root: Path = ROOT) -> Path:
    return Path(environ.get(SECRETS) or root / ".env").absolute()


def addresses(environ: Mapping[str, str]) -> dict[str, str]:
    """ports.env as it is in effect: moved by PORT_SHIFT, and reached where GATEWAY_HOST says."""
    raw = envfile.read(PORTS)
    shift = int(environ.get("PORT_SHIFT") or raw["PORT_SHIFT"])
    moved = {
        name: str(int(value) + shift) if name.endswith("_PORT") else value for name, value in raw.items()
    }
    host = (environ.get("GATEWAY_HOST") or raw["GATEWAY_HOST"]).strip("[]")
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (what people may set)
    return envfile.resolve(moved, {**environ, "GATEWAY_HOST": host, "GATEWAY_ADDRESS": bracketed(reached)})


def unused_ports(env: Mapping[str, str]) -> frozenset[str]:
    """Variables of ports on which no process of ours would listen."""
    return scaling.unused_ports(env) | (set() if env.get("GRAFANA_HOME") else {"GRAFANA_PORT"})


def free_shift(env: Mapping[str, str]) -> int | None:
    """The first of SHIFTS by which such a testbed could have all of its ports now; if any, one by which it
    also keeps them."""
    by_shift = {shift: _shifted(env, shift) for shift in SHIFTS}
    tried = sorted(SHIFTS, key=lambda shift: bool(ports.lent(by_shift[shift])))
    return next((shift for shift in tried if ports.are_free(by_shift[shift])), None)


def _shifted(env: Mapping[str, str], shift: int) -> dict[int, str]:
    """The ports of such a testbed, each with its host."""
    moved = {"PORT_SHIFT": str(shift), "GATEWAY_HOST": env.get("GATEWAY_HOST", "")}
    found, unused = addresses(moved), unused_ports(env)
    hosts = dict.fromkeys(("GATEWAY_PORT", "NGINX_PORT"), found["GATEWAY_HOST"])
    found |= scaling.default_ports({**env, **moved})
    return {
        int(value): hosts.get(name, ports.LOOPBACK[0])
        for name, value in found.items()
        if name.endswith("_PORT") and name not in unused
    }


def bracketed(host: str) -> str:
    """An address as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def in_effect(now: Settings) -> Settings:
    """The settings with the ports and addresses of the testbed that was started in the run folder."""
    published = now.run_dir / "ports.env"
    if not published.exists():
        return now
    return dataclasses.replace(now, env={**now.env, **envfile.read(published)})


def _bad_places(environ: Mapping[str, str]) -> list[str]:
    """Places where nothing can be written; docker/words.sh has the same rules."""
    problems = []
    for name in (one for one in (*FOLDERS, SECRETS) if environ.get(one)):
        path, said = Path(environ[name]).absolute(), f"{name}={environ[name]!r}"
        above = room.existing(path)
        if environ[name].startswith("~"):
            problems.append(f"{said}: the shell left ~ as it is, so write the path in full")
        elif name == SECRETS and path.is_dir():
            problems.append(f"{said}: must be a file, and it is a folder")
        elif name == SECRETS and not path.parent.is_dir():
            problems.append(f"{said}: must be a file in a folder that is there")
        elif name != SECRETS and not above.is_dir():
            problems.append(f"{said}: must be a folder, and {above} is a file")
    return problems


def _bad_addresses(environ: Mapping[str, str]) -> list[str]:
    problems, shift, host = [], environ.get("PORT_SHIFT", ""), environ.get("GATEWAY_HOST", "")
    if shift and not (SHIFT.fullmatch(shift) and int(shift) <= MOST_SHIFT):
        problems.append(f"PORT_SHIFT={shift!r}: must be a number, 0 to {MOST_SHIFT}, such as 1000")
    try:
        if host and ipaddress.ip_address(host.strip("[]")) and "%" in host:
            raise ValueError(host)
    except ValueError:
        expected = "an address of this machine, such as 127.0.0.1, ::1, or 0.0.0.0 for every network"
        problems.append(f"GATEWAY_HOST={host!r}: must be {expected}")
    return problems


def followers() -> dict[str, str]:
    """Names of ports.env that nobody can choose, with the word that their value follows from."""
    lines = (line.split() for line in WORDS.read_text(encoding="utf-8").splitlines() if line[:1].isalpha())
    return {fields[0]: fields[2] for fields in lines if fields[1] == "none"}


def _without_effect(environ: Mapping[str, str]) -> list[str]:
    """One that is what it would be anyway was handed on by another command of ours."""
    names = followers()
    found = addresses({name: value for name, value in environ.items() if name not in names})
    return [
        f"{name}={environ[name]!r}: has no effect, its value follows from {instead}: say that instead"
        for name, instead in names.items()
        if environ.get(name) and environ[name] != found[name]
    ]


def store_origins(environ: Mapping[str, str]) -> str:
    """Web origins that may talk to the store: the gateway's fixed ones and those of CORS_ORIGINS."""
    fixed = envfile.read(PORTS)["WEB_ORIGINS"].split(",")
    added = [origin.strip() for origin in environ.get("CORS_ORIGINS", "").split(",")]
    return ",".join(dict.fromkeys([*fixed, *filter(None, added)]))


def _bad_ports(values: Mapping[str, str]) -> list[str]:
    problems, owner = [], dict[str, str]()
    for name in (key for key in values if key.endswith("_PORT")):
        value = values[name]
        if not PORT.fullmatch(value) or int(value) > LAST_PORT:
            problems.append(f"{name}={value!r}: must be a port, 1 to 65535")
        elif value in owner:
            problems.append(f"{name}={value}: {owner[value]} has this port already")
        owner.setdefault(value, name)
    return problems


def _bad_programs(environ: Mapping[str, str]) -> list[str]:
    problems = [
        f"{name}={environ[name]!r}: must be a program that you may run"
        for name in PROGRAMS
        if environ.get(name) and not shutil.which(environ[name])
    ]
    folder = environ.get("POSTGRES_BIN_DIR")
    if folder:
        lacking = [name for name in ("initdb", "postgres", "psql") if not (Path(folder) / name).exists()]
        problems += [f"POSTGRES_BIN_DIR={folder!r}: no {name} in it" for name in lacking]
    return problems
