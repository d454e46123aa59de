"""Signatures, byte for byte against the SDK's own requests."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import minio.time
import pytest
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.signer import sign_v4_s3

from services.kit.s3 import S3Address
from services.kit.s3.signing import Signer, base

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 4, 10, 15, 30, tzinfo=UTC)
ADDRESS = S3Address("http://127.0.0.1:9100", "http://localhost:9100", "vault-files", "access", "secret-key")
ALPHABET = "abcXYZ019 +%~&=?#'()*!@:;,$/._-üß漢😀\\\"<>|^`{}[]"


def random_keys(count: int) -> list[str]:
    rng = random.Random(20260304)
    texts = ("".join(rng.choices(ALPHABET, k=rng.randint(1, 40))) for _ in range(count * 2))
    clean = [text for text in texts if "//" not in text and not {".", ".."} & set(text.split("/"))]
    return [text.strip("/ ") or "x" for text in clean[:count]]


class _Sent(Exception):
    pass


class _Capture:
    """Takes the place of the SDK's connection pool and keeps the request."""

    def urlopen(self, method: str, url: str, **kwargs: Any) -> None:
        raise _Sent(method, url, dict(kwargs["headers"].items()))

    def clear(self) -> None:
        pass


def sdk(endpoint: str) -> Minio:
    client = Minio(endpoint, "access", "secret-key", secure=False, region="us-east-1")
    client._http = _Capture()  # type: ignore[assignment]
    return client


@pytest.fixture
def signer() -> Signer:
    return Signer(ADDRESS, NOW.timestamp)


def test_presigned_urls_equal_the_sdk(signer: Signer) -> None:
    oracle, keys = sdk("localhost:9100"), random_keys(200)
    assert len(keys) == 200
    for key in keys:
        headers = {"response-content-type": "text/plain", "response-content-disposition": f'a; b="{key}"'}
        wanted = oracle.get_presigned_url(
            "GET",
            "vault-files",
            key,
            expires=timedelta(seconds=600),
            response_headers=dict(headers),
            request_date=NOW,
        )
        assert signer.presign("GET", key, 600, query=headers) == wanted
        wanted = oracle.get_presigned_url(
            "PUT", "vault-files", key, expires=timedelta(seconds=900), request_date=NOW
        )
        assert signer.presign("PUT", key, 900) == wanted


def test_a_size_is_signed_with_the_host(signer: Signer) -> None:
    plain, sized = signer.presign("PUT", "a", 900), signer.presign("PUT", "a", 900, size_bytes=5)
    assert "X-Amz-SignedHeaders=host&" in plain
    assert "X-Amz-SignedHeaders=content-length%3Bhost&" in sized
    assert sized != signer.presign("PUT", "a", 900, size_bytes=6)


def test_header_signatures_equal_the_sdk(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minio.api.time", SimpleNamespace(**{**vars(minio.time), "utcnow": lambda: NOW}))
    oracle = sdk("127.0.0.1:9100")
    for key in random_keys(200):
        with pytest.raises(_Sent) as caught:
            oracle.stat_object("vault-files", key)
        method, url, sent = caught.value.args
        sent.pop("User-Agent")
        ours = signer.sign(method, key, payload_sha256=sent["x-amz-content-sha256"], headers=_extra(sent))
        assert f"http://{sent.pop('Host')}{ours.target}" == url
        assert ours.headers == sent


def _extra(sent: dict[str, str]) -> dict[str, str]:
    ours = {"host", "x-amz-date", "x-amz-content-sha256", "authorization"}
    return {name: value for name, value in sent.items() if name.lower() not in ours}


def test_any_request_is_signed_as_the_sdk_signs_it() -> None:
    """Queries, headers, blanks in values, and days that change."""
    rng, keys = random.Random(7), random_keys(200)
    clock = [NOW.timestamp()]
    signer = Signer(ADDRESS, lambda: clock[0])
    credentials = Credentials("access", "secret-key")
    for key in keys:
        clock[0] += rng.choice((0.0, 0.4, 1.0, 86_400.0))
        query = {name: rng.choice(keys) for name in rng.sample(["uploadId", "partNumber", "a", "a-b"], 3)}
        headers = {"X-Amz-Meta-A": f"  two  {rng.random()} ", "Content-Type": "text/plain"}
        payload = rng.randbytes(32).hex()
        ours = signer.sign("PUT", key, query=query, headers=headers, payload_sha256=payload)
        date = datetime.fromtimestamp(clock[0], UTC)
        wanted = sign_v4_s3(
            method="PUT",
            url=urlsplit(f"http://127.0.0.1:9100{ours.target}"),
            region="us-east-1",
            headers={
                **headers,
                "Host": "127.0.0.1:9100",
                "x-amz-content-sha256": payload,
                "x-amz-date": minio.time.to_amz_date(date),
            },
            credentials=credentials,
            content_sha256=payload,
            date=date,
        )
        assert ours.headers == {name: text for name, text in wanted.items() if name != "Host"}


def test_every_header_given_is_signed(signer: Signer) -> None:
    headers = {"x-amz-meta-sha256": "00", "If-None-Match": "*", "Content-Type": "text/plain"}
    signed = signer.sign("PUT", "a b", headers=headers, query={"partNumber": "1", "uploadId": "x/y="})
    assert (
        "SignedHeaders=content-type;host;if-none-match;x-amz-content-sha256;x-amz-date;"
        in (signed.headers["Authorization"])
    )
    assert "x-amz-meta-sha256" in signed.headers["Authorization"]
    assert signed.target == "/vault-files/a%20b?partNumber=1&uploadId=x%2Fy%3D"


@pytest.mark.parametrize(
    ("endpoint", "netloc"),
    [
        ("http://localhost:9100", "localhost:9100"),
        ("http://localhost:80", "localhost"),
        ("https://store.example:443/", "store.example"),
        ("https://store.example:9000", "store.example:9000"),
        ("http://[::1]:9100", "[::1]:9100"),
    ],
)
def test_host_as_a_client_sends_it(endpoint: str, netloc: str) -> None:
    assert base(endpoint).netloc == netloc


def test_the_secret_stays_hidden() -> None:
    assert "secret-key" not in repr(ADDRESS)
