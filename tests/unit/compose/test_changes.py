"""A wish that differs from what runs is named, with the command that grants it."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose import changes, settings
from tests.unit.compose.choice import Desk, new_desk

pytestmark = pytest.mark.unit


def env(**given: str) -> dict[str, str]:
    return {**settings.read(given).env, "PYTHON": "/bin/python", "VERSION": "1"}


def test_each_difference_has_both_values_and_the_command(tmp_path: Path) -> None:
    before, given = env(LOG_LEVEL="debug"), {"GATEWAY_PORT": "9500", "MAX_CCU": "7", "HOME": "/x"}
    changes.record(tmp_path, before)
    told = changes.told(tmp_path, env(**given), given).splitlines()
    assert told[0] == "A testbed with other settings is running:"
    assert "  GATEWAY_PORT: runs with 9000, asked for 9500" in told
    assert "  MAX_CCU: runs with its default, asked for 7" in told
    assert "  LOG_LEVEL: runs with debug, asked for its default" in told
    assert told[-1] == "Run `make down`, then `make up GATEWAY_PORT=9500 MAX_CCU=7`."


def test_what_follows_from_a_wish_is_not_listed_beside_it(tmp_path: Path) -> None:
    changes.record(tmp_path, env(WORKERS="1"))
    told = changes.told(tmp_path, env(WORKERS="2"), {"WORKERS": "2"}).splitlines()
    assert told[1:-1] == ["  WORKERS: runs with 1, asked for 2"]


def test_without_a_difference_in_settings_it_is_the_programs(tmp_path: Path) -> None:
    changes.record(tmp_path, env())
    assert "its programs or its description have changed since" in changes.told(tmp_path, env(), {})


def test_no_secret_is_kept(tmp_path: Path) -> None:
    changes.record(tmp_path, {**env(), "JWT_SECRET": "x" * 32, "PG_AUTH_PASSWORD": "y" * 32})
    text = (tmp_path / changes.FILE).read_text()
    assert "x" * 32 not in text and "y" * 32 not in text


def test_both_start_ups_read_odd_values_alike(tmp_path: Path) -> None:
    (tmp_path / "desk").mkdir()
    desk: Desk = new_desk(tmp_path / "desk")
    desk.record("native")
    odd = 'it\'s "a" $HOME [b] \\ ä'
    changes.record(desk.run_dir, env(CORS_ORIGINS=odd))
    desk.put("python3", "#!/bin/sh\nexit 0\n")
    assert desk.make("stress", CORS_ORIGINS=odd).returncode == 0
    assert "runs with it's" in desk.make("stress", CORS_ORIGINS="other").stderr
