"""Settings of the files service."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from services.kit.settings import CacheSettings, CallingSettings, Key, SweepSettings, Urls, takes

WEEK_S = 604_800  # the longest life a signature may have


def _public_url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or text.count("{file_id}") != 1:
        raise ValueError(text)
    return text


PublicUrl = Annotated[str, AfterValidator(_public_url), takes("an http(s) URL with {file_id} in it, once")]


class Settings(SweepSettings, CacheSettings, CallingSettings):
    internal_key_gateway_files: Key = Field(description="key of the credential that the gateway shows files")
    internal_key_upload_files: Key = Field(description="key of the credential that upload shows files")
    internal_key_operator_files: Key = Field(
        description="key of the credential that the operator's commands show files"
    )
    internal_key_files_auth: Key = Field(description="key of the credential that files shows auth")
    auth_urls: Urls = Field(description="where the auth replicas are")
    public_url_template: PublicUrl = Field(
        "http://localhost:9000/api/files/f/{file_id}/download?delivery=proxied",
        description="URL under which anybody reads a public file, with `{file_id}` in it",
    )
    presign_get_s: int = Field(600, ge=1, le=WEEK_S, description="seconds a presigned download URL is good")
    downloads_per_user: int = Field(
        128,
        ge=1,
        description="files that this process sends at once to a user, or to all who have no token together;"
        " above 8 also only fewer than are free of 256",
    )
    files_replicas: int = Field(1, ge=1, description="files processes that share this database")

    delete_grace_s: float = Field(
        60.0, ge=0, description="seconds from a file's deletion to that of its object"
    )
    gone_row_s: float = Field(
        2_592_000.0, ge=0, description="seconds that the row of a file stays whose object is gone"
    )
    orphan_age_s: float = Field(
        86_400.0, ge=0, description="seconds after which an object without a row is an orphan"
    )
    orphan_delete: bool = Field(False, description="orphans are deleted; off: they are only counted")

    @model_validator(mode="after")
    def _others_see_changes(self) -> Self:
        if self.cache == "memory" and self.files_replicas > 1:
            raise ValueError(
                "CACHE is 'memory' with more than one replica: expected redis or none, because a process"
                " would not see what another one changed"
            )
        return self
