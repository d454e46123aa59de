"""The file name rule and the types that names imply."""

from __future__ import annotations

import pytest

from services.kit.errors import Fault
from services.kit.names import base_name, file_name, type_by_name

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        ("a.txt", "a.txt"),
        ("  a b.txt\t\u3000", "a b.txt"),
        ("folder/sub/a.txt", "folder/sub/a.txt"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("a\\b.txt", "a\\b.txt"),
        ("..a", "..a"),
        ("x" * 255, "x" * 255),
        ("e\u0301" * 255, "\u00e9" * 255),
    ],
)
def test_good_names(raw: str, stored: str) -> None:
    assert file_name(raw) == stored


@pytest.mark.parametrize(
    "raw",
    [
        *("", " \u2003", "x" * 256, "/a", "a/", "a//b", "a/./b", "../a", ".", ".."),
        *("a\0b", "a\nb", "\x1fa", "a\u0085b", "a\u2028b", "a\u202eb", "a\u2066b", "a\ud800b"),
    ],
)
def test_bad_names(raw: str) -> None:
    with pytest.raises(Fault) as caught:
        file_name(raw)
    assert caught.value.code == "invalid_file_name"
    assert caught.value.message.startswith("The file name ")


@pytest.mark.parametrize(
    ("name", "base"), [("a", "a"), ("f/a.txt", "a.txt"), ("f\\a.txt", "a.txt"), ("f\\g/h", "h")]
)
def test_base_name(name: str, base: str) -> None:
    assert base_name(name) == base


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("testfile.bin", "application/octet-stream"),
        ("f/photo.JPG", "image/jpeg"),
        ("x.tar.gz", "application/gzip"),
        ("data:text/html,x", None),
        ("README", None),
        (".png", None),
        ("f.png/README", None),
    ],
)
def test_type_by_name(name: str, kind: str | None) -> None:
    assert type_by_name(name) == kind
