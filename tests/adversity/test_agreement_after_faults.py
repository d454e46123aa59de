"""After all the faults and one sweep, store, databases and spool agree about what there is."""

from __future__ import annotations

import pytest

from tests.agreement import disagreements, swept
from tests.stack import System

pytestmark = pytest.mark.adversity


async def test_after_one_sweep_everything_agrees(system: System) -> None:
    await swept(system)
    assert await disagreements(system) == []
