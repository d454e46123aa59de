"""Asks the services of a checkout for their settings, before anything of them starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compose import credentials, envfile, scaling, settings, topology
from compose.settings import Settings

PROGRAM = Path(__file__).with_name("settings_of.py")
# Read before the file of secrets is: which start-up it is, and where it has everything.
ONLY_TYPED = (*settings.FOLDERS, settings.SECRETS, "RUNTIME", "PYTHON", "COMPOSE_PROJECT_NAME", "DOCKER_HOST")
ASKING_S = 60.0
Json = dict[str, Any]


class AskingError(Exception):
    """The services of a checkout do not tell their settings."""


def ask(folder: Path, python: str, asked: Mapping[str, Any]) -> Json:
    """The answer of `settings_of.py` in a checkout, by its own interpreter. Raises `AskingError`."""
    environ = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, "-P", str(PROGRAM)],
        cwd=folder,
        env=environ,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=ASKING_S,
    )
    if done.returncode != 0:
        last = "\n".join(done.stderr.splitlines()[-5:])
        raise AskingError(f"the services in {folder} do not tell their settings:\n{last}")
    said: Json = json.loads(done.stdout)
    return said


def to_start(environ: Mapping[str, str], root: Path = settings.ROOT) -> Settings:
    """Settings for a start: with those that stand in the file of secrets and were not said, and judged by the
    services too. Raises `EnvError` naming every bad value."""
    file = settings.secrets_file(environ, root)
    kept = envfile.read(file) if file.exists() else {}
    found = [
        f"{name} in {file.name}: counts only behind the target: make up {name}={kept[name]}"
        for name in kept
        if name in ONLY_TYPED
    ]
    given = {name: value for name, value in kept.items() if name not in {*credentials.SIZES, *ONLY_TYPED}}
    given |= {name: value for name, value in environ.items() if value}
    try:
        now = settings.read(given, root)
    except envfile.EnvError as error:
        said = tuple(f"{line.partition('=')[0]} " for line in error.problems)
        found += error.problems
        raise envfile.EnvError(found + [one for one in problems(given) if not one.startswith(said)]) from None
    if found := found + problems(given):
        raise envfile.EnvError(found)
    return now


def problems(given: Mapping[str, str]) -> list[str]:
    """What the services would refuse of the settings among `given`, in their own words, each once.

    What decides which processes run is as by default: the start-up judges it itself, and a wrong one hides
    nothing else.
    """
    known = {name for part in scaling.REPLICATED for name in topology.optional(part)}
    chosen = {name: given[name] for name in sorted(known - {*settings.CHOICES}) if given.get(name)}
    if not chosen:
        return []
    env = {**dict.fromkeys(topology.names(), ""), **credentials.generate(), **settings.read({}).env, **chosen}
    parts = topology.load_topology({**env, "RUN_DIR": "/", "ROOT": "/"})
    asked = {part.name: part.env for part in parts if scaling.service_of(part.name) in scaling.REPLICATED}
    said = ask(settings.ROOT, sys.executable, {"asked": asked})["arms"]["asked"]
    return list(dict.fromkeys(line for process in said.values() for line in process["problems"]))
