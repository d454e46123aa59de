"""A slice of the chaos suite: drawn uploads and faults, judged case by case.

`make chaos` runs more of it, with other seeds. A case that fails here is repeated by the command that the
failure names.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.chaos.__main__ import in_blocks, library, possible, told
from tests.chaos.attack import run_case
from tests.chaos.bed import Bed, running_bed
from tests.chaos.plan import draw

pytestmark = [pytest.mark.adversity, pytest.mark.timeout(240)]

SEED, CASES, SLICE_S = 20_250, 40, 60.0


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with running_bed(library()) as running:
        yield running


async def test_a_slice(bed: Bed) -> None:
    began, done = time.monotonic(), 0
    drawn = [draw(SEED + number) for number in range(CASES)]
    random.Random(SEED).shuffle(drawn)
    for case in in_blocks(drawn, 12):
        if time.monotonic() - began > SLICE_S:
            break
        if possible(case, bed):
            continue
        result = await run_case(bed, case)
        assert result.wrong == [], told(result)
        done += 1
    assert done >= 5, "a case takes a few seconds"
