"""Settings of the upload service."""

from __future__ import annotations

from dataclasses import dataclass

from services.kit.http.clients import client_setting
from services.kit.settings import (
    ProcessSettings,
    Secret,
    SettingsError,
    choice,
    integer,
    number,
    secret,
    setting,
    switch,
    text,
    text_list,
    url,
    url_list,
)

GIB = 1024**3
DEFAULT_ORIGINS = ("http://localhost:3000", "http://127.0.0.1:5500")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ProcessSettings):
    database_url: Secret = setting("DATABASE_URL", secret(), help="where upload_db is")
    database_direct_url: Secret = setting(
        "DATABASE_DIRECT_URL",
        secret(),
        Secret(""),
        help="upload_db without a pooler between, for migrations and locks; empty: DATABASE_URL",
    )
    http_client: str = client_setting()
    db_prepared: bool = setting(
        "DB_PREPARED", switch(), True, help="prepared statements; off behind a pooler that cannot keep them"
    )
    internal_key_gateway_upload: Secret = setting(
        "INTERNAL_KEY_GATEWAY_UPLOAD", secret(32), help="key of the credential that the gateway shows upload"
    )
    internal_key_upload_files: Secret = setting(
        "INTERNAL_KEY_UPLOAD_FILES", secret(32), help="key of the credential that upload shows files"
    )
    files_urls: tuple[str, ...] = setting(
        "FILES_URLS", url_list(), help="addresses of the files service, a comma list"
    )
    s3_endpoint: str = setting("S3_ENDPOINT", url(), help="object store, for our own requests")
    s3_public_endpoint: str = setting(
        "S3_PUBLIC_ENDPOINT", url(), help="object store as clients reach it; only signs URLs"
    )
    s3_bucket: str = setting("S3_BUCKET", text(), "vault-files", help="the private bucket of all objects")
    s3_access_key: Secret = setting("S3_ACCESS_KEY", secret(), help="access key of the object store")
    s3_secret_key: Secret = setting("S3_SECRET_KEY", secret(), help="secret key of the object store")
    cors_origins: tuple[str, ...] = setting(
        "CORS_ORIGINS", text_list(), DEFAULT_ORIGINS, help="browser origins that may PUT to the bucket"
    )
    presign_put_s: int = setting(
        "PRESIGN_PUT_S", integer(1, 604_800), 900, help="seconds a presigned PUT URL is good"
    )
    proxy_max_bytes: int = setting(
        "PROXY_MAX_BYTES", integer(0), 10 * GIB, help="largest file that is uploaded through us"
    )
    multipart_max_bytes: int = setting(
        "MULTIPART_MAX_BYTES", integer(0), 5 * 1024 * GIB, help="largest file of a multipart upload"
    )
    max_open_uploads: int = setting("MAX_OPEN_UPLOADS", integer(1), 1_000, help="open uploads per user")
    upload_ttl_s: int = setting(
        "UPLOAD_TTL_S", integer(1), 86_400, help="seconds an upload lives without activity"
    )
    finalise: str = setting(
        "FINALISE",
        choice("inline", "queued", "detached"),
        "inline",
        help="what the answer to the last chunk means: durable, stored with a job, or stored with a task",
    )
    finalise_workers: int = setting(
        "FINALISE_WORKERS", integer(1), 8, help="finalisations that run at once in this process"
    )
    finalise_queue: int = setting(
        "FINALISE_QUEUE", integer(1), 1_000, help="waiting finalisations at which readiness ends, at 90 %"
    )
    finalise_attempts: int = setting(
        "FINALISE_ATTEMPTS", integer(1, 20), 10, help="attempts before an upload is failed"
    )
    finalise_backoff_s: float = setting(
        "FINALISE_BACKOFF_S", number(0.001, 60), 2.0, help="pause after the first failed attempt; doubles"
    )
    finalise_wait_s: float = setting(
        "FINALISE_WAIT_S", number(0.1, 600), 55.0, help="seconds a request waits for its finalisation"
    )
    lease_s: float = setting(
        "LEASE_S", number(0.5, 600), 20.0, help="seconds a job's lease lasts; renewed at a quarter of it"
    )
    chunk_store: str = setting(
        "CHUNK_STORE", choice("s3", "disk"), "s3", help="where chunks wait until the upload is complete"
    )
    spool_dir: str = setting(
        "SPOOL_DIR", text(), ".run/spool", help="folder of spool files, with CHUNK_STORE=disk"
    )
    spool_shared: bool = setting(
        "SPOOL_SHARED", switch(), False, help="all replicas see the same SPOOL_DIR; CHUNK_STORE=disk needs it"
    )
    upload_replicas: int = setting(
        "UPLOAD_REPLICAS", integer(1), 1, help="upload processes that share this database"
    )

    def __post_init__(self) -> None:
        if self.chunk_store == "disk" and self.upload_replicas > 1 and not self.spool_shared:
            raise SettingsError(
                [
                    "CHUNK_STORE is 'disk' with more than one replica: expected s3, or SPOOL_SHARED=on"
                    " where all replicas have the same SPOOL_DIR"
                ]
            )
