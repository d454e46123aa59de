"""The end of the parts' logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compose import scaling
from compose.control import last_lines
from compose.stack import StackError


def show(run_dir: Path, name: str, lines: int, say: Callable[[str], None]) -> None:
    """Prints the last lines of each log, or of those of one part, under its path.

    A service's name stands for all of its processes.
    """
    known = sorted(path.stem for path in (run_dir / "logs").glob("*.log"))
    if name and name not in known:
        raise StackError(f"no log of {name!r}; there are {', '.join(known) or 'none yet'}")
    for each in [one for one in known if name in ("", one, scaling.service_of(one))]:
        say(f"==> {run_dir}/logs/{each}.log")
        for line in last_lines(run_dir, each, lines):
            say(line)
        say("")
