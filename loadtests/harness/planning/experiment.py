"""Where the files of experiments are, and what is said of one that cannot be used."""

from __future__ import annotations

from pathlib import Path

EXPERIMENTS_FOLDER = Path(__file__).parents[2] / "experiments"


class ExperimentError(Exception):
    """The file cannot be used; one line for each problem: key, value, what was expected."""
