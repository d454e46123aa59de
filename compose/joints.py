"""Configuration of what stands between and beside our processes: nginx, PgBouncer, Redis."""

from __future__ import annotations

import glob
import grp
import json
import os
import pwd
import shutil
from collections.abc import Mapping
from pathlib import Path

from compose import postgres, scaling, settings, switches
from compose.envfile import expand
from compose.postgres import Place, copied, home, reachable

HERE = Path(__file__).resolve().parent
NGINX, PGBOUNCER, REDIS = HERE / "nginx", HERE / "pgbouncer", HERE / "redis"
PGBOUNCER_FILES = ("pgbouncer.ini", "hba.conf", "users.txt")
# nginx asks a gateway again after this time; it must outlast DRAIN_S.
FAIL_TIMEOUT_S = 2


def prepare(run_dir: Path, env: Mapping[str, str], place: Place) -> dict[str, str]:
    """Writes the configuration of those that run; what their parts need to know of it."""
    if scaling.scaled(env):
        nginx = run_dir / "nginx"
        nginx.mkdir(mode=0o755, exist_ok=True)
        (nginx / "nginx.conf").write_text(nginx_conf(env))
    found: dict[str, str] = {}
    if switches.redis_users(env):
        write_redis(run_dir / "redis", env)
        # Redis takes the name for a pattern, and starts with its own defaults when nothing fits it.
        found["REDIS_CONF"] = glob.escape(str(run_dir / "redis" / "redis.conf"))
    return found | (_prepare_pgbouncer(run_dir, env, place) if switches.pooled(env) else {})


def write_redis(folder: Path, env: Mapping[str, str]) -> None:
    """A password in the command would be seen by everybody; the file is for its owner only."""
    folder.mkdir(mode=0o700, exist_ok=True)
    values = {**env, "REDIS_LISTEN": "127.0.0.1", "REDIS_DIR": json.dumps(str(folder), ensure_ascii=False)}
    _write_private(folder / "redis.conf", expand((REDIS / "redis.conf").read_text(), values))


def _prepare_pgbouncer(run_dir: Path, env: Mapping[str, str], place: Place) -> dict[str, str]:
    folder = place.data_dir / "pgbouncer"  # where the account of the databases can walk to
    found = {
        "PGBOUNCER_DIR": str(folder),
        "PGBOUNCER_BIN": str(_runnable(Path(env["PGBOUNCER_BIN"]), place, run_dir)),
    }
    _write_pgbouncer(folder, {**env, **found}, place.account)
    return found


def nginx_conf(env: Mapping[str, str]) -> str:
    count = scaling.replicas(env, "gateway")
    ports = [env[scaling.variables("gateway", k)[0]] for k in range(1, count + 1)]
    values = {
        "CORES": env["CORES"],
        "NGINX_USER": _nginx_user(),
        "NGINX_SOURCE": env["NGINX_SOURCE"],
        "NGINX_LISTEN": f"{settings.bracketed(env['GATEWAY_HOST'])}:{env['NGINX_PORT']}",
        "NGINX_SERVERS": "\n".join(map(_server, ports)),
    }
    return expand((NGINX / "nginx.conf").read_text(), values)


def _server(port: str) -> str:
    return f"        server 127.0.0.1:{port} max_fails=1 fail_timeout={FAIL_TIMEOUT_S}s;"


def _nginx_user() -> str:
    """As root, the workers give their rights up."""
    if os.geteuid() != 0:
        return ""
    return f"user nobody {grp.getgrgid(pwd.getpwnam('nobody').pw_gid).gr_name};"


def _runnable(program: Path, place: Place, run_dir: Path) -> Path:
    """PgBouncer refuses root as Postgres does; a tool folder that its account cannot reach is copied."""
    if reachable(program, place.account):
        return program
    tool = program.parts[-3:-1] == ("usr", "sbin") and len(program.parents) > 3
    tree = program.parents[2] if tool else program.parent
    return copied(tree, home(run_dir)) / program.relative_to(tree)


def _write_pgbouncer(folder: Path, env: Mapping[str, str], account: str) -> None:
    """The files hold passwords: nobody but the account reads them."""
    folder.mkdir(mode=0o700, exist_ok=True)
    values = {
        **env,
        **postgres.database_names(env),
        "PGBOUNCER_LISTEN": "127.0.0.1",
        "PGBOUNCER_CLIENTS": "127.0.0.1/32",
        **{f"PG_{name}_HOST": "127.0.0.1" for name in ("AUTH", "UPLOAD", "FILES")},
    }
    for name in PGBOUNCER_FILES:
        path = folder / name
        _write_private(path, expand((PGBOUNCER / name).read_text(), values))
        if account:
            shutil.chown(path, account)
    if account:
        shutil.chown(folder, account)


def _write_private(path: Path, text: str) -> None:
    """Nobody else can read it at any moment."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
