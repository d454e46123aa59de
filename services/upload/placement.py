"""Where a chunk of a proxied upload goes. Pure rules; the claim of a slot is the open statement's.

Each index owns a range of part numbers, ``stride`` long, so that a resend never overwrites the part of
an accepted send. The last number of every range stays free: the finaliser copies an early tail to the
highest number of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.upload.model import MAX_PARTS, MIN_PART_BYTES, Opened, Send, State


class Place(StrEnum):
    FINAL = "final"  # the whole file, its hash promised by the client
    PART = "part"  # of the upload's multipart upload
    TEMPORARY = "temporary"  # an object of its own
    NOWHERE = "nowhere"  # the same bytes are stored, or must not be: only hashed


def may_be_part(send: Send) -> bool:
    """Whether the open statement should look for a slot: a first chunk below 5 MiB never needs one."""
    return send.size_bytes > 0 and (send.index > 0 or send.size_bytes >= MIN_PART_BYTES)


def part_number(send: Send, opened: Opened) -> int | None:
    """The part number of the claimed slot, or None when there is no slot or the range is used up."""
    stride = MAX_PARTS // opened.session.total_chunks
    if opened.slot is None or opened.slot >= stride - 1:
        return None
    return send.index * stride + opened.slot + 1


def whole_file(send: Send, opened: Opened) -> bool:
    return send.index == 0 and send.size_bytes == opened.session.file_size_bytes


@dataclass(frozen=True, slots=True)
class Placement:
    """Args:
    direct_final: the store verifies payload hashes and refuses to replace an object when asked.
    """

    direct_final: bool

    def place(self, send: Send, opened: Opened) -> Place:
        if is_repeat(send, opened):
            return Place.NOWHERE
        if whole_file(send, opened):
            direct = self.direct_final and send.checksum is not None and not opened.session.final_key_taken
            return Place.FINAL if direct else Place.TEMPORARY
        return Place.TEMPORARY if part_number(send, opened) is None else Place.PART


def is_repeat(send: Send, opened: Opened) -> bool:
    """Whether the bytes need not be stored: there are none, the client promises the same ones, or the
    upload no longer takes any."""
    if send.size_bytes == 0 or opened.session.status is not State.PENDING:
        return True
    return (
        send.checksum is not None
        and send.checksum == opened.stored_checksum
        and send.size_bytes == opened.stored_bytes
    )
