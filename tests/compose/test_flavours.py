"""Both Compose programs and both builders take what we wrote."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.compose import engine
from tests.compose.bed import HEALTH, PARTS, UP_WITHIN_S, new_bed
from tests.compose.conftest import Visitor
from tests.contract import flows
from tests.contract.flows import MIB, Single

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]


def works(program: str) -> bool:
    return subprocess.run([*program.split(), "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("compose", ["docker compose", "docker-compose"])
async def test_up_upload_down_with_each_compose(
    daemon: str, without: str, visitor: Visitor, compose: str
) -> None:
    if not works(compose):
        pytest.skip(f"no `{compose}` here")
    with new_bed(daemon, compose=compose, WITHOUT=without) as bed:
        told = bed.good("up", timeout_s=UP_WITHIN_S)
        assert f"compose   {compose} " in told
        for part in PARTS:
            assert bed.health(part) == HEALTH[part]
        user = await visitor(bed)
        data = flows.payload(MIB)
        upload = await flows.run(Single(), user, data)
        assert await flows.content(user, upload.uuid) == data
        assert "stopped; data is kept" in bed.good("down")


@pytest.mark.parametrize("buildkit", ["0", "1"])
def test_our_images_build_with_each_builder(daemon: str, buildkit: str) -> None:
    """The older docker program brings BuildKit along, the newer one needs its plugin."""
    tried = []
    for program in dict.fromkeys(
        filter(None, (shutil.which("docker"), shutil.which("docker", path=os.defpath)))
    ):
        with new_bed(
            daemon, DOCKER_BUILDKIT=buildkit, SERVICE_IMAGE=f"vaultbench/service:builder-{buildkit}"
        ) as bed:
            (bed.folder / "bin" / "docker").unlink()
            (bed.folder / "bin" / "docker").symlink_to(program)
            done = bed.run("sh", "compose/docker/main.sh", "compose", "build", timeout_s=UP_WITHIN_S)
            engine.docker("image", "rm", bed.env["SERVICE_IMAGE"], host=daemon)
        if done.returncode == 0:
            return
        tried.append(done.stdout + done.stderr)
    if all("buildx" in said for said in tried):
        pytest.skip("no BuildKit here: the docker program lacks its plugin")
    pytest.fail("\n".join(tried))
