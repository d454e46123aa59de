"""Checks of the testbed itself: start-up, accounts, ports, secrets, what runs."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator

from compose import credentials, envfile, life, ports, postgres, process, scaling
from compose.doctor.model import Check, Status, judge
from compose.installer.cache import ToolError
from compose.installer.programs import Installer
from compose.room import existing
from compose.settings import ROOT, Settings, free_shift, unused_ports
from compose.unit import LOST, UP

CHOOSER = ROOT / "compose" / "docker" / "main.sh"


def runtime(now: Settings) -> Iterator[Check]:
    """Which start-up and why, and what is special about the host: asked of the script that chooses."""
    env = {**os.environ, "VAULTBENCH_RUN_DIR": str(now.run_dir)}
    asked = subprocess.run(
        ["sh", str(CHOOSER), "compose", "doctor-host"], env=env, capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        yield Check("runtime", "fail", asked.stderr.strip(), "see docs/compose.md")
        return
    for found in json.loads(asked.stdout):
        yield Check(**found)


def root(now: Settings) -> Iterator[Check]:
    """Which account Postgres gets, and whether it can walk to programs and data."""
    name = postgres.account()
    if not name:
        yield Check("root", "ok", "Postgres runs as you")
        return
    yield Check("root", "ok", f"you are root: Postgres runs as {name}")
    if not postgres.reachable(existing(now.run_dir), name):
        yield Check(
            "root", "ok", f"{name} cannot reach {now.run_dir}: data goes to {postgres.home(now.run_dir)}"
        )
    with Installer(now.env, echo=str) as installer:
        try:
            found = installer.find("postgres")
        except ToolError:
            return
    if found and found.path and not postgres.reachable(found.path, name):
        where = postgres.home(now.run_dir)
        yield Check("root", "ok", f"{name} cannot reach the Postgres programs: they are copied to {where}")


def ports_free(now: Settings) -> Iterator[Check]:
    """Every port: free, or ours."""
    if life.locked(now.run_dir):
        yield Check("ports", "ok", "held by the running testbed")
        return
    names = _names_of_ports(now)
    entry = "NGINX_PORT" if scaling.scaled(now.env) else "GATEWAY_PORT"
    taken = ports.busy(sorted(names), {int(now.env[entry]): now.env["GATEWAY_HOST"]})
    shift = free_shift(now.env) if taken else None
    for one, other in zip(taken, ports.free(len(taken)), strict=True):
        remedy = f"end what holds it, or move ours: make up {names[one.port]}={other}"
        remedy += "" if shift is None else f", or PORT_SHIFT={shift} for all of them"
        yield Check("ports", "fail", f"{names[one.port]}: {one}", remedy)
    if not taken:
        yield Check("ports", "ok", f"all {len(names)} are free")


def ports_kept(now: Settings) -> Iterator[Check]:
    """Whether the kernel leaves our ports to us. It lends those of a range to whoever connects somewhere."""
    names = _names_of_ports(now)
    if lent := ports.lent(sorted(names)):
        first = f"{names[lent[0]]}: port {lent[0]}" + (f" and {len(lent) - 1} more" if lent[1:] else "")
        span = "-".join(ports.LENT.read_text().split())
        text = f"{first} may be taken by any outgoing connection: the kernel lends {span}"
        reserved = ",".join(map(str, lent))
        remedy = f"a smaller PORT_SHIFT, or let root add to net.ipv4.ip_local_reserved_ports: {reserved}"
        yield Check("ports", "warn", text, remedy)


def _names_of_ports(now: Settings) -> dict[int, str]:
    unused = unused_ports(now.env)
    return {
        int(value): name
        for name, value in now.env.items()
        if name.endswith("_PORT") and value.isdecimal() and name not in unused
    }


def secrets(now: Settings) -> Iterator[Check]:
    """.env: complete, private, unknown to git, and fitting the data."""
    path = now.secrets_file
    if not path.exists():
        data = postgres.existing_data(now.run_dir)
        text = ".env is not there" + ("" if data else "; make up makes it")
        yield judge("secrets", not data, text, "restore .env, or make clean to delete the data")
        return
    try:
        kept = envfile.read(path)
    except envfile.EnvError as exc:
        yield Check("secrets", "fail", str(exc), "correct these lines of .env")
        return
    missing = [name for name in credentials.SIZES if not kept.get(name)]
    yield judge("secrets", not missing, f".env: {len(kept)} values", f"lacks {', '.join(missing)}", "warn")
    mode = stat.S_IMODE(path.stat().st_mode)
    yield judge("secrets", mode == 0o600, f".env has mode {mode:04o}", "chmod 600 .env", "warn")
    asked = (
        subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=now.root, capture_output=True, check=False)
        if shutil.which("git")
        else None
    )
    yield judge(
        "secrets",
        asked is None or asked.returncode != 1,
        ".env is not for git",
        "add it to .gitignore",
        "warn",
    )


def running(now: Settings) -> Iterator[Check]:
    """State of each part; what an earlier life has left."""
    state = life.read_state(now.run_dir)
    rows = state.get("parts", {})
    if life.locked(now.run_dir):
        for name, row in rows.items():
            text = f"{name}: {row['state']} {row['detail']}".strip()
            worse: Status = "fail" if row["state"] in LOST else "warn"
            yield judge("running", row["state"] in UP, text, f"make logs NAME={name}", worse)
        return
    left = [
        str(row["pid"])
        for row in rows.values()
        if row["pid"] and process.alive(row["pid"], row["start_ticks"])
    ]
    text = f"processes of a killed supervisor: {', '.join(left)}" if left else "nothing runs"
    yield judge("running", not left, text, "make down ends them, and so does make up", "warn")
