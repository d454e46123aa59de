"""Any mixture of pieces becomes parts that the store takes, with every byte once and in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.upload.finalise.etag import multipart_etag
from services.upload.finalise.plan import BUFFER_BYTES, Copy, Fill, Piece, plan
from services.upload.finalise.repack import pieces_of
from services.upload.model import MAX_PART_BYTES, MIN_PART_BYTES, Source
from tests.unit.upload.support import MIB

pytestmark = pytest.mark.unit

SIZES = st.one_of(st.integers(1, 100), st.integers(MIN_PART_BYTES - 2, 3 * MIN_PART_BYTES))
PIECES = st.lists(
    st.builds(
        lambda size, local: Piece(size, path="p") if local else Piece(size, key="k"), SIZES, st.booleans()
    ),
    min_size=1,
    max_size=30,
)


def runs(actions: list[Copy | Fill]) -> list[Piece]:
    return [
        piece
        for action in actions
        for piece in ((action.piece,) if isinstance(action, Copy) else action.pieces)
    ]


def size_of(action: Copy | Fill) -> int:
    return sum(piece.size_bytes for piece in runs([action]))


@given(PIECES)
def test_every_byte_once_in_order_and_every_part_long_enough(pieces: list[Piece]) -> None:
    actions = list(plan(pieces))
    left = runs(actions)
    for piece in pieces:  # the runs of each piece follow each other without a gap
        offset = 0
        while offset < piece.size_bytes:
            run = left.pop(0)
            assert (run.key, run.path, run.offset) == (piece.key, piece.path, offset)
            offset += run.size_bytes
        assert offset == piece.size_bytes
    assert left == []
    for action in actions[:-1]:
        assert size_of(action) >= MIN_PART_BYTES
    for action in actions:
        assert size_of(action) <= (BUFFER_BYTES if isinstance(action, Fill) else MAX_PART_BYTES)
        assert isinstance(action, Fill) or action.piece.key is not None


def test_a_long_piece_lends_just_what_a_part_lacks() -> None:
    actions = list(plan([Piece(MIB, path="p"), Piece(20 * MIB, key="k")]))
    assert [(type(action), size_of(action)) for action in actions] == [(Fill, 5 * MIB), (Copy, 16 * MIB)]


def test_a_run_longer_than_the_largest_part_is_cut_without_a_short_rest() -> None:
    actions = list(plan([Piece(MAX_PART_BYTES + 10, key="k"), Piece(MIB, path="p")]))
    assert [size_of(action) for action in actions] == [MAX_PART_BYTES + 10 - MIN_PART_BYTES, 5 * MIB, MIB]


def test_neighbours_in_the_joined_object_are_one_piece() -> None:
    sources = [
        Source(10, "part:1", None),
        Source(20, "part:9", None),
        Source(3, "temp:chunks/u/2-x", None),
        Source(30, "part:11", None),
        Source(4, "spool:/s/4", None),
    ]
    assert pieces_of("final", "joined", sources) == [
        Piece(30, key="final", etag="joined"),
        Piece(3, key="chunks/u/2-x"),
        Piece(30, key="final", etag="joined", offset=30),
        Piece(4, path="/s/4"),
    ]


def test_etag_of_parts() -> None:
    # Worked out with: printf <hex of both digests> | xxd -r -p | md5sum
    etags = ['"d41d8cd98f00b204e9800998ecf8427e"', "0cc175b9c0f1b6a831c399e269772661"]
    assert multipart_etag(etags) == '"68083ea43d0307eecfa2b4749f19df15-2"'
    assert multipart_etag(['"not an md5"']) is None
    assert multipart_etag(['"abcd"']) is None
