"""Paths whose rest is one name: what is matched, and what goes on to the service."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routes import RouteTable, entries
from gateway.target import split
from services.kit.errors import Fault

pytestmark = pytest.mark.unit
TABLE = RouteTable(entries())
FOLDERS = "/api/files/folders/"


def forwarded(target: str, method: str = "DELETE") -> str:
    path, _ = split(target, TABLE.rests)
    entry, sent = TABLE.match(method, path)
    assert entry.route.name == "delete_folder"
    return sent


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("a", "a"),
        ("a/", "a/"),
        ("", ""),
        ("a/b/c", "a/b/c"),
        ("a%2Fb", "a/b"),
        ("a/../../f/x", "a/../../f/x"),
        ("%2e%2E/a//", "../a//"),
        ("//", "//"),
        ("%FF", "%FF"),
        ("%25FF", "%25FF"),
        ("a%3Fb%23?query=1", "a%3Fb%23"),
        ("internal/sweep", "internal/sweep"),
    ],
)
def test_nothing_is_resolved_away(target: str, sent: str) -> None:
    assert forwarded(FOLDERS + target) == f"/folders/{sent}"


@given(st.binary(max_size=40))
def test_every_name_arrives_as_it_was_written(name: bytes) -> None:
    written = "".join(f"%{byte:02X}" for byte in name)
    assert unquote_to_bytes(forwarded(FOLDERS + written)) == b"/folders/" + name


@given(st.text(st.sampled_from("./%2eEfFolders internal"), max_size=30))
def test_whatever_leads_there_is_a_folder_and_nothing_internal(text: str) -> None:
    for prefix in (FOLDERS, "/api/files/", "/api/files/me/../folders/", "/"):
        path, _ = split(prefix + text, TABLE.rests)
        for method in ("GET", "DELETE", "POST"):
            try:
                entry, sent = TABLE.match(method, path)
            except Fault as fault:
                assert fault.code in {"route_not_found", "method_not_allowed"}
                continue
            assert not sent.startswith("/internal")
            assert sent.startswith("/folders/") is (entry.route.name == "delete_folder")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/api//files/./folders/a/./b", "/api/files/folders/a/./b"),
        ("/api/files/folders", "/api/files/folders"),
        ("/api/files/folders/.", "/api/files/folders/."),
        ("/api/files/x/../folders/../y", "/api/files/folders/../y"),
        ("/api/files/foldersx/../y", "/api/files/y"),
        ("/api/upload/folders/../y", "/api/upload/y"),
    ],
)
def test_only_what_follows_is_kept(target: str, path: str) -> None:
    assert split(target, TABLE.rests)[0] == path
