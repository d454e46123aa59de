"""The faults of the files service, each made in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from services.files.model import Living
from services.kit.errors import Fault, unavailable
from services.kit.s3 import NotFoundError, PreconditionFailedError, StoreError


def file_not_found() -> Fault:
    """Unknown, deleted, or not for the caller to see: all look the same."""
    return Fault("file_not_found", "There is no such file.")


def forbidden() -> Fault:
    return Fault("forbidden", "You may see this file, but not do this with it.")


def invalid_query(text: str) -> Fault:
    return Fault("invalid_query", text)


def invalid_folder(text: str) -> Fault:
    return Fault("invalid_folder", text)


def folder_not_found() -> Fault:
    return Fault("folder_not_found", "You have no file in this folder.")


def invalid_recipients(text: str) -> Fault:
    return Fault("invalid_recipients", text)


def recipient_not_found(emails: Sequence[str]) -> Fault:
    text = "There is no account for some of these e-mails."
    return Fault("recipient_not_found", text, details={"emails": list(emails)})


def already_shared(emails: Sequence[str]) -> Fault:
    text = "The file is shared with some of these already, with another permission."
    return Fault("already_shared", text, details={"emails": list(emails)})


def share_limit(maximum: int) -> Fault:
    return Fault("share_limit", f"A file may be shared with at most {maximum} people.")


def share_not_found() -> Fault:
    return Fault("share_not_found", "The file is not shared with this user.")


def copy_took_too_long() -> Fault:
    return Fault("deadline_exceeded", "The copy took too long. Nothing was copied.")


def registration_conflict() -> Fault:
    return Fault("registration_conflict", "This id is registered with other facts.")


def file_lives(file: Living) -> Fault:
    """It cannot be given up; the answer says what was registered."""
    return Fault("registration_conflict", "This id is a file's.", details=asdict(file))


def range_not_satisfiable(size_bytes: int) -> Fault:
    headers = {"Content-Range": f"bytes */{size_bytes}", "Accept-Ranges": "bytes"}
    return Fault("range_not_satisfiable", "The file has no such bytes.", headers=headers)


def too_many_downloads(count: int) -> Fault:
    text = f"{count} files are being sent to you already. Please wait until one is here."
    return Fault("rate_limited", text, headers={"Retry-After": "1"})


def store_inconsistent() -> Fault:
    return Fault("store_inconsistent", "The stored content is not what was recorded for this file.")


def lacks_content(error: StoreError) -> bool:
    """Whether the store does not have the object that the row promised."""
    return isinstance(error, NotFoundError | PreconditionFailedError)


def store_fault(error: StoreError) -> Fault:
    """What a failed read means to the reader of a file that is there."""
    if lacks_content(error):
        return store_inconsistent()
    return unavailable("object store")
