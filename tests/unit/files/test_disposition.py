"""Names of downloads."""

from __future__ import annotations

import pytest

from services.files.disposition import attachment, download_name

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("name", "plain", "exact"),
    [
        ("a.txt", "a.txt", "a.txt"),
        ("folder/b c.txt", "b c.txt", "b%20c.txt"),
        ("ü%\"'.txt", "___'.txt", "%C3%BC%25%22%27.txt"),
        ("漢.pdf", "_.pdf", "%E6%BC%A2.pdf"),
        ("a\\b.txt", "b.txt", "b.txt"),
        ("ends\\", "download", "download"),
        ("*();=.bin", "*();=.bin", "%2A%28%29%3B%3D.bin"),
    ],
)
def test_both_forms(name: str, plain: str, exact: str) -> None:
    assert attachment(name) == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"


def test_no_name_can_add_a_header() -> None:
    assert "\n" not in attachment("a\r\nSet-Cookie: b")


def test_the_base_name_is_shown() -> None:
    assert download_name("a/b/c.txt") == "c.txt"
