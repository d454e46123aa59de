"""What Prometheus scrapes and which rules it loads, from one template for every way to run the testbed.

    configuration(native_targets(env, absent={"exporter-host"}), rules_dir)

Compose fills in the same names with its own hosts.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from compose import envfile, scaling
from compose.settings import ROOT

TEMPLATES = Path(__file__).with_name("prometheus")
RULES = ROOT / "grafana" / "rules"
# Exporters come as Debian packages; without them the testbed runs and their panels stay empty.
EXPORTERS: Mapping[str, str] = {
    "exporter-pg-auth": "postgres_exporter",
    "exporter-pg-upload": "postgres_exporter",
    "exporter-pg-files": "postgres_exporter",
    "exporter-host": "node_exporter",
    "exporter-processes": "process_exporter",
}
EXPORTER_PROGRAMS = tuple(dict.fromkeys(EXPORTERS.values()))

# The template's name of a target list: the part whose presence makes it a target, and the port.
TARGETS: Mapping[str, tuple[str, str]] = {
    "GATEWAY": ("gateway", "GATEWAY_ADMIN_PORT"),
    "AUTH": ("auth", "AUTH_ADMIN_PORT"),
    "UPLOAD": ("upload", "UPLOAD_ADMIN_PORT"),
    "FILES": ("files", "FILES_ADMIN_PORT"),
    "MINIO": ("minio", "S3_PORT"),
    "PG_AUTH": ("exporter-pg-auth", "EXPORTER_PG_AUTH_PORT"),
    "PG_UPLOAD": ("exporter-pg-upload", "EXPORTER_PG_UPLOAD_PORT"),
    "PG_FILES": ("exporter-pg-files", "EXPORTER_PG_FILES_PORT"),
    "HOST": ("exporter-host", "EXPORTER_HOST_PORT"),
    "PROCESSES": ("exporter-processes", "EXPORTER_PROCESSES_PORT"),
    "HARNESS": ("", "HARNESS_METRICS_PORT"),
}


def absent_exporters(env: Mapping[str, str]) -> set[str]:
    """Parts that cannot run, because nobody named their program."""
    return {part for part, program in EXPORTERS.items() if not env.get(f"{program.upper()}_BIN")}


def native_targets(env: Mapping[str, str], *, absent: Collection[str] = ()) -> dict[str, list[str]]:
    """Target lists of a testbed of plain processes; nothing to scrape where a part is absent."""
    return {
        name: [] if part in absent else [f"127.0.0.1:{env[one]}" for one in _ports(env, part, port)]
        for name, (part, port) in TARGETS.items()
    }


def _ports(env: Mapping[str, str], part: str, port: str) -> list[str]:
    """The variables of the ports of all replicas."""
    if part not in scaling.REPLICATED:
        return [port]
    return [scaling.variables(part, replica)[1] for replica in range(1, scaling.replicas(env, part) + 1)]


def configuration(targets: Mapping[str, Sequence[str]], rules_dir: str = str(RULES)) -> str:
    """The text of Prometheus' configuration file."""
    lists = {f"{name}_TARGETS": json.dumps(list(hosts)) for name, hosts in targets.items()}
    template = (TEMPLATES / "prometheus.yml").read_text(encoding="utf-8")
    _, found, body = template.partition("global:")  # the comment before it is about the template
    # In quotes of YAML, and a pattern: in a folder called `[x]` Prometheus would look for one called `x`. It
    # refuses a star in a folder even as a character of its own.
    pattern = glob.escape(rules_dir).replace("[*]", "?")
    folder = json.dumps(pattern, ensure_ascii=False)[1:-1]
    return found + envfile.expand(body, {**lists, "RULES_DIR": folder, "PROCESSES_HIDDEN": "[]"})


def processes(env: Mapping[str, str]) -> str:
    """The text of process-exporter's configuration file."""
    template = (TEMPLATES / "processes.yml").read_text(encoding="utf-8")
    _, found, body = template.partition("process_names:")
    return found + envfile.expand(body, env)
