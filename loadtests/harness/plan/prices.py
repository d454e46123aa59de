"""The file that ``PRICES=`` names: what a core, memory, traffic and requests cost whoever asks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import ValidationError

from loadtests.harness import yaml_file
from loadtests.harness.records.ways import UnitPrices

EXAMPLE = "loadtests/prices/example.yaml"


class PricesError(Exception):
    """The file cannot be used; one line for each problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def read_prices(path: Path) -> UnitPrices:
    """Raises ``PricesError`` with every problem at once."""
    try:
        content = yaml_file.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise PricesError([f"cannot be read ({why}); expected a file such as {EXAMPLE}"]) from error
    except yaml.YAMLError as error:
        raise PricesError([f"is not YAML: {error}"]) from error
    if not isinstance(content, dict):
        raise PricesError([f"{content!r}: expected keys and values as in {EXAMPLE}"])
    try:
        return UnitPrices.model_validate(content)
    except ValidationError as error:
        raise PricesError(yaml_file.problems(error)) from error
