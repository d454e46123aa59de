"""Everything a testbed needs in its run folder before the first process: folders, clusters, configuration."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from compose import envfile, grafana, joints, postgres, run_folder, scaling, scraping, settings, store
from compose.cores import cores
from compose.postgres import Place
from compose.settings import ROOT

FOLDERS = ("logs", "spool", "s3", "prometheus")


def prepare(run_dir: Path, env: Mapping[str, str], *, clusters: bool = True) -> dict[str, str]:
    """The environment with everything the topology names. Doing it again changes nothing.

    `env` holds ports, secrets and programs. Costs about a second the first time, else milliseconds. Without
    `clusters` the databases are somebody else's.
    """
    run_folder.own(run_dir)
    run_dir.chmod(0o755)  # the account of the databases passes through
    for name in FOLDERS:
        (run_dir / name).mkdir(mode=0o700, exist_ok=True)
    programs = Path(env["POSTGRES_BIN_DIR"])
    if not clusters:
        where = Place(postgres.account(), programs, postgres.data_folder(run_dir))
    else:
        where = postgres.place(run_dir, programs)
        passwords = {name: env[f"PG_{name.upper()}_PASSWORD"] for name in postgres.DATABASES}
        postgres.make_clusters(where, passwords)
    store.prepare(run_dir, env)
    ready = {
        **env,
        "ROOT": str(ROOT),
        "RUN_DIR": str(run_dir),
        "PYTHON": sys.executable,
        "CORES": str(cores()),
        "PG_ACCOUNT": where.account,
        "PG_DATA_DIR": str(where.data_dir),
        "POSTGRES_BIN_DIR": str(where.bin_dir),
        "STORE_CORS_ORIGINS": settings.store_origins(env),
        "VERSION": version(),
        **grafana.prepare(run_dir, env),
    }
    return ready | joints.prepare(run_dir, ready, where)


def publish(run_dir: Path, env: Mapping[str, str]) -> None:
    """Tells others what is in effect: `ports.env` for all who ask the testbed, and what is scraped.

    Only once it is known that this very testbed runs or starts: a refused `make up` must change nothing.
    """
    names = [*envfile.read(settings.PORTS), *scaling.default_ports(env), *scaling.CHOSEN]
    chosen = {"STORE": store.chosen(env)} | {name: env[name] for name in names}
    _replace(run_dir / "ports.env", "".join(f"{name}={value}\n" for name, value in chosen.items()))
    absent = {*scraping.absent_exporters(env), *store.others(env)}
    targets = scraping.native_targets(env, absent=absent)
    _replace(run_dir / "prometheus.yml", scraping.configuration(targets))
    _replace(run_dir / "processes.yml", scraping.processes(env))


def version() -> str:
    """The project's version."""
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return found


def owned_folders(run_dir: Path) -> list[Path]:
    """Existing folders that hold what belongs to a run folder; a link is not one of them."""
    folders = (run_dir, postgres.home(run_dir))
    return [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]


def _replace(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
