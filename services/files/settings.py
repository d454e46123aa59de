"""Settings of the files service."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from services.kit.s3 import S3Address
from services.kit.settings import CacheSettings, Key, StoreSettings

WEEK_S = 604_800  # the longest life a signature may have


class Settings(StoreSettings, CacheSettings):
    internal_key_gateway_files: Key = Field(description="key of the credential that the gateway shows files")
    internal_key_upload_files: Key = Field(description="key of the credential that upload shows files")
    presign_get_s: int = Field(600, ge=1, le=WEEK_S, description="seconds a presigned download URL is good")
    files_replicas: int = Field(1, ge=1, description="files processes that share this database")

    @model_validator(mode="after")
    def _others_see_changes(self) -> Self:
        if self.cache == "memory" and self.files_replicas > 1:
            raise ValueError(
                "CACHE is 'memory' with more than one replica: expected redis or none, because a process"
                " would not see what another one changed"
            )
        return self

    @property
    def s3(self) -> S3Address:
        return S3Address(
            self.s3_endpoint,
            self.s3_public_endpoint,
            self.s3_bucket,
            self.s3_access_key.get_secret_value(),
            self.s3_secret_key.get_secret_value(),
        )
