"""URLs that carry their signature, made with the minio package's public signer.

Its own function for such URLs signs the host alone. What is signed here besides, as ``content-length``,
the client has to send exactly so, or the store refuses the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import SplitResult, quote

import minio.time
from minio.credentials.credentials import Credentials
from minio.signer import get_credential_string, sign_v4_s3

_PAYLOAD = "UNSIGNED-PAYLOAD"


def presigned(
    method: str,
    url: SplitResult,
    headers: Mapping[str, str],
    *,
    credentials: Credentials,
    region: str,
    at: datetime,
    life_s: int,
) -> str:
    """``url`` with its signature; names in ``headers`` are in lower case, its query is encoded already."""
    scope = quote(get_credential_string(credentials.access_key, at, region), "")
    query = (
        f"{url.query}{'&' if url.query else ''}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}"
        f"&X-Amz-Date={minio.time.to_amz_date(at)}&X-Amz-Expires={life_s}"
        f"&X-Amz-SignedHeaders={'%3B'.join(sorted(('host', *headers)))}"
    )
    url = url._replace(query=query)
    signed = sign_v4_s3(
        method=method,
        url=url,
        region=region,
        headers={"host": url.netloc, **headers},
        credentials=credentials,
        content_sha256=_PAYLOAD,
        date=at,
    )
    signature = str(signed["Authorization"]).rpartition("Signature=")[2]
    return f"{url.geturl()}&X-Amz-Signature={signature}"
