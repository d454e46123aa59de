"""How an attempt to finalise ended, and the errors by which its parts say so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.kit.errors import Fault
from services.upload.model import Looks, State


class Ending(StrEnum):
    DURABLE = "durable"
    RETRYING = "retrying"  # a later attempt follows
    FAILED = "failed"
    REOPENED = "reopened"  # the client must send or register again
    LOST = "lost"  # another process has the job now


@dataclass(frozen=True, slots=True)
class Outcome:
    """``fault`` is what a waiting request answers; None only when the upload is durable. ``looks`` is how the
    file looks that was registered here."""

    ending: Ending
    fault: Fault | None = None
    looks: Looks | None = None

    def checked(self) -> Looks | None:
        """Raises the fault, if there is one."""
        if self.fault is not None:
            raise self.fault
        return self.looks


class LeaseLostError(Exception):
    """A write touched no row: the job is somebody else's, or was ended."""


class GaveUpError(Exception):
    """No later attempt can help; ``message`` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class ReopenError(Exception):
    """What the client stored is not what it said; the upload goes back to ``state``."""

    def __init__(self, state: State, fault: Fault) -> None:
        super().__init__(fault.message)
        self.state, self.fault = state, fault


class RefusedError(Exception):
    """A service we need gave an answer it should not give; a later attempt may help."""
