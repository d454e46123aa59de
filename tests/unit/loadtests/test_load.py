"""What the harness makes of a k6 that does not do its part."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loadtests.harness.k6.control import Control
from loadtests.harness.k6.rows import Rows
from loadtests.harness.load import Files, Load, Workers, read_summary

pytestmark = pytest.mark.unit


async def test_work_that_fails_beside_the_load_ends_the_wait(tmp_path: Path) -> None:
    """Nobody looks at the processes any more; the load would go on for nothing."""

    async def watched() -> None:
        raise PermissionError("/proc/1/io")

    process = await asyncio.create_subprocess_exec("sleep", "60")
    rows = Rows("run")
    try:
        load = Load(Files.within(tmp_path), Control(1, rows), rows, {}, Workers(1), process)
        with pytest.raises(PermissionError):
            await load.alive_until(asyncio.create_task(watched()))
    finally:
        rows.close()
        process.kill()
        await process.wait()


@pytest.mark.parametrize("text", [None, "", '{"metrics": {"http_re'])
def test_counts_that_k6_could_not_write_are_zeros(tmp_path: Path, text: str | None) -> None:
    """It was killed, or the disk was full."""
    path = tmp_path / "summary.json"
    if text is not None:
        path.write_text(text)
    found = read_summary(path, 137)
    assert (found.exit_code, found.requests, found.request_p50_ms) == (137, 0, None)
