"""Process edge for containers: runs in a container of its own, beside those that it watches.

Example: python -m compose.top --project vaultbench --prometheus http://prometheus:9090 --once
"""

from __future__ import annotations

import sys

import click
from rich.console import Console

from compose.prom import Prometheus
from compose.top import command
from compose.top.containers import EngineGone, open_containers
from compose.top.frame import WIDTH


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--project", required=True, help="Name of the Compose project.")
@click.option("--prometheus", "url", required=True, help="Where Prometheus listens.")
@click.option("--once", "only_once", is_flag=True, help="Print one frame and end.")
def main(project: str, url: str, only_once: bool) -> None:
    """Shows what happens now, once a second, until Ctrl-C.

    Example: python -m compose.top --project vaultbench --prometheus http://prometheus:9090 --once
    """
    plain = Console()
    console = plain if plain.is_terminal else Console(width=WIDTH)
    try:
        with Prometheus(url) as prometheus, open_containers(project) as containers:
            watch = command.Watch(containers, prometheus)
            (command.once if only_once else command.live)(watch, console)
    except EngineGone as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
