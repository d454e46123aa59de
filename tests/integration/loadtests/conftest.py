"""One rig for all tests of the harness: each starts from the clean state that it may test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from loadtests.harness.clean import Cleaner
from tests.integration.loadtests.planted import Planter, Rig, open_rig
from tests.stack import Backends


@pytest.fixture(scope="session")
async def rig(backends: Backends) -> AsyncIterator[Rig]:
    async with open_rig(backends) as opened:
        yield opened


@pytest.fixture
async def planter(rig: Rig) -> Planter:
    """An empty system, other users' files included, and a planter for it."""
    await Cleaner(rig.databases, rig.store, everything=True).clean()
    return Planter(rig)
