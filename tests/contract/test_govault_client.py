"""GoVault's own k6 client, unchanged, at its peaks: every check of every iteration passes.

Its shape keeps its proportions; only its minutes are shortened.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from loadtests.harness.running.k6 import QUIET, SCRIPTS
from loadtests.harness.testbeds.system import find_k6
from tests.stack import System

pytestmark = pytest.mark.contract

SHORTENED = 0.02
USERS = 20  # VUs share them, as GoVault's do when there are more VUs than users
CHECKS = {"proxy": 5, "multipart": 7}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("method", ["proxy", "multipart"])
@pytest.mark.parametrize("peak_vus", [20, 100, 200])
async def test_every_check_passes(system: System, tmp_path: Path, method: str, peak_vus: int) -> None:
    summary = tmp_path / "summary.json"
    # Its users' names never change: at the first test they sign up, later they only log in.
    variables = QUIET | {
        "PATH": os.environ["PATH"],
        "GATEWAY_URL": system.gateway,
        "UPLOAD_METHOD": method,
        "SCALE": str(peak_vus / 1000),
        "TIME": str(SHORTENED),
        "USERS": str(USERS),
        "SUMMARY": str(summary),
    }
    script = SCRIPTS / "govault" / "journey.js"
    process = await asyncio.create_subprocess_exec(
        find_k6(os.environ), "run", "--quiet", "--no-color", "--address", "", script, env=variables,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-2000:]
    found = json.loads(summary.read_text())
    checks = {one["name"]: one for one in found["root_group"]["checks"]}
    failed = {
        name: one["fails"] for name, one in checks.items() if one["fails"] and name != "signup status is 200"
    }
    iterations = found["metrics"]["iterations"]["values"]["count"]
    assert failed == {}
    assert found["metrics"]["vus_max"]["values"]["max"] == peak_vus
    assert iterations >= peak_vus
    passed = sum(one["passes"] for name, one in checks.items() if name != "signup status is 200")
    assert passed == iterations * CHECKS[method]
