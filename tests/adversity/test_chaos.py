"""A slice of the chaos suite: drawn uploads and faults, judged case by case.

`make chaos` runs more of it, with other seeds. A case that fails here is repeated by the command that the
failure names.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.__main__ import in_blocks, possible, told
from tests.chaos.attack import run_case
from tests.chaos.bed import Bed, running_bed
from tests.chaos.plan import draw
from tests.faketime import library

pytestmark = [pytest.mark.adversity, pytest.mark.timeout(600)]

SEED, CASES = 20_250, 16  # two to three seconds each on two cores


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with running_bed(library()) as running:
        yield running


async def test_a_slice(bed: Bed) -> None:
    drawn = [draw(SEED + number) for number in range(CASES)]
    here = [case for case in in_blocks(drawn, CASES) if possible(case, bed) is None]
    assert len(here) > CASES / 2, "few cases need what a machine may lack"
    for case in here:
        result = await run_case(bed, case)
        assert result.wrong == [], told(result)
