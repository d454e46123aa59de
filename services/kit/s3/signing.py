"""Requests signed with the minio package's signer, and presigned URLs.

Two base addresses: ``endpoint`` for our own requests, ``public_endpoint`` only to sign URLs that
clients use, because the host and port are part of the signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

from minio import time as minio_time
from minio.credentials.credentials import Credentials
from minio.helpers import queryencode, quote
from minio.signer import presign_v4, sign_v4_s3
from yarl import URL

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


@dataclass(frozen=True, slots=True)
class Signed:
    """A request that only needs a body; ``url`` is already encoded and must be sent as it is."""

    method: str
    url: URL
    headers: dict[str, str]


def base(endpoint: str) -> SplitResult:
    """Scheme, and host with port as they appear in ``Host`` (a default port is left out)."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return SplitResult(parts.scheme, host + port, "", "", "")


def query_text(query: Mapping[str, str]) -> str:
    return "&".join(f"{queryencode(name)}={queryencode(value)}" for name, value in sorted(query.items()))


def copy_source(bucket: str, key: str) -> str:
    return quote(f"/{bucket}/{key}")


class Signer:
    """Signs for one bucket.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, address: S3Address, now: Callable[[], float]) -> None:
        self._base, self._public = base(address.endpoint), base(address.public_endpoint)
        self._bucket, self._now = address.bucket, now
        self._credentials = Credentials(access_key=address.access_key, secret_key=address.secret_key)

    @property
    def bucket(self) -> str:
        return self._bucket

    def _path(self, key: str) -> str:
        return f"/{self._bucket}/{quote(key)}" if key else f"/{self._bucket}"

    def _date(self, at: float | None = None) -> datetime:
        return datetime.fromtimestamp(self._now() if at is None else at, UTC)

    def sign(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        payload_sha256: str = UNSIGNED_PAYLOAD,
    ) -> Signed:
        """Headers for one request; every header given is signed. An empty ``key`` means the bucket."""
        date = self._date()
        url = self._base._replace(path=self._path(key), query=query_text(query or {}))
        signed: dict[str, str | list[str] | tuple[str]] = {
            **(headers or {}),
            "Host": url.netloc,
            "x-amz-content-sha256": payload_sha256,
            "x-amz-date": minio_time.to_amz_date(date),
        }
        result = sign_v4_s3(
            method=method,
            url=url,
            region=REGION,
            headers=signed,
            credentials=self._credentials,
            content_sha256=payload_sha256,
            date=date,
        )
        texts = {name: str(value) for name, value in result.items()}
        return Signed(method, URL(url.geturl(), encoded=True), texts)

    def presign(
        self,
        method: str,
        key: str,
        life_s: int,
        query: Mapping[str, str] | None = None,
        signed_at: float | None = None,
    ) -> str:
        """A URL for the public endpoint, good for ``life_s`` (at most 7 days) from ``signed_at`` or now."""
        url = self._public._replace(path=self._path(key), query=query_text(query or {}))
        return presign_v4(
            method=method,
            url=url,
            region=REGION,
            credentials=self._credentials,
            date=self._date(signed_at),
            expires=life_s,
        ).geturl()
