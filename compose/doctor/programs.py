"""Checks of the programs: there, unchanged, or how they would be got and whether they can be."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from compose import store
from compose.doctor.model import Check, judge
from compose.installer import cache, debian, golang, recipe, trouble
from compose.installer.cache import ToolError
from compose.installer.command import environment
from compose.installer.programs import ON_PATH, OWN, Found, Installer
from compose.room import GB, existing
from compose.settings import Settings

NEEDED = ("postgres", "k6", "prometheus")  # and the store that was chosen
BEHIND = "k6"
NETWORK_TIMEOUT_S = 20


def tools(now: Settings) -> Iterator[Check]:
    """Every program: yours, cached and unchanged, or what installing it would take."""
    with Installer(now.env, echo=str) as installer:
        for name in installer.names():
            try:
                found = installer.find(name)
            except ToolError as exc:
                yield Check("tools", "fail", f"{name}: {exc}")
                continue
            yield _one(name, found, installer, now) if found else Check("tools", "ok", f"{name}: off")
        folder = existing(installer.cache)
        yield judge(
            "tools",
            not cache.forbids_programs(folder),
            f"programs are kept in {installer.cache}",
            "its file system is mounted with noexec: set VAULTBENCH_TOOLS to a folder on another one",
        )
        if _missing(installer, "go", now):
            free, needed = shutil.disk_usage(folder).free, recipe.load()[0].build_bytes
            text = f"{free / GB:.1f} GB free for building in {installer.cache}"
            yield judge("tools", free >= needed, text, "make room, or set VAULTBENCH_TOOLS to another disk")


def _one(name: str, found: Found, installer: Installer, now: Settings) -> Check:
    if found.path is None:
        one = found.recipe
        how = f"{one.kind}, usually {one.usual_s} s, {one.size_bytes / 1e6:.0f} MB"
        when = "by make up" if name in _needed(now) else "when something needs it"
        when = "behind make up" if name == BEHIND else when
        return Check("tools", "ok", f"{name} {one.version}: not here yet, installed {when} ({how})")
    if found.source in (OWN, ON_PATH):
        text = f"{name} {found.version}: {found.source}, {found.path}"
        remedy = f"tested is {found.recipe.version}; results name yours"
        return judge("tools", found.recipe.fits(found.version), text, remedy, "warn")
    folder = installer.folder(found.recipe)
    digest = hashlib.sha256(found.path.read_bytes()).hexdigest()
    text = f"{name} {found.version}: {found.source}"
    return judge(
        "tools", digest == cache.manifest(folder)["sha256"], text, f"it was changed: delete {folder}"
    )


def _needed(now: Settings) -> tuple[str, ...]:
    return (*NEEDED, store.chosen(now.env))


def _missing(installer: Installer, kind: str, now: Settings) -> bool:
    for name in _needed(now):
        try:
            found = installer.find(name)
        except ToolError:
            continue
        if found and found.path is None and found.recipe.kind == kind:
            return True
    return False


def network(now: Settings) -> Iterator[Check]:
    """Asked only when something must be fetched, with the very tools that will fetch it."""
    with Installer(now.env, echo=str) as installer:
        kinds = [kind for kind in ("wheel", "go", "debian") if _missing(installer, kind, now)]
    if not kinds:
        yield Check("network", "ok", "nothing must be fetched")
        return
    if now.offline:
        yield Check("network", "fail", "VAULTBENCH_OFFLINE=1, but programs are missing", "make tools, online")
        return
    given = [
        name for name in ("HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "PIP_CERT") if os.environ.get(name)
    ]
    yield Check("network", "ok", f"settings of yours in effect: {', '.join(given) or 'none'}")
    toolchain, recipes = recipe.load()
    package = toolchain.requirement.partition("==")[0]
    pip = [sys.executable, "-m", "pip", "index", "versions", "-q", package]
    go = golang.host_go(toolchain)
    if "wheel" in kinds or not go:
        yield _asked("Python package index", pip, Path.cwd())
    if "go" in kinds and go:
        asked = [go, "list", "-m", recipes["k6"].package]
        yield _asked("Go modules", asked, recipes["k6"].module, **golang.ways(go))
    if "debian" in kinds:
        yield judge("network", debian.available(), "apt-get and dpkg-deb", "PROMETHEUS_SOURCE=go", "warn")


def _asked(title: str, command: Sequence[str], folder: Path, **more: str) -> Check:
    with tempfile.TemporaryDirectory() as fresh:
        env = environment(GOMODCACHE=fresh, GOFLAGS="-modcacherw", GOENV="off", GOTOOLCHAIN="auto", **more)
        try:
            done = subprocess.run(
                command, cwd=folder, env=env, capture_output=True, timeout=NETWORK_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return Check("network", "fail", f"{title}: no answer", "check network and proxy settings")
    said = done.stderr.decode(errors="replace").strip()
    remedy = trouble.remedy(said.splitlines(), env) or f"it said: {said[-200:]}"
    return judge("network", done.returncode == 0, f"{title} answers", remedy)


def languages(_: Settings) -> Iterator[Check]:
    """Python and Go."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("python", "ok", f"{version}, {sys.executable}")
    toolchain, _recipes = recipe.load()
    found = golang.host_go(toolchain)
    number = ".".join(map(str, golang.version_of(found))) if found else ""
    own = (
        f"{number}, {found}"
        if found
        else f"no {toolchain.host_minimum} or later here; make up fetches {toolchain.requirement}"
    )
    kept = os.environ.get("GOTOOLCHAIN")
    yield Check("go", "ok", own + (f"; GOTOOLCHAIN={kept} is set aside for our builds" if kept else ""))
