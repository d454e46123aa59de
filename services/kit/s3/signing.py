"""Signed requests, and presigned URLs, by the minio package's signer (AWS Signature Version 4).

Two base addresses: ``endpoint`` for our own requests, ``public_endpoint`` only to sign URLs that
clients use, because the host and port are part of the signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from minio.credentials.credentials import Credentials
from minio.signer import get_credential_string, sign_v4_s3

from services.kit.client import Call
from services.kit.settings import StoreSettings

REGION = "us-east-1"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where the store is and who we are to it.

    ``endpoint`` takes our own requests (``http://127.0.0.1:9100``); ``public_endpoint`` only signs URLs
    for clients.
    """

    endpoint: str
    public_endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def of(cls, settings: StoreSettings) -> S3Address:
        """The store of a process."""
        return cls(
            settings.s3_endpoint,
            settings.s3_public_endpoint,
            settings.s3_bucket,
            settings.s3_access_key.get_secret_value(),
            settings.s3_secret_key.get_secret_value(),
        )


def base(endpoint: str) -> SplitResult:
    """Scheme, and host with port as they appear in ``Host`` (a default port is left out)."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return SplitResult(parts.scheme, host + port, "", "", "")


def copy_source(bucket: str, key: str) -> str:
    return quote(f"/{bucket}/{key}")


class Signer:
    """Signs for one bucket.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, address: S3Address, now: Callable[[], float]) -> None:
        self._base, self._public = base(address.endpoint), base(address.public_endpoint)
        self._bucket, self.now = address.bucket, now
        self._credentials = Credentials(address.access_key, address.secret_key)

    @property
    def bucket(self) -> str:
        return self._bucket

    def _path(self, key: str) -> str:
        return f"/{self._bucket}/{quote(key)}" if key else f"/{self._bucket}"

    def sign(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        payload_sha256: str = UNSIGNED_PAYLOAD,
    ) -> Call:
        """A request that only needs ``Host`` and a body; an empty ``key`` means the bucket.

        Every header given is signed, and ``Host`` too.
        """
        path, text, date = self._path(key), _text(query), datetime.fromtimestamp(self.now(), UTC)
        signed: dict[str, Any] = {
            **(headers or {}),
            "Host": self._base.netloc,
            "x-amz-content-sha256": payload_sha256,
            "x-amz-date": _stamp(date),
        }
        url = SplitResult(self._base.scheme, self._base.netloc, path, text, "")
        self._authorise(method, url, signed, payload_sha256, date)
        del signed["Host"]
        return Call(method, f"{path}?{text}" if text else path, signed)

    def _authorise(
        self, method: str, url: SplitResult, headers: dict[str, Any], payload_sha256: str, date: datetime
    ) -> None:
        """Add ``Authorization``, which signs every header that is there."""
        sign_v4_s3(
            method=method,
            url=url,
            region=REGION,
            headers=headers,
            credentials=self._credentials,
            content_sha256=payload_sha256,
            date=date,
        )

    def presign(
        self,
        method: str,
        key: str,
        life_s: int,
        *,
        query: Mapping[str, str] | None = None,
        size_bytes: int | None = None,
        signed_at: float | None = None,
    ) -> str:
        """A URL for the public endpoint, good for ``life_s`` (at most 7 days) from ``signed_at`` or now.

        Args:
            size_bytes: the only ``Content-Length`` that the store takes with it; None: any.

        A presigned URL is a signed request whose authorisation stands in its query, so the signer of
        requests makes it; the package's own ``presign_v4`` can sign no header but ``Host``.
        """
        date = datetime.fromtimestamp(int(self.now() if signed_at is None else signed_at), UTC)
        headers: dict[str, Any] = {"Host": self._public.netloc}
        if size_bytes is not None:
            headers["Content-Length"] = str(size_bytes)
        rules = _text(
            {
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Credential": get_credential_string(self._credentials.access_key, date, REGION),
                "X-Amz-Date": _stamp(date),
                "X-Amz-Expires": str(life_s),
                "X-Amz-SignedHeaders": "host" if size_bytes is None else "content-length;host",
            }
        )
        text = f"{_text(query)}&{rules}" if query else rules
        url = SplitResult(self._public.scheme, self._public.netloc, self._path(key), text, "")
        self._authorise(method, url, headers, UNSIGNED_PAYLOAD, date)
        signature = headers["Authorization"].rpartition("Signature=")[2]
        return f"{url.geturl()}&X-Amz-Signature={signature}"


def _stamp(date: datetime) -> str:
    return date.strftime("%Y%m%dT%H%M%SZ")


def _text(query: Mapping[str, str] | None) -> str:
    """The query as it is sent and signed: encoded, sorted by name."""
    if not query:
        return ""
    return "&".join(f"{quote(name, '')}={quote(value, '')}" for name, value in sorted(query.items()))
