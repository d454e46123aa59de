"""What can go wrong with a request to the store, as types.

``StoreError`` and below it:

- ``NotFoundError``            no such object (or bucket)
- ``NoSuchUploadError``        the multipart upload is unknown: never opened, aborted or completed
- ``PreconditionFailedError``  ``If-Match`` or ``If-None-Match`` did not hold
- ``ChecksumMismatchError``    the body is not what the signed payload hash says; nothing was stored
- ``InvalidPartError``         a part is missing, too small, out of order or has another ETag
- ``RangeError``               the range lies outside the object
- ``UnavailableError``         no answer, or 500, 503, too slow: the same request may work later
- ``RefusedError``             any other refusal: credentials, policy, a fault of ours

An error carries the operation, the status and the store's code; never the store's text.
"""

from __future__ import annotations

import re

TRANSPORT = "transport"
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")


class StoreError(Exception):
    """A request to the store failed.

    Args:
        op: the operation, as in the metric label.
        status: the HTTP status; 0 when there was no answer.
        code: the store's error code, or ``transport``, or the status as text.
    """

    result = "refused"  # the metric label

    def __init__(self, op: str, status: int, code: str) -> None:
        super().__init__(f"{op}: {code} ({status})")
        self.op, self.status, self.code = op, status, code


class NotFoundError(StoreError):
    result = "not_found"


class NoSuchUploadError(StoreError):
    result = "not_found"


class PreconditionFailedError(StoreError):
    result = "precondition"


class ChecksumMismatchError(StoreError):
    pass


class InvalidPartError(StoreError):
    pass


class RangeError(StoreError):
    pass


class RefusedError(StoreError):
    pass


class UnavailableError(StoreError):
    result = "unavailable"


_BY_CODE: dict[str, type[StoreError]] = {
    "NoSuchKey": NotFoundError,
    "NoSuchBucket": NotFoundError,
    "NoSuchUpload": NoSuchUploadError,
    "PreconditionFailed": PreconditionFailedError,
    "XAmzContentSHA256Mismatch": ChecksumMismatchError,
    "BadDigest": ChecksumMismatchError,
    "InvalidPart": InvalidPartError,
    "InvalidPartOrder": InvalidPartError,
    "EntityTooSmall": InvalidPartError,
    "InvalidRange": RangeError,
    "InternalError": UnavailableError,
    "ServiceUnavailable": UnavailableError,
    "SlowDown": UnavailableError,
    "RequestTimeout": UnavailableError,
    "NotImplemented": RefusedError,
    "RequestTimeTooSkewed": RefusedError,
}
_BY_STATUS: dict[int, type[StoreError]] = {
    404: NotFoundError,
    408: UnavailableError,
    412: PreconditionFailedError,
    416: RangeError,
    429: UnavailableError,
}


def refusal(op: str, status: int, body: bytes) -> StoreError:
    """The error an answer means; ``body`` may be empty (answers to HEAD have none)."""
    match = _CODE.search(body)
    return typed(op, status, match[1].decode() if match else str(status))


def typed(op: str, status: int, code: str) -> StoreError:
    """The error that a code, or else a status, stands for."""
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if kind is None:
        kind = UnavailableError if status >= 500 else RefusedError
    return kind(op, status, code)


def transport_error(op: str) -> UnavailableError:
    """No answer: refused, reset, or nothing within the time limit."""
    return UnavailableError(op, 0, TRANSPORT)
