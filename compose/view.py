"""What a person sees of a testbed: one table, one list of addresses, one sum of memory."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compose import neighbours, process, prom, room, store
from compose.unit import LOST

MIB = 1 << 20
COLOURS = {
    **dict.fromkeys(("healthy", "running", "done"), "green"),
    **dict.fromkeys(("unhealthy", "paused"), "yellow"),
    "stopped": "dim",
}


PIPE_COLUMNS = 120


class Output(Console):
    """Whoever stops reading, as `head` does, ends no command: the rest goes nowhere."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        to_nobody()


def console(*, stderr: bool = False, columns: int = 0) -> Console:
    """A console as wide as the terminal; without one `columns` wide, or wide enough for the table."""
    plain = Output(stderr=stderr)
    if plain.is_terminal:
        return plain
    return Output(stderr=stderr, width=columns or PIPE_COLUMNS, soft_wrap=not columns)


def unread() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    asked = select.poll()
    asked.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in asked.poll(0))


def to_nobody() -> None:
    """What is still printed, or written at the end, disappears."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def colour(state: str) -> str:
    """Red for what is lost, yellow for what is under way or unwell, green for what is well."""
    return "bold red" if lost(state) else COLOURS.get(state, "yellow")


def lost(state: str) -> bool:
    """Whether a part has ended for good, in the words of the supervisor or of Docker."""
    return state in LOST or state.startswith(("exited", "dead"))


def table(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """The parts, one line each. Memory is the proportional set size of a part with its children."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title, justify in (
        ("part", "left"),
        ("state", "left"),
        ("pid", "right"),
        ("port", "right"),
        ("healthy after", "right"),
        ("restarts", "right"),
        ("memory", "right"),
        ("version", "left"),
    ):
        shown.add_column(title, justify=justify, no_wrap=title != "state")  # type: ignore[arg-type]
    for name, row in rows.items():
        shown.add_row(
            name,
            Text(_state(row), style=colour(row["state"])),
            str(row["pid"] or ""),
            str(row["port"] or ""),
            f"{row['healthy_after_s']:.2f} s" if row["healthy_after_s"] else "",
            str(row["restarts"] or ""),
            f"{memory_bytes(row['pid']) / MIB:.0f} MiB" if row["pid"] else "",
            row["version"],
        )
    return shown


def _state(row: Mapping[str, Any]) -> str:
    changed = f"with other {', '.join(row['overrides'])}" if row["overrides"] else ""
    return " ".join(filter(None, (row["state"], row["detail"], changed)))


def memory_bytes(pid: int) -> int:
    """Memory of a process and its descendants, shared pages counted once."""
    return sum(process.pss_bytes(each) for each in process.tree(pid))


def print_lost(console: Console, rows: Mapping[str, Mapping[str, Any]]) -> bool:
    """The last log lines of every part that is lost; whether there was one."""
    lost = [(name, row) for name, row in rows.items() if row["state"] in LOST]
    for name, row in lost:
        console.print(f"\n{name}: {row['state']} {row['detail']}", style="bold red", markup=False)
        for line in row["last_lines"]:
            console.print(f"    {line}", markup=False, highlight=False)
    return bool(lost)


def print_memory(console: Console, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """What all parts take together, beside what the machine has."""
    used = sum(memory_bytes(row["pid"]) for row in rows.values() if row["pid"])
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    console.print(
        f"\nmemory    {used / MIB:.0f} MiB of this machine's {total / MIB:.0f} MiB", highlight=False
    )


def print_disk(console: Console, run_dir: Path) -> None:
    """What is left where data and logs go; red when the store refuses uploads."""
    space = room.of(run_dir)
    console.print(f"disk      {space}", style="" if space.enough else "bold red", highlight=False)


def print_others(console: Console, run_dir: Path) -> None:
    """The other testbeds of this machine."""
    for line in neighbours.lines(run_dir):
        console.print(f"beside    {line}", markup=False, highlight=False)


def print_alerts(console: Console, prometheus_url: str) -> None:
    """One line per alert, red when it fires; says so when there is nobody to ask."""
    if not prometheus_url:
        console.print("alerts    unknown: Prometheus is off")
        return
    try:
        with prom.Prometheus(prometheus_url) as prometheus:
            alerts = prometheus.alerts()
    except prom.PrometheusGone as exc:
        console.print(f"alerts    unknown: {exc}", style="yellow", highlight=False)
        return
    if not alerts:
        console.print("alerts    none")
    for alert in alerts:
        console.print(f"alerts    {alert.line}", style=alert.style, markup=False, highlight=False)


def print_addresses(console: Console, env: Mapping[str, str], *, prometheus: bool) -> None:
    """Where to go next."""
    console.print(f"gateway   {env['GATEWAY_URL']}", highlight=False)
    page = f"  (console {env['S3_CONSOLE_URL']})" if store.chosen(env) == store.MINIO else ""
    console.print(f"store     {env['S3_PUBLIC_ENDPOINT']}{page}", highlight=False)
    address = env["PROMETHEUS_URL"] if prometheus else "off"
    console.print(f"metrics   {address}  (Grafana: with Docker Compose only)", highlight=False)
