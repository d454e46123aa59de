"""``python -m grafana`` writes the dashboards' JSON; ``--check`` compares and exits 1 when it differs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from grafana.dashboards import DASHBOARDS
from grafana.to_json import text_of

FOLDER = Path(__file__).with_name("json")


def files() -> dict[Path, str]:
    """Every file of the folder, with its content."""
    return {FOLDER / f"{dashboard.uid}.json": text_of(dashboard) for dashboard in DASHBOARDS}


def stale() -> list[str]:
    """Names of files that differ from the dashboards, are missing, or belong to none."""
    wanted = files()
    known = [
        path.name for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text
    ]
    return sorted(known + [path.name for path in FOLDER.glob("*.json") if path not in wanted])


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file is stale.")
def main(check: bool) -> None:
    """Write Grafana's JSON of all dashboards to grafana/json.

    Example: python -m grafana --check
    """
    old = stale()
    if check:
        sys.exit(f"stale: {', '.join(old)}; run python -m grafana" if old else 0)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
    for name in old:
        if FOLDER / name not in files():
            (FOLDER / name).unlink()


if __name__ == "__main__":
    main()
