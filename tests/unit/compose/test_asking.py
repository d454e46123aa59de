"""What a start refuses of the services' settings, in their own words, before anything starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compose import asking, credentials, scaling, settings, topology
from compose.envfile import EnvError
from services.kit.settings import expected
from services.upload.settings import Settings as Upload
from tests.unit.compose.choice import WORKS, new_desk

pytestmark = pytest.mark.unit


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secrets.env"


def refused(file: Path, **given: str) -> list[str]:
    with pytest.raises(EnvError) as caught:
        asking.to_start({settings.SECRETS: str(file), **given})
    return caught.value.problems


def test_all_that_is_wrong_is_said_at_once_by_the_start_and_by_the_services(file: Path) -> None:
    file.write_text("LOG_LEVEL=loud\r\nMAX_CCU=1e3\r\n")
    assert sorted(refused(file, WORKERS="x", HASH_WORKERS="0x10", DB_POOL_MAX="1.5", CACHE="disk")) == [
        "CACHE='disk': must be one of none, memory, redis",
        "DB_POOL_MAX is '1.5': expected an integer, at least 1 and at most 1000",
        "HASH_WORKERS is '0x10': expected an integer, at least 0 and at most 256",
        "LOG_LEVEL is 'loud': expected one of debug, info, warning, error",
        "MAX_CCU is '1e3': expected an integer, at least 1 and at most 1000000",
        "WORKERS='x': must be auto or a number, 1 to 32",
    ]


def test_what_does_not_go_together_is_said_too(file: Path) -> None:
    assert refused(file, DB_POOL_MIN="30") == ["DB_POOL_MIN is 30: expected at most DB_POOL_MAX, 20"]
    assert asking.to_start({settings.SECRETS: str(file), "DB_POOL_MIN": "30", "DB_POOL_MAX": "30"})


def test_no_setting_of_a_service_gets_past_it() -> None:
    """Each with a value that none of them takes, but for those that take any text."""
    known = {name for part in scaling.REPLICATED for name in topology.optional(part)}
    said = asking.problems(dict.fromkeys(known, "\N{SNOWMAN}"))
    texts = {"JWT_ISSUER", "JWT_AUDIENCE", "CORS_ORIGINS"}
    assert {line.split()[0] for line in said} == known - texts - settings.CHOICES.keys()
    one = expected(Upload.model_json_schema()["properties"]["LEASE_S"])
    assert f"LEASE_S is '\N{SNOWMAN}': expected {one}" in said


def test_what_is_said_behind_the_target_wins_over_the_file(file: Path) -> None:
    file.write_text("LOG_LEVEL=debug\nGATEWAY_PORT=9500\nJWT_SECRET=short\n")
    now = asking.to_start({settings.SECRETS: str(file), "LOG_LEVEL": "Error"})
    assert now.env["LOG_LEVEL"] == "Error"
    assert now.env["GATEWAY_URL"] == "http://127.0.0.1:9500", "what follows from a value of the file"
    assert "JWT_SECRET" not in now.env
    assert not {*credentials.SIZES} & now.env.keys()


def test_both_start_ups_read_the_file_alike(tmp_path: Path) -> None:
    """With Windows line ends, spaces behind, quotes, the same name twice, and no end of the last line."""
    desk = new_desk(tmp_path)
    lines = ["LOG_LEVEL=debug  ", "GATEWAY_PORT=9400", "MAX_CCU='70' # of mine"]
    lines += ["GATEWAY_PORT=9500", 'FINALISE="queued"']
    desk.secrets.write_text("\r\n".join(lines))
    names = ("LOG_LEVEL", "GATEWAY_PORT", "GATEWAY_URL", "MAX_CCU", "FINALISE", "UPLOAD_PORT")
    told = "".join(f'echo "{name}=${name}"; ' for name in names)
    said = desk.script(f"load_environment lenient; {told}", **WORKS, UPLOAD_PORT="9502")
    now = asking.to_start({settings.SECRETS: str(desk.secrets), "UPLOAD_PORT": "9502"})
    assert said.stdout.splitlines() == [f"{name}={now.env[name]}" for name in names], said.stderr
    assert (now.env["GATEWAY_URL"], now.env["MAX_CCU"]) == ("http://127.0.0.1:9500", "70")


def test_what_is_read_before_the_file_is_refused_in_it(file: Path) -> None:
    file.write_text("VAULTBENCH_RUN_DIR=/x\nRUNTIME=compose\n")
    assert refused(file) == [
        f"{one.partition('=')[0]} in secrets.env: counts only behind the target: make up {one}"
        for one in ("VAULTBENCH_RUN_DIR=/x", "RUNTIME=compose")
    ]


def test_a_refused_start_leaves_nothing_behind(tmp_path: Path) -> None:
    words = {"VAULTBENCH_RUN_DIR": "run", settings.SECRETS: "env", "RUNTIME": "native", "LOG_LEVEL": "loud"}
    typed = [f"{name}={tmp_path / value if name.startswith('V') else value}" for name, value in words.items()]
    done = subprocess.run(
        ["make", "up", f"PYTHON={sys.executable}", *typed],
        cwd=settings.ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "LOG_LEVEL is 'loud': expected one of debug" in done.stderr
    assert done.returncode == 2
    assert not [*tmp_path.iterdir()]
