"""`make trace ID=`: where to look, and what to say when nothing is found."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

from compose.trace import follow, show
from compose.trace.sources import FileLogs

COLUMNS = 80  # where there is no terminal
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def trace(source: FileLogs, wanted: str, console: Console, *, as_json: bool, everything: bool) -> None:
    """Prints the journey of an id; `TraceError` when there is none."""
    wanted = wanted.strip().lower()
    if not wanted:
        raise follow.TraceError("whose way? make trace ID=<upload_uuid or request id>")
    if not _ID.fullmatch(wanted):
        raise follow.TraceError(
            f"ID={wanted!r} is no id; expected an upload_uuid or a request id, 8-4-4-4-12 hex digits"
        )
    try:
        journey = follow.follow(source, wanted)
    except follow.UnknownId as exc:
        raise follow.TraceError(
            f"no log has a line about {wanted}. Lines come within 0.1 s of an answer and stay until "
            "their log was put away twice, or `make clean`; with LOGGING=off there are none."
        ) from exc
    if as_json:
        console.file.write(show.as_json(journey) + "\n")
    else:
        show.show(console, journey, everything=everything)


def source_of(run_dir: Path) -> FileLogs:
    """The logs of the testbed of this run folder."""
    return FileLogs(run_dir / "logs")
