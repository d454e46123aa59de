"""Settings of the files service."""

from __future__ import annotations

from dataclasses import dataclass

from services.kit.http.clients import client_setting
from services.kit.s3 import S3Address
from services.kit.settings import (
    ProcessSettings,
    Secret,
    integer,
    secret,
    setting,
    switch,
    text,
    text_list,
    url,
)

WEEK_S = 604_800  # the longest life a signature may have
DEFAULT_ORIGINS = (
    "http://localhost:3000",
    "http://localhost:5500",
    "https://localhost:5500",
    "http://127.0.0.1:5500",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ProcessSettings):
    database_url: Secret = setting("DATABASE_URL", secret(), help="where files_db is")
    database_direct_url: Secret = setting(
        "DATABASE_DIRECT_URL",
        secret(),
        Secret(""),
        help="files_db without a pooler between, for migrations; empty: DATABASE_URL",
    )
    http_client: str = client_setting()
    db_prepared: bool = setting(
        "DB_PREPARED", switch(), True, help="prepared statements; off behind a pooler that cannot keep them"
    )
    internal_key_gateway_files: Secret = setting(
        "INTERNAL_KEY_GATEWAY_FILES", secret(32), help="key of the credential that the gateway shows files"
    )
    internal_key_upload_files: Secret = setting(
        "INTERNAL_KEY_UPLOAD_FILES", secret(32), help="key of the credential that upload shows files"
    )
    s3_endpoint: str = setting("S3_ENDPOINT", url(), help="object store, for our own requests")
    s3_public_endpoint: str = setting(
        "S3_PUBLIC_ENDPOINT", url(), help="object store as clients reach it; only signs URLs"
    )
    s3_bucket: str = setting("S3_BUCKET", text(), "vault-files", help="the private bucket of all objects")
    s3_access_key: Secret = setting("S3_ACCESS_KEY", secret(), help="access key of the object store")
    s3_secret_key: Secret = setting("S3_SECRET_KEY", secret(), help="secret key of the object store")
    cors_origins: tuple[str, ...] = setting(
        "CORS_ORIGINS", text_list(), (), help="browser origins allowed besides the built-in ones"
    )
    presign_get_s: int = setting(
        "PRESIGN_GET_S", integer(1, WEEK_S), 600, help="seconds a presigned download URL is good"
    )

    @property
    def s3(self) -> S3Address:
        return S3Address(
            self.s3_endpoint, self.s3_public_endpoint, self.s3_bucket, self.s3_access_key, self.s3_secret_key
        )

    @property
    def origins(self) -> tuple[str, ...]:
        return (*DEFAULT_ORIGINS, *self.cors_origins)
