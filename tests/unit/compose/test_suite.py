"""`make test`: a test that fails beside others has to pass alone, and both are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose import suite

BESIDE_OTHERS = "import os\ndef test_it() -> None:\n    assert 'PYTEST_XDIST_WORKER' not in os.environ\n"
ALWAYS = "def test_it() -> None:\n    assert 1 == 2\n"
NEVER = "def test_it() -> None:\n    assert 1 == 1\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS"):  # this test's own process may be one of two
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_never.py").write_text(NEVER)
    return tmp_path


def test_what_passes_runs_once(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert suite.test(root=checkout) == 0
    assert "1 passed" in (said := capfd.readouterr().out)
    assert said.count("$ pytest") == 1


def test_what_fails_only_beside_others_passes_and_is_told(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (checkout / "test_beside.py").write_text(BESIDE_OTHERS)
    assert suite.test(root=checkout) == 0
    first, again = capfd.readouterr().out.split("Once more, alone")
    assert "1 failed, 1 passed" in first and "AssertionError" in first
    assert "1 passed" in again and "Passed alone, failed beside others" in again


def test_what_fails_alone_too_has_failed(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (checkout / "test_beside.py").write_text(BESIDE_OTHERS)
    (checkout / "test_always.py").write_text(ALWAYS)
    assert suite.test(root=checkout) == 1
    assert "Passed alone" not in capfd.readouterr().out


def test_what_cannot_run_is_not_tried_again(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert suite.test("--no-such-option", root=checkout) == 4
    assert "Once more" not in capfd.readouterr().out
