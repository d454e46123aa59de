"""`make doctor REPORT=1`: all that helps others to see what is wrong here, in one file without secrets."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from compose import control, credentials, envfile, life, run_folder
from compose.doctor.model import Check
from compose.installer import cache
from compose.installer.command import environment
from compose.prepare import version
from compose.settings import CHOICES, PORTS, PROGRAMS, Settings

NAME = "report.txt"
LINES_OF_EACH = 40
LINE_MOST = 500
SHORTEST_SECRET = 8
HIDDEN = "<secret>"
MACHINE = (
    *("/proc/sys/kernel/pid_max", "/proc/sys/fs/file-max", "/proc/sys/net/ipv4/ip_local_port_range"),
    *("/proc/loadavg", "/proc/pressure/memory", "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/memory.max"),
)
LIMITS = ("RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_MEMLOCK")
AROUND = ("SHELL", "WSL_DISTRO_NAME", "MAKEFLAGS", "VAULTBENCH_TYPED", "PYTHON")
_SECRET_NAME = re.compile(r"pass(?:word|wd)|secret|token|credential|key", re.IGNORECASE)
_SHAPES = (
    re.compile(r"(?<=://)[^/\s\"'@]+(?=@)"),
    re.compile(r"(?<=X-Amz-Signature=)[^&\s\"']+|(?<=X-Amz-Credential=)[^&\s\"']+", re.IGNORECASE),
    re.compile(r"(?<=X-Amz-Security-Token=)[^&\s\"']+", re.IGNORECASE),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"),
    re.compile(r"(?<=Bearer )\S+", re.IGNORECASE),
)


def write(now: Settings, found: Sequence[Check]) -> Path:
    """The report of these findings; where it is. Raises `ForeignFolder`."""
    run_folder.own(now.run_dir)
    text = "\n".join(_lines(now, found)) + "\n"
    path = now.run_dir / NAME
    path.write_text(without_secrets(text, secrets_of(now)), encoding="utf-8")
    return path


def secrets_of(now: Settings) -> set[str]:
    """Every value here whose name says that it is secret."""
    try:
        kept = envfile.read(now.secrets_file) if now.secrets_file.exists() else {}
    except envfile.EnvError:  # told as a finding
        kept = {}
    pairs = [*kept.items(), *os.environ.items()]
    return {value for name, value in pairs if name in credentials.SIZES or _SECRET_NAME.search(name)}


def without_secrets(text: str, secrets: set[str]) -> str:
    """Known secrets, and what has the shape of one."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    for shape in _SHAPES:
        text = shape.sub(HIDDEN, text)
    return text


def _lines(now: Settings, found: Sequence[Check]) -> Iterator[str]:
    yield f"vaultbench {version()}, {_revision(now.root)}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    yield f"{platform.platform()}, Python {platform.python_version()}"
    yield from _section("findings")
    for check in found:
        yield f"{check.status:<5} {check.area:<8} {check.text}" + (f" -> {check.remedy}" * bool(check.remedy))
    yield from _section("limits and machine")
    for name in LIMITS:
        soft, hard = resource.getrlimit(getattr(resource, name))
        yield f"{name.removeprefix('RLIMIT_').lower()}: {_limit(soft)}, at most {_limit(hard)}"
    yield f"umask: {_umask():04o}"
    for name in MACHINE:
        if said := _text(Path(name)):
            yield f"{name}: {said.splitlines()[0]}"
    yield from _section("settings in the environment")
    names = {*envfile.read(PORTS), *CHOICES, *PROGRAMS, *environment(), *AROUND}
    yield from (f"{name}={os.environ[name]}" for name in sorted(names) if os.environ.get(name))
    yield from _section("parts")
    for name, row in life.read_state(now.run_dir).get("parts", {}).items():
        yield f"{name}: {row['state']} {row['detail']} pid={row['pid']} port={row['port']} {row['version']}"
    logs = sorted((now.run_dir / "logs").glob("*.log"))
    for log in [*logs, *sorted((cache.root_folder(now.env, now.root) / ".logs").glob("*.log"))]:
        yield from _section(f"end of {log}")
        yield from (line[:LINE_MOST] for line in control.end_of(log, LINES_OF_EACH))


def _section(title: str) -> list[str]:
    return ["", f"== {title}"]


def _revision(root: Path) -> str:
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        said = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "no revision"
    return f"revision {said}"


def _limit(value: int) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else str(value)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
