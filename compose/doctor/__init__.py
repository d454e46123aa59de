"""`make doctor`: what is missing or will not fit, before anything is started. Reads, changes nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable

from rich.console import Console

from compose.doctor import machine, programs, report, testbed
from compose.doctor.model import Check
from compose.settings import Settings
from compose.stack import StackError

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
AREAS: tuple[Callable[[Settings], Iterable[Check]], ...] = (
    testbed.runtime,
    machine.host,
    programs.tools,
    programs.network,
    programs.languages,
    testbed.root,
    testbed.ports_free,
    testbed.ports_kept,
    machine.names,
    testbed.secrets,
    machine.limits,
    machine.honesty,
    testbed.running,
)
QUIET = (machine.host, testbed.root, testbed.ports_kept, machine.names, testbed.secrets, testbed.running)


def examine(
    settings: Settings, areas: Iterable[Callable[[Settings], Iterable[Check]]] = AREAS
) -> list[Check]:
    """All checks of the areas."""
    return [check for area in areas for check in area(settings)]


def silently(settings: Settings, console: Console) -> None:
    """Prints what is not ok; raises `StackError` when something must be mended first."""
    found = [check for check in examine(settings, QUIET) if check.status != "ok"]
    for check in found:
        _line(check, console)
    if any(check.status == "fail" for check in found):
        raise StackError("mend what is marked `fail` above, then run make up again")


def tell(settings: Settings, console: Console, *, as_json: bool, as_file: bool) -> bool:
    """Prints everything; whether nothing failed. Or writes it to a file, with all that helps others."""
    found = examine(settings)
    if as_file:
        path = report.write(settings, found)
        console.print(f"{path} can be attached to a report: it holds no secrets", highlight=False)
        return True
    if as_json:
        console.print_json(json.dumps([dataclasses.asdict(check) for check in found]))
    else:
        for check in found:
            _line(check, console)
    return all(check.status != "fail" for check in found)


def _line(check: Check, console: Console) -> None:
    console.print(f"[{STYLES[check.status]}]{check.status:<5}[/] {check.area:<8} ", end="")
    console.print(f"{check.text}", markup=False, highlight=False)
    if check.remedy:
        console.print(f"               -> {check.remedy}", markup=False, highlight=False)
