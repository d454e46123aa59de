"""Signed requests, and presigned URLs.

Two base addresses: ``endpoint`` for our own requests, ``public_endpoint`` only to sign URLs that
clients use, because the host and port are part of the signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import SplitResult, quote, urlsplit

from minio.credentials.credentials import Credentials

from services.kit.http.client import Call
from services.kit.s3.presigned import presigned
from services.kit.s3.sigv4 import UNSIGNED_PAYLOAD, Query, SigV4

REGION = "us-east-1"
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
        self._bucket, self._now, self.now = address.bucket, now, now
        self._signature = SigV4(address.access_key, address.secret_key, REGION)
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
        path, pairs = self._path(key), _encoded(query)
        signed = self._signature.headers(
            method,
            path,
            pairs,
            headers or {},
            host=self._base.netloc,
            payload_sha256=payload_sha256,
            at=self._now(),
        )
        return Call(method, f"{path}?{_text(pairs)}" if pairs else path, signed)

    def presign(
        self,
        method: str,
        key: str,
        life_s: int,
        query: Mapping[str, str] | None = None,
        *,
        signed_at: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """A URL for the public endpoint, good for ``life_s`` (at most 7 days) from ``signed_at`` or now.

        Args:
            headers: what the client must send besides, names in lower case.
        """
        at = self._now() if signed_at is None else signed_at
        return presigned(
            method,
            self._public._replace(path=self._path(key), query=_text(_encoded(query))),
            headers or {},
            credentials=self._credentials,
            region=REGION,
            at=datetime.fromtimestamp(int(at), UTC),
            life_s=life_s,
        )


def _encoded(query: Mapping[str, str] | None) -> Query:
    return [(quote(name, ""), quote(value, "")) for name, value in sorted((query or {}).items())]


def _text(query: Query) -> str:
    return "&".join(f"{name}={value}" for name, value in query)
