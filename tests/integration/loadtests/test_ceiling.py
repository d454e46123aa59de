"""k6 by itself: every strategy's script is pleased by the sink, and its ceiling is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.records.plan import Arm
from loadtests.harness.running.ceiling import measure_ceilings
from loadtests.harness.testbeds.system import find_k6

pytestmark = pytest.mark.integration

SIZE = 64 * 1024


async def test_each_strategy_has_a_ceiling(tmp_path: Path) -> None:
    strategies = load_strategies()
    arms = [
        Arm(
            name=name, of=name, title=name, colour="#000000", strategy=name, file_size_bytes=SIZE,
            piece_bytes=strategy.piece_bytes(SIZE), vus=2,
        )
        for name, strategy in strategies.items()
    ]  # fmt: skip
    found = await measure_ceilings(find_k6(os.environ), arms, strategies, tmp_path)
    assert set(found) == set(strategies)
    for ceiling in found.values():
        assert ceiling.file_size_bytes == SIZE
        assert ceiling.uploads_per_s > 0
        assert ceiling.floor_ms >= 0  # k6 counts whole milliseconds, and the sink may be quicker


async def test_nobody_has_no_ceiling(tmp_path: Path) -> None:
    nobody = Arm(
        name="nobody", of="nobody", title="", colour="#000000", strategy=None, file_size_bytes=0,
        piece_bytes=1, vus=0,
    )  # fmt: skip
    assert await measure_ceilings(Path("/nowhere"), [nobody], {}, tmp_path) == {}
