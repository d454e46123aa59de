"""Reads `native.yaml` and what a topology adds to it: the parts as the supervisor needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from compose import envfile, postgres, scaling, store, switches
from compose.envfile import NAME, EnvError, expand
from compose.part import Need, Part, Probe

NATIVE = Path(__file__).with_name("native.yaml")
HEALTH = NATIVE.with_name("health.env")
RETRIES = int(envfile.read(HEALTH)["HEALTH_RETRIES"])
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


Described = dict[str, dict[str, Any]]


def load_topology(env: Mapping[str, str], *, without: Iterable[str] = ()) -> list[Part]:
    """All parts with every `${NAME}` replaced from `env`; raises `EnvError` with all that is missing."""
    left_out = {*without, *store.others(env)}
    problems, parts = [], []
    env = {**env, **postgres.database_names(env)}
    described = _described(env)
    ending = frozenset(kind for kind, raw in described.items() if raw.get("oneshot"))
    for kind, raw in described.items():
        for replica, name in enumerate(scaling.parts_of(env, kind), start=1):
            if left_out & {name, kind}:
                continue
            own = scaling.of_replica(env, kind, replica)
            try:
                asked = _expanded(raw, own) | _own_probe(own, kind)
                parts.append(_part(name, asked, own, left_out, ending))
            except KeyError as exc:
                problems.append(f"{name} needs {exc.args[0]}, which is not set")
    if problems:
        raise EnvError(problems)
    return parts


def names() -> set[str]:
    """Every variable that a description may name."""
    texts = (path.read_text() for path in NATIVE.parent.glob("native*.yaml"))
    return {name for text in texts for name in NAME.findall(text)}


def optional(part: str) -> frozenset[str]:
    """The settings of a part that somebody may choose; all others follow from the topology."""
    found: Described = yaml.safe_load(NATIVE.read_text())["parts"]
    return frozenset(found[part].get("optional", ()))


def _described(env: Mapping[str, str]) -> Described:
    found: Described = yaml.safe_load(NATIVE.read_text())["parts"]
    for path, wanted in (*switches.additions(env, scaled=scaling.scaled(env)), *store.additions(env)):
        added: Described = yaml.safe_load(path.read_text())["parts"]
        for name, raw in added.items():
            if wanted is None or name in wanted:
                found[name] = _merged(found.get(name, {}), raw)
    return found


def _merged(base: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged, lists grow, everything else is replaced."""
    merged = dict(base)
    for key, value in added.items():
        if isinstance(value, dict):
            merged[key] = {**base.get(key, {}), **value}
        elif isinstance(value, list):
            merged[key] = [*base.get(key, []), *value]
        else:
            merged[key] = value
    return merged


def _expanded(value: Any, env: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return expand(value, env)
    if isinstance(value, dict):
        return {key: _expanded(item, env) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, env) for item in value]
    return value


def _part(
    name: str, raw: Mapping[str, Any], env: Mapping[str, str], left_out: set[str], ending: frozenset[str]
) -> Part:
    stop = raw.get("stop", {})
    # Not the caller's: the same testbed from another shell must be the same testbed.
    base = {"PATH": SYSTEM_PATH, "HOME": env["RUN_DIR"], "LANG": "C.UTF-8"}
    handed_on = {key: env[key] for key in raw.get("optional", ()) if env.get(key)}
    return Part(
        name=name,
        command=tuple(raw["command"]),
        env={**base, **raw.get("environment", {}), **handed_on},
        after=_after(raw.get("after", ()), env, left_out, ending),
        ready=_probe(raw.get("ready"), env),
        live=_probe(raw.get("live"), env),
        ports=tuple(int(env[variable]) for variable in raw.get("ports", ())),
        host=raw.get("host") or "127.0.0.1",
        user=raw.get("user") or None,
        cwd=env["ROOT"],
        oneshot=raw.get("oneshot", False),
        stop_signal=stop.get("signal", "SIGTERM"),
        grace_s=float(stop.get("grace_s", 10)),
        version=raw.get("version", ""),
    )


def _own_probe(env: Mapping[str, str], kind: str) -> Described:
    """On a port that several share, whoever accepts would answer for all; each has its admin port alone."""
    if not scaling.share_a_port(env, kind):
        return {}
    asked = {"http": f"http://127.0.0.1:{env[scaling.variables(kind, 1)[1]]}/live"}
    return {"ready": asked, "live": asked}


def _after(
    kinds: Iterable[str], env: Mapping[str, str], left_out: set[str], ending: frozenset[str]
) -> dict[str, Need]:
    """Who comes after a part comes after all of its replicas."""
    need: dict[str, Need] = {kind: "done" if kind in ending else "healthy" for kind in kinds}
    names = [(kind, name) for kind in kinds for name in scaling.parts_of(env, kind)]
    return {name: need[kind] for kind, name in names if not left_out & {kind, name}}


def _probe(raw: Mapping[str, str] | None, env: Mapping[str, str]) -> Probe | None:
    if raw is None:
        return None
    if "sql" in raw:
        return _sql(raw, env)
    tcp = int(raw["tcp"]) if "tcp" in raw else None
    return Probe(http=raw.get("http"), tcp=tcp, retries=RETRIES)


def _sql(raw: Mapping[str, str], env: Mapping[str, str]) -> Probe:
    """One statement with the password, over the network: through a socket a server that is still being
    initialised would answer too."""
    command = (f"{env['POSTGRES_BIN_DIR']}/psql", "-w", "-X", "-q", "-c", "SELECT 1")
    login = {"PGHOST": "127.0.0.1", "PGPORT": raw["port"], "PGUSER": "app", "PGPASSWORD": raw["password"]}
    asked = {**login, "PGDATABASE": raw["sql"], "PGCONNECT_TIMEOUT": "2"}
    return Probe(exec=command, env=asked, retries=RETRIES)
