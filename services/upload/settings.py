"""Settings of the upload service."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from services.kit.settings import CacheSettings, CallingSettings, Key, SweepSettings, Texts, Urls

MIB, GIB = 1024**2, 1024**3


class Settings(SweepSettings, CacheSettings, CallingSettings):
    internal_key_gateway_upload: Key = Field(
        description="key of the credential that the gateway shows upload"
    )
    internal_key_upload_files: Key = Field(description="key of the credential that upload shows files")
    internal_key_operator_upload: Key = Field(
        description="key of the credential that the operator's commands show upload"
    )
    files_urls: Urls = Field(description="addresses of the files service")
    cors_origins: Texts = Field((), description="more browser origins that may use presigned URLs")
    presign_put_s: int = Field(900, ge=1, le=604_800, description="seconds a presigned PUT URL is good")
    proxy_max_bytes: int = Field(10 * GIB, ge=0, description="largest file that is uploaded through us")
    body_mode: Literal["streamed", "spooled", "buffered"] = Field(
        "streamed", description="how a file sent in one request is received when the request names no mode"
    )
    buffered_max_bytes: int = Field(100 * MIB, ge=0, description="largest file that is held in memory")
    body_memory_bytes: int = Field(
        192 * MIB, ge=16 * MIB, description="bytes of bodies that this process holds in memory at once"
    )
    batch_max_file_bytes: int = Field(100 * MIB, ge=0, description="largest file of a batch")
    batch_max_bytes: int = Field(1 * GIB, ge=0, description="all files of a batch together")
    batch_workers: int = Field(
        10, ge=1, le=100, description="files of batches that this process finishes at once"
    )
    multipart_max_bytes: int = Field(5 * 1024 * GIB, ge=0, description="largest file of a multipart upload")
    max_open_uploads: int = Field(1_000, ge=1, description="open uploads per user")
    uploads_per_user: int = Field(
        128,
        ge=1,
        description="bodies that a user may send to this process at once;"
        " above 8 also only fewer than are free of 256",
    )
    upload_ttl_s: int = Field(
        86_400,
        ge=1,
        le=604_800,
        description="`expires_at` is so many seconds after the last activity, and 28 days after the opening"
        " at the latest",
    )
    multipart_sweep_age_s: float = Field(
        86_400.0,
        ge=0,
        description="seconds after which a multipart upload in the store goes that no live upload knows",
    )
    leftover_age_s: float = Field(
        3_600.0, ge=0, description="seconds after which chunks go that belong to no live upload"
    )
    ended_row_s: float = Field(604_800.0, ge=0, description="seconds that the row of an ended upload stays")
    finalise: Literal["inline", "queued", "detached"] = Field(
        "inline",
        description="what the answer to the last chunk means: durable, stored with a job,"
        " or stored with a task",
    )
    finalise_workers: int = Field(8, ge=1, description="finalisations that run at once in this process")
    finalise_queue: int = Field(
        1_000, ge=1, description="waiting finalisations at which readiness ends, at 90 %"
    )
    finalise_attempts: int = Field(10, ge=1, le=20, description="attempts before an upload is failed")
    finalise_backoff_s: float = Field(
        2.0, ge=0.001, le=60, description="pause after the first failed attempt; doubles"
    )
    finalise_wait_s: float = Field(
        55.0, ge=0.1, le=600, description="seconds a request waits for its finalisation"
    )
    lease_s: float = Field(
        20.0, ge=0.5, le=600, description="seconds a job's lease lasts; renewed at a quarter of it"
    )
    chunk_store: Literal["s3", "disk"] = Field(
        "s3", description="where chunks wait until the upload is complete"
    )
    spool_dir: str = Field(
        ".run/spool", description="folder of spooled bodies, and of chunks with CHUNK_STORE=disk"
    )
    spool_shared: bool = Field(
        False, description="all replicas see the same SPOOL_DIR; CHUNK_STORE=disk needs it"
    )
    upload_replicas: int = Field(1, ge=1, description="upload processes that share this database")

    @model_validator(mode="after")
    def _chunks_where_all_replicas_see_them(self) -> Self:
        if self.chunk_store == "disk" and self.upload_replicas > 1 and not self.spool_shared:
            raise ValueError(
                "CHUNK_STORE is 'disk' with more than one replica: expected s3, or SPOOL_SHARED=on"
                " where all replicas have the same SPOOL_DIR"
            )
        return self
