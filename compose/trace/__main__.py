"""Process edge for log files that somebody put into a folder, for example out of containers.

Example: python -m compose.trace --logs FOLDER --id 44016b52-f120-4bf7-8570-71f5bc369a49
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from compose.trace.command import COLUMNS, trace
from compose.trace.follow import TraceError
from compose.trace.sources import FileLogs


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--logs", type=click.Path(path_type=Path, exists=True), required=True, help="One file per service."
)
@click.option("--id", "wanted", envvar="ID", required=True, help="An upload_uuid or a request id.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--all", "everything", envvar="ALL", is_flag=True, help="Long journeys without omissions.")
def main(logs: Path, wanted: str, as_json: bool, everything: bool) -> None:
    """Shows the way of one upload through log files.

    Example: python -m compose.trace --logs FOLDER --id 44016b52-f120-4bf7-8570-71f5bc369a49
    """
    plain = Console()
    console = plain if plain.is_terminal else Console(width=COLUMNS)
    try:
        trace(FileLogs(logs), wanted, console, as_json=as_json, everything=everything)
    except TraceError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
