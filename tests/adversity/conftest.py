"""Every test attacks the same system and starts from a clean state."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.adversity.bench import Bench, open_bench
from tests.stack import System


@pytest.fixture
async def bench(system: System) -> AsyncIterator[Bench]:
    async with open_bench(system) as opened:
        yield opened
