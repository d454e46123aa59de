"""The refusals of the upload service, one function for each, so that a text is written once."""

from __future__ import annotations

from collections.abc import Sequence

from services.kit.errors import ERROR_CODE, SEND_AGAIN, Fault
from services.upload.model import Session, State

BYTES_GONE = "The store no longer has the bytes received so far. Please open a new upload."


def not_found() -> Fault:
    return Fault("upload_not_found", "There is no such upload.")


def wrong_method(session: Session) -> Fault:
    return Fault("wrong_upload_method", f"This upload was opened as {session.method}.")


def not_open() -> Fault:
    return Fault("upload_not_open", "The upload is being finished or is complete.")


def aborted() -> Fault:
    return Fault("upload_aborted", "The upload was aborted or has expired.")


def failed(message: str | None) -> Fault:
    return Fault("upload_failed", message or "The upload could not be finished.")


def still_finalising() -> Fault:
    return Fault("still_finalising", "The upload is still being finished. Please repeat the request.")


def checksum_mismatch() -> Fault:
    return Fault("checksum_mismatch", "The bytes received do not have the SHA-256 that Checksum names.")


def size_mismatch(message: str) -> Fault:
    return Fault("size_mismatch", message)


def chunk_conflict() -> Fault:
    return Fault("chunk_conflict", "Other bytes are stored for this chunk.")


def chunk_gap(missing: Sequence[int]) -> Fault:
    return Fault(
        "chunk_gap",
        "With this chunk all bytes would be in, but a chunk before it is missing.",
        details={"missing": list(missing)},
    )


def send_again(message: str = "The chunk could not be placed. Please send it again.") -> Fault:
    """What the client itself sent is in the way: no failure of this service."""
    return Fault("dependency_unavailable", message, headers={"Retry-After": "1", ERROR_CODE: SEND_AGAIN})


def too_many_bodies(count: int) -> Fault:
    return Fault(
        "too_many_open_uploads",
        f"You are sending {count} bodies already. Please let one of them end first.",
        headers={"Retry-After": "1"},
    )


def superseded() -> Fault:
    return Fault("request_timeout", "A newer request sends the same chunk.", headers={"Connection": "close"})


def missing_parts(numbers: Sequence[int]) -> Fault:
    return Fault("missing_parts", "Not all parts are registered.", details={"missing": list(numbers)})


def invalid_part(numbers: Sequence[int], message: str | None = None) -> Fault:
    text = message or "The store's parts differ from the registered ones. Send and register them again."
    return Fault("invalid_part", text, details={"part_numbers": list(numbers)})


def invalid_part_number(total: int) -> Fault:
    return Fault("invalid_part_number", f"Part numbers of this upload run from 1 to {total}.")


def object_missing() -> Fault:
    return Fault("object_missing", "Nothing was PUT to the upload's URL yet.")


def state_fault(session: Session) -> Fault:
    """Why a session that is not open refuses."""
    if session.status is State.ABORTED:
        return aborted()
    if session.status is State.FAILED:
        return failed(session.error_message)
    return not_open()
