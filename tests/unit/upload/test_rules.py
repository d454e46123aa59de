"""Small rules: pauses, part counts, sizes, types by content, settings."""

from __future__ import annotations

import random

import pytest

from services.kit.errors import Fault
from services.kit.s3 import Part
from services.kit.settings import SettingsError, public
from services.upload.chunk_store.sniff import SNIFF_BYTES, type_of
from services.upload.finalise.direct import differing
from services.upload.finalise.journal import Backoff
from services.upload.model import MAX_PUT_BYTES, RegisteredPart
from services.upload.service.chunks import HELD_BYTES
from services.upload.service.multipart import part_count
from services.upload.service.opening import judge_size
from services.upload.settings import Settings
from tests.environment import load
from tests.unit.upload.support import MIB

pytestmark = pytest.mark.unit


def test_ten_attempts_reach_over_fifteen_minutes() -> None:
    for seed in range(100):
        backoff = Backoff(10, 2.0, random.Random(seed))
        pauses = [backoff.pause(attempt) for attempt in range(1, 11)]
        assert pauses[-1] is None
        assert sum(pause.total_seconds() for pause in pauses if pause) >= 15 * 60


@pytest.mark.parametrize(
    ("size", "part", "count"),
    [
        (0, 1, 0),
        (1, 1, 1),
        (MIB, 100 * MIB, 1),
        (MAX_PUT_BYTES, MAX_PUT_BYTES, 1),
        (10 * MIB, 5 * MIB, 2),
        (10 * MIB + 1, 5 * MIB, 3),
        (5 * MIB * 10_000, 5 * MIB, 10_000),
    ],
)
def test_part_counts(size: int, part: int, count: int) -> None:
    assert part_count(size, part) == count


@pytest.mark.parametrize(
    ("size", "part", "code"),
    [
        (10 * MIB, 5 * MIB - 1, "invalid_part_size"),
        (20 * MAX_PUT_BYTES, MAX_PUT_BYTES + 1, "invalid_part_size"),
        (MAX_PUT_BYTES + 1, MAX_PUT_BYTES + 1, "invalid_part_size"),
        (5 * MIB * 10_000 + 1, 5 * MIB, "too_many_parts"),
    ],
)
def test_part_sizes_that_no_store_takes(size: int, part: int, code: str) -> None:
    with pytest.raises(Fault) as caught:
        part_count(size, part)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("size", "code"), [(-1, "invalid_file_size"), (2**63, "invalid_file_size"), (101, "file_too_large")]
)
def test_sizes(size: int, code: str) -> None:
    judge_size(100, 100)
    with pytest.raises(Fault) as caught:
        judge_size(size, 100)
    assert caught.value.code == code


def test_differences_between_registered_and_stored_parts() -> None:
    registered = tuple(RegisteredPart(number, 5, f"e{number}") for number in (1, 2, 3, 4))
    stored = [Part(1, '"e1"', 5), Part(2, '"other"', 5), Part(3, '"e3"', 6), Part(9, '"e9"', 5)]
    assert differing(registered, stored) == [2, 3, 4, 9]
    assert differing(registered[:1], stored[:1]) == []


@pytest.mark.parametrize(
    ("first", "mime_type"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"RIFF....WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7", "application/pdf"),
        (b"\0" * 257 + b"ustar", "application/x-tar"),
        (b"", "application/octet-stream"),
        (b"hello", "application/octet-stream"),
    ],
)
def test_types_by_content(first: bytes, mime_type: str) -> None:
    assert type_of(first) == mime_type


def test_what_is_held_back_of_a_body_is_enough_to_tell_its_type() -> None:
    assert SNIFF_BYTES <= HELD_BYTES


ENVIRONMENT = {
    "PORT": "9002",
    "DATABASE_URL": "postgresql://u:hidden-1@h/d",
    "INTERNAL_KEY_GATEWAY_UPLOAD": "hidden-2".ljust(32, "x"),
    "INTERNAL_KEY_UPLOAD_FILES": "hidden-3".ljust(32, "x"),
    "INTERNAL_KEY_OPERATOR_UPLOAD": "hidden-4".ljust(32, "x"),
    "FILES_URLS": "http://127.0.0.1:9003, http://127.0.0.1:9103",
    "S3_ENDPOINT": "http://127.0.0.1:9100",
    "S3_PUBLIC_ENDPOINT": "http://localhost:9100",
    "S3_ACCESS_KEY": "hidden-4",
    "S3_SECRET_KEY": "hidden-5",
}


def test_settings_show_no_secret() -> None:
    settings = load(Settings, ENVIRONMENT)
    assert settings.files_urls == ("http://127.0.0.1:9003", "http://127.0.0.1:9103")
    assert "hidden" not in repr(public(settings))
    assert public(settings)["FINALISE"] == "inline"


def test_settings_name_every_problem() -> None:
    wrong = {**ENVIRONMENT, "FINALISE": "later", "CHUNK_STORE": "tape"}
    del wrong["S3_SECRET_KEY"]
    with pytest.raises(SettingsError) as caught:
        load(Settings, wrong)
    assert [problem.split()[0] for problem in caught.value.problems] == [
        "S3_SECRET_KEY",
        "FINALISE",
        "CHUNK_STORE",
    ]
