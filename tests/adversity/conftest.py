"""Every test attacks the same system and starts from a clean state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adversity.bench import Bench, open_bench
from tests.order import sort_those_of
from tests.stack import System


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What everything else left behind is looked at last."""
    sort_those_of(
        Path(__file__).parent, items, lambda item: item.path.name == "test_agreement_after_faults.py"
    )


@pytest.fixture
async def bench(system: System) -> AsyncIterator[Bench]:
    async with open_bench(system) as opened:
        yield opened
