"""The end of the parts' logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compose.control import last_lines
from compose.stack import StackError


def show(run_dir: Path, name: str, lines: int, say: Callable[[str], None]) -> None:
    """Prints the last lines of one log or of each, under its path."""
    known = sorted(path.stem for path in (run_dir / "logs").glob("*.log"))
    if name and name not in known:
        raise StackError(f"no log of {name!r}; there are {', '.join(known) or 'none yet'}")
    for each in [name] if name else known:
        say(f"==> {run_dir}/logs/{each}.log")
        for line in last_lines(run_dir, each, lines):
            say(line)
        say("")
