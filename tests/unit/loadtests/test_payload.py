"""Bodies and their expected hashes: what a row says must be what a client would send."""

import hashlib
import zlib
from functools import partial
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.harness.clients.payload import (
    BLOCK_BYTES,
    CHUNK_BYTES,
    Payload,
    make_pattern,
    multipart_etag,
    stamp_places,
    stamp_text,
)

pytestmark = pytest.mark.unit

md5 = partial(hashlib.md5, usedforsecurity=False)
SIZES = [0, 1, 63, 64, 65, 1 << 20, BLOCK_BYTES, BLOCK_BYTES + 10, CHUNK_BYTES, CHUNK_BYTES + 1]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_row_names_the_hashes_of_the_body(size_bytes: int) -> None:
    payload = Payload("run", 7, size_bytes)
    body, row = payload.body("ref"), payload.row("ref")
    slices = [body[at : at + CHUNK_BYTES] for at in range(0, size_bytes, CHUNK_BYTES)]
    assert len(body) == size_bytes
    assert row.sha256 == sha256(body).hexdigest()
    assert row.chunks == tuple(sha256(piece).hexdigest() for piece in slices)
    assert md5(body).hexdigest() in row.etags
    assert multipart_etag([md5(piece).digest() for piece in slices or [b""]]) in row.etags


def test_every_block_ends_with_its_stamp() -> None:
    payload = Payload("run", 1, 2 * BLOCK_BYTES + 1000)
    body = payload.body("ref")
    for block, end in enumerate((BLOCK_BYTES, 2 * BLOCK_BYTES, len(body))):
        assert body[end - 64 : end].decode() == sha256(f"run|ref|{block}".encode()).hexdigest()


def test_a_short_last_block_keeps_the_end_of_its_stamp() -> None:
    payload = Payload("run", 1, BLOCK_BYTES + 10)
    assert payload.body("ref")[-64:].decode() == stamp_text("run", "ref", 1)
    assert Payload("run", 1, 5).body("ref").decode() == stamp_text("run", "ref", 0)[-5:]


@settings(max_examples=30)
@given(size_bytes=st.integers(0, 200_000), one=st.text("abc", min_size=1), two=st.text("xyz", min_size=1))
def test_uploads_differ_and_differ_only_in_stamps(size_bytes: int, one: str, two: str) -> None:
    payload = Payload("run", 3, size_bytes)
    first, second = payload.body(one), payload.body(two)
    places = [range(place.start, place.end) for place in stamp_places(size_bytes)]
    differing = {at for at in range(size_bytes) if first[at] != second[at]}
    assert differing <= {at for place in places for at in place}
    assert payload.row(one).sha256 == sha256(first).hexdigest()
    # Below some bytes two stamps may agree by chance; from 16 on they never do.
    assert size_bytes < 16 or first != second


def test_pattern_is_seeded_incompressible_and_a_prefix_of_longer_ones() -> None:
    short, long = make_pattern(5, 100_000), make_pattern(5, BLOCK_BYTES + 100_000)
    assert long.startswith(short)
    assert make_pattern(6, 100_000) != short
    assert len(zlib.compress(short)) >= len(short)
    # Blocks differ, so that a store cannot profit from repetition.
    assert long[:100_000] != long[BLOCK_BYTES:]


def test_pattern_and_row_are_enough_to_make_the_body() -> None:
    payload = Payload("run", 7, BLOCK_BYTES + 10)
    row = payload.row("ref")
    body = bytearray(payload.pattern)
    for place, stamp in zip(payload.places, row.stamps, strict=True):  # as the load script does
        body[place.start : place.end] = stamp[len(stamp) - place.length :].encode()
    assert sha256(body).hexdigest() == row.sha256
