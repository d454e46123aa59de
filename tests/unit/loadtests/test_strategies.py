"""Strategies: a folder is enough, and a wrong folder says what is wrong."""

from __future__ import annotations

import shutil
from itertools import combinations
from math import dist
from pathlib import Path

import pytest

from loadtests.harness.clients.strategies import STRATEGIES_FOLDER, StrategyError, evaluate, load_strategies

pytestmark = pytest.mark.unit

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("formula", "one", "three"),
    [("2 * n + 2 + many", 4, 9), ("n + 4", 5, 7), ("1 if n == 1 else n + 2", 1, 5), ("3", 3, 3)],
)
def test_formula_of_pieces(formula: str, one: int, three: int) -> None:
    assert evaluate(formula, 1) == one
    assert evaluate(formula, 3) == three


@pytest.mark.parametrize("formula", ["n / 2", "open('x')", "m + 1", "n +", "n ** n", "True and n"])
def test_formula_knows_nothing_else(formula: str) -> None:
    with pytest.raises(ValueError, match=r"formula|only n"):
        evaluate(formula, 2)


def test_deciding_strategies_come_first_and_the_proxy_leads() -> None:
    found = load_strategies()
    assert list(found)[:2] == ["proxy-chunked", "direct-multipart"]
    assert [name for name, one in found.items() if one.manifest.verdict] == [
        "proxy-chunked",
        "direct-multipart",
    ]


@pytest.mark.parametrize(
    ("name", "size", "requests", "statements", "store"),
    [
        ("proxy-chunked", MIB, 2, 5, 1),
        ("proxy-chunked", 12 * MIB, 4, 10, 5),
        ("direct-multipart", MIB, 4, 5, 2),
        ("direct-multipart", 12 * MIB, 8, 7, 2),
        ("direct-single", 12 * MIB, 3, 4, 1),
        ("proxy-single", 12 * MIB, 1, 4, 1),
        ("proxy-single-buffered", 12 * MIB, 1, 4, 1),
        ("proxy-single-batch", 50_000, 1, 4, 1),
    ],
)
def test_costs_of_one_upload(name: str, size: int, requests: int, statements: int, store: int) -> None:
    strategy = load_strategies()[name]
    pieces = strategy.pieces(size)
    assert strategy.requests_per_flow(size) == requests
    assert sum(strategy.expected_statements(pieces).values()) == statements
    assert strategy.expected_store_requests(pieces) == store


def test_a_new_folder_is_a_new_strategy(tmp_path: Path) -> None:
    shutil.copytree(STRATEGIES_FOLDER / "direct-single", tmp_path / "my-way")
    assert list(load_strategies(tmp_path)) == ["my-way"]


def test_a_variant_is_a_strategy_by_the_same_script() -> None:
    found = load_strategies()
    plain, spooled = found["proxy-single"], found["proxy-single-spooled"]
    assert (plain.variant, spooled.variant) == ("", "spooled")
    assert plain.script == spooled.script
    assert plain.manifest.title != spooled.manifest.title
    assert plain.manifest.statements == spooled.manifest.statements
    assert (plain.manifest.files, found["proxy-single-batch"].manifest.files) == (1, 5)
    assert len({one.manifest.colour for one in found.values()}) == len(found)


def oklab(colour: str) -> tuple[float, float, float]:
    """Björn Ottosson's perceptual space (2020): distances in it are those that people see."""
    r, g, b = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    )
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def test_strategies_in_one_picture_are_told_apart_by_colour() -> None:
    """Three browns were 0.04 to 0.15 apart."""
    colours = {name: one.manifest.colour for name, one in load_strategies().items()}
    close = [
        (first, second)
        for first, second in combinations(colours, 2)
        if dist(oklab(colours[first]), oklab(colours[second])) < 0.16
    ]
    assert close == []


def test_every_problem_of_every_folder_is_named_at_once(tmp_path: Path) -> None:
    shutil.copytree(STRATEGIES_FOLDER / "direct-single", tmp_path / "a")
    manifest = tmp_path / "a" / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("verdict: false", "verdikt: false\ncolour2: red"))
    (tmp_path / "b").mkdir()
    with pytest.raises(StrategyError) as caught:
        load_strategies(tmp_path)
    for part in ("verdict", "verdikt", "colour2", "strategy b: no upload.js and no manifest.yaml"):
        assert part in str(caught.value)
