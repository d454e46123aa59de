"""The error table: stable code = HTTP status = metric label, and the one form every error has.

``Fault`` is raised anywhere below a handler and rendered once at the edge. Its message is for people
and is always safe to show: no SQL, no driver, store or stack text, no URL, no host name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATUS: Mapping[str, int] = {
    "invalid_json": 400,
    "unknown_field": 400,
    "missing_field": 400,
    "invalid_field": 400,
    "invalid_file_name": 400,
    "invalid_file_size": 400,
    "invalid_part_size": 400,
    "too_many_parts": 400,
    "invalid_part_number": 400,
    "invalid_chunk_index": 400,
    "invalid_checksum": 400,
    "missing_header": 400,
    "invalid_uuid": 400,
    "invalid_query": 400,
    "invalid_form": 400,
    "invalid_folder": 400,
    "invalid_recipients": 400,
    "invalid_credentials": 400,
    "switch_disabled": 400,
    "authentication_required": 401,
    "token_malformed": 401,
    "token_invalid": 401,
    "token_expired": 401,
    "service_credential_invalid": 401,
    "forbidden": 403,
    "origin_not_allowed": 403,
    "route_not_found": 404,
    "upload_not_found": 404,
    "file_not_found": 404,
    "share_not_found": 404,
    "recipient_not_found": 404,
    "folder_not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "user_exists": 409,
    "wrong_upload_method": 409,
    "upload_not_open": 409,
    "chunk_conflict": 409,
    "upload_aborted": 409,
    "upload_failed": 409,
    "missing_parts": 409,
    "object_missing": 409,
    "already_shared": 409,
    "share_limit": 409,
    "registration_conflict": 409,
    "idempotency_conflict": 409,
    "length_required": 411,
    "file_too_large": 413,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "checksum_mismatch": 422,
    "size_mismatch": 422,
    "chunk_gap": 422,
    "invalid_part": 422,
    "rate_limited": 429,
    "too_many_open_uploads": 429,
    "internal_error": 500,
    "injected_fault": 500,
    "store_inconsistent": 500,
    "upstream_unavailable": 502,
    "circuit_open": 503,
    "overloaded": 503,
    "queue_timeout": 503,
    "not_ready": 503,
    "dependency_unavailable": 503,
    "insufficient_storage": 503,
    "deadline_exceeded": 504,
    "still_finalising": 504,
}

RETRY_AFTER_S: Mapping[str, int] = {
    "dependency_unavailable": 2,
    "insufficient_storage": 30,
    "deadline_exceeded": 2,
    "still_finalising": 2,
    "overloaded": 1,
    "queue_timeout": 1,
    "too_many_open_uploads": 60,
}

ERROR_CODE = "X-Error-Code"  # repeats the code for whoever passes the answer on
SEND_AGAIN = "send_again"  # in that header only: what the client sent before is in the way of what it sends
# Answers of a service that works, and says that it has enough to do.
BACK_PRESSURE = frozenset({"overloaded", "insufficient_storage", "still_finalising"})
# ... or that something of one client's making is wrong, which must not shut out the others.
NO_FAILURES = BACK_PRESSURE | {"store_inconsistent", SEND_AGAIN}


class Fault(Exception):
    """One refusal or failure, to be rendered as ``{"error", "message", "request_id"[, "details"]}``.

    Args:
        code: a key of ``STATUS``.
        message: text for people, safe to show.
        details: extra facts, only where the contract names them.
        headers: extra response headers; ``Retry-After`` is filled in from the table when absent.
        status: another one than the table's; only for faults that are asked for.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = STATUS[code] if status is None else status
        self.message = message
        self.details = details
        self.headers = dict(headers or {})
        if code in RETRY_AFTER_S:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_S[code]))

    def body(self, request_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"error": self.code, "message": self.message, "request_id": request_id}
        if self.details is not None:
            shown["details"] = self.details
        return shown


def unavailable(what: str) -> Fault:
    """503 for a database, store or service that did not answer; ``what`` is a plain noun."""
    return Fault("dependency_unavailable", f"The {what} is not available right now. Please try again.")
