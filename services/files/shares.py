"""The rule of adding shares to a file, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from services.files.errors import already_shared, share_limit
from services.files.model import Recipient, Share

MAX_SHARES = 100  # of one file


def added(known: Mapping[UUID, Share], wanted: Mapping[UUID, Recipient]) -> dict[UUID, Recipient]:
    """Those of ``wanted`` that the file is not shared with yet.

    Raises:
        Fault: ``already_shared`` when somebody has another permission; ``share_limit``.
    """
    other = [
        recipient.email
        for user_id, recipient in wanted.items()
        if user_id in known and known[user_id].permission is not recipient.permission
    ]
    if other:
        raise already_shared(other)
    new = {user_id: recipient for user_id, recipient in wanted.items() if user_id not in known}
    if len(known) + len(new) > MAX_SHARES:
        raise share_limit(MAX_SHARES)
    return new
