"""Upload strategies: every folder of ``loadtests/strategies`` is one.

A folder holds ``upload.js`` (what k6 does for one file) and ``manifest.yaml`` (what it is called and
what it should cost). Costs are formulas of the number of pieces, so one manifest serves all sizes.
A strategy with variants is several: itself and, for each, ``<name>-<variant>`` by the same script.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from loadtests.harness import yaml_file
from loadtests.harness.records.base import Record
from loadtests.harness.records.ways import Abilities

STRATEGIES_FOLDER = Path(__file__).parents[2] / "strategies"

_BINARY: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Eq: operator.eq,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
}


class StrategyError(Exception):
    """A strategy's folder is incomplete or wrong; the message lists every problem."""


def evaluate(formula: str, pieces: int) -> int:
    """The value of a cost formula for ``pieces`` chunks or parts.

    Known names: ``n`` (pieces) and ``many`` (1 if there are several, else 0). Whole numbers,
    ``+ - *``, comparisons and ``a if condition else b``. Raises ``ValueError`` for anything else.
    """
    try:
        body = ast.parse(formula, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{formula!r} is not a formula") from error
    return _value(body, {"n": pieces, "many": int(pieces > 1)}, formula)


def _value(node: ast.expr, names: Mapping[str, int], formula: str) -> int:
    match node:
        case ast.Constant(value=int() as value):
            return value
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left, names, formula), _value(right, names, formula))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return int(_COMPARE[type(op)](_value(left, names, formula), _value(right, names, formula)))
        case ast.IfExp(test=test, body=yes, orelse=no):
            return _value(yes if _value(test, names, formula) else no, names, formula)
        case _:
            raise ValueError(
                f"{formula!r}: only n, many, whole numbers, + - *, comparisons and if/else are known"
            )


def _checked(formula: str) -> str:
    evaluate(formula, 1)
    return formula


Formula = Annotated[str, BeforeValidator(str), AfterValidator(_checked)]


class Requests(Record):
    """Requests of one upload, by whom they are sent to."""

    gateway: Formula
    store: Formula


class Variant(Record):
    """The same strategy done in another way, which its script is told by name."""

    title: str = Field(min_length=1)
    colour: str = Field(pattern=r"^#[0-9a-f]{6}$")
    files: int = Field(default=1, ge=1)


class StrategyManifest(Record):
    """What ``manifest.yaml`` says."""

    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    verdict: bool  # whether it takes part in the paired comparison
    colour: str = Field(pattern=r"^#[0-9a-f]{6}$")
    method: str = Field(min_length=1)  # the word that the session rows carry
    piece_bytes: int | None = Field(gt=0)  # chunk or part size; None sends the file whole
    files: int = Field(default=1, ge=1)  # in one request; what is asked for is of one file all the same
    requests: Requests
    statements: dict[str, Formula]  # by database
    store_requests: dict[str, Formula]  # "total", and operations where they are to be exact
    abilities: Abilities
    variants: dict[str, Variant] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way for bytes to travel; ``variant`` is what its script is told, "" for the plain one."""

    name: str
    script: Path
    manifest: StrategyManifest
    variant: str = ""

    def piece_bytes(self, file_size_bytes: int) -> int:
        """The size of one request's body for a file of that size."""
        return self.manifest.piece_bytes or file_size_bytes

    def pieces(self, file_size_bytes: int) -> int:
        return -(-file_size_bytes // self.piece_bytes(file_size_bytes))

    def requests_per_flow(self, file_size_bytes: int) -> int:
        """All requests of one upload, those to the store included; of a batch, of all its files together."""
        pieces = self.pieces(file_size_bytes)
        asked = self.manifest.requests
        return evaluate(asked.gateway, pieces) + evaluate(asked.store, pieces)

    def client_store_requests(self, file_size_bytes: int) -> int:
        """Requests of one upload that the client itself sends to the store."""
        return evaluate(self.manifest.requests.store, self.pieces(file_size_bytes))

    def expected_statements(self, pieces: int) -> dict[str, int]:
        return {name: evaluate(formula, pieces) for name, formula in self.manifest.statements.items()}

    def expected_store_requests(self, pieces: int) -> int:
        return evaluate(self.manifest.store_requests["total"], pieces)


def load_strategies(folder: Path = STRATEGIES_FOLDER) -> dict[str, Strategy]:
    """Every strategy by name, those with a verdict first, then by name. Raises ``StrategyError``."""
    problems: list[str] = []
    found: list[Strategy] = []
    for path in sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] not in "._"):
        try:
            found += _load(path)
        except StrategyError as error:
            problems.append(str(error))
    if problems:
        raise StrategyError("\n".join(problems))
    return {strategy.name: strategy for strategy in sorted(found, key=_listing_order)}


def _listing_order(strategy: Strategy) -> tuple[bool, int, str]:
    # Proxies first: the comparison reads "direct over proxy".
    return (not strategy.manifest.verdict, strategy.manifest.method != "proxy", strategy.name)


def _load(path: Path) -> list[Strategy]:
    """The strategy of a folder, and its variants."""
    missing = [name for name in ("upload.js", "manifest.yaml") if not (path / name).is_file()]
    if missing:
        raise StrategyError(f"strategy {path.name}: no {' and no '.join(missing)}")
    try:
        content = yaml_file.parse((path / "manifest.yaml").read_text(encoding="utf-8"))
        manifest = StrategyManifest.model_validate(content)
    except yaml.YAMLError as error:
        raise StrategyError(f"strategy {path.name}: manifest.yaml is not YAML: {error}") from error
    except ValidationError as error:
        raise StrategyError(f"strategy {path.name}: {'; '.join(yaml_file.problems(error))}") from error
    if "total" not in manifest.store_requests:
        raise StrategyError(f"strategy {path.name}: store_requests.total: missing")
    script = path / "upload.js"
    variants = [
        Strategy(f"{path.name}-{name}", script, manifest.model_copy(update=variant.model_dump()), name)
        for name, variant in manifest.variants.items()
    ]
    return [Strategy(path.name, script, manifest), *variants]
