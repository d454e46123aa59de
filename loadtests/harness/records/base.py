"""The base of every record that a run leaves behind."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Immutable, and an unknown member is an error.

    In every record times are seconds since the epoch by the harness host's clock, sizes are bytes, and what
    was not measured is ``None``, never zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
