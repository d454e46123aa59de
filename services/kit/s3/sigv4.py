"""AWS Signature Version 4 for S3, in headers, for our own requests.

What stays the same is made once: the key of a day, the texts of a second. The SDK's signer, which makes
them anew each time, is the oracle of the tests.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from time import gmtime, strftime

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_BLANKS = re.compile(" +")
Query = list[tuple[str, str]]  # names and values, already encoded


class SigV4:
    """Signs with one pair of keys for one region."""

    def __init__(self, access_key: str, secret_key: str, region: str) -> None:
        self._access_key, self._region = access_key, region
        self._first_key = f"AWS4{secret_key}".encode()
        self._key = lru_cache(maxsize=4)(self._key_of)
        self._moment = lru_cache(maxsize=4)(self._moment_of)

    def _key_of(self, day: str) -> bytes:
        key = self._first_key
        for text in (day, self._region, "s3", "aws4_request"):
            key = hmac.digest(key, text.encode(), "sha256")
        return key

    def _moment_of(self, second: int) -> tuple[str, str, str]:
        """Time stamp, day and scope."""
        stamp = strftime("%Y%m%dT%H%M%SZ", gmtime(second))
        return stamp, stamp[:8], f"{stamp[:8]}/{self._region}/s3/aws4_request"

    def headers(
        self,
        method: str,
        path: str,
        query: Query,
        headers: Mapping[str, str],
        *,
        host: str,
        payload_sha256: str,
        at: float,
    ) -> dict[str, str]:
        """``headers`` and those that sign them; ``host`` is signed and not among them."""
        stamp, day, scope = self._moment(int(at))
        signed = {**headers, "x-amz-content-sha256": payload_sha256, "x-amz-date": stamp}
        lines = sorted((name.lower(), _folded(value)) for name, value in (*signed.items(), ("host", host)))
        names = ";".join(name for name, _ in lines)
        canonical = "\n".join(f"{name}:{value}" for name, value in lines)
        signature = self._signature(
            f"{method}\n{path}\n{_sorted(query)}\n{canonical}\n\n{names}\n{payload_sha256}", stamp, day, scope
        )
        signed["Authorization"] = (
            f"{ALGORITHM} Credential={self._access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return signed

    def _signature(self, canonical: str, stamp: str, day: str, scope: str) -> str:
        digest = sha256(canonical.encode()).hexdigest()
        text = f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}"
        return hmac.digest(self._key(day), text.encode(), "sha256").hex()


def _folded(value: str) -> str:
    return _BLANKS.sub(" ", value).strip() if "  " in value or value != value.strip() else value


def _sorted(query: Query) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(query))
