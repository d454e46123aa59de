"""Settings: one frozen class per process, read once from the environment by pydantic-settings.

A field's alias is its variable, made from its name; its description feeds the docs. An empty variable
counts as none. Values of secrets never appear, neither in a problem nor in ``repr`` nor in ``public``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar, get_origin
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

_KINDS = {"boolean": "on or off (1 or 0)", "integer": "an integer", "number": "a number", "string": "text"}
_BOUNDS = {"least": "minimum", "most": "maximum"}


class SettingsError(Exception):
    """Every problem of an environment, one line each in ``problems``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def takes(words: str) -> WithJsonSchema:
    """Says in words what a type of ours accepts, where its schema cannot."""
    return WithJsonSchema({"expected": words})


def comma_list(text: str) -> list[str]:
    """The items of a comma list; empty ones do not count."""
    return [item.strip() for item in text.split(",") if item.strip()]


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(text)
    return text.rstrip("/")


Url = Annotated[str, AfterValidator(_url), takes("an http(s) URL without query")]
Urls = Annotated[
    tuple[Url, ...],
    BeforeValidator(comma_list),
    Field(min_length=1),
    takes("a comma list of http(s) URLs"),
]
Texts = Annotated[tuple[str, ...], BeforeValidator(comma_list), takes("a comma list")]
Key = Annotated[SecretStr, Field(min_length=32)]  # signs with HMAC-SHA256


class ProcessSettings(BaseSettings):
    """What every process reads; each process's own settings extend it."""

    model_config = SettingsConfigDict(
        frozen=True,
        alias_generator=str.upper,
        case_sensitive=True,
        env_ignore_empty=True,
        enable_decoding=False,  # lists are comma lists, not JSON
        validate_default=False,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # an input may be a secret
    )

    host: str = Field("127.0.0.1", description="address the public port listens on")
    port: int = Field(ge=1, le=65535, description="public port")
    reuse_port: bool = Field(False, description="share the public port with other processes (SO_REUSEPORT)")
    admin_host: str = Field("127.0.0.1", description="address of the admin port")
    admin_port: int = Field(0, ge=0, le=65535, description="admin port; 0 means public port + 10")
    instance: str = Field("", description="stable name of this replica; empty: service name")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="lowest level that is logged"
    )
    logging: Literal["json-queued", "stdlib-sync", "off"] = Field(
        "json-queued",
        description="how request lines are written: buffered JSON, one write per line, or not at all",
    )
    bench_endpoints: bool = Field(
        False, description="serve /settings on the admin port and the experiment switches"
    )
    shutdown_s: float = Field(30.0, ge=0, le=600, description="seconds a stop waits for requests")
    drain_s: float = Field(
        0.0,
        ge=0,
        le=1.5,
        description="seconds a stopping replica still serves open connections, so that balancers notice",
    )
    body_idle_s: float = Field(
        30.0, ge=0.1, le=3600, description="seconds a body may make no progress before 408"
    )
    body_min_bytes_per_s: int = Field(
        1_024, ge=0, description="average rate of a body below which it is 408; 0: any rate will do"
    )
    body_rate_window_s: float = Field(
        60.0, ge=0.1, le=3600, description="seconds of waiting for a body that the average rate is taken over"
    )
    head_s: float = Field(
        10.0,
        alias="HEAD_TIMEOUT_S",
        ge=0.05,
        le=3600,
        description="seconds a request head may take to arrive",
    )
    memory_soft_mb: int = Field(
        0,
        ge=0,
        le=1 << 20,
        description="MiB of memory; at 80 % of it garbage is collected and freed memory given back; 0: never",
    )
    gc_thresholds: Literal["default", "medium", "tight"] = Field(
        "default",
        description="how eagerly garbage is collected: as Python does by itself, more often,"
        " or much more often",
    )

    @property
    def effective_admin_port(self) -> int:
        return self.admin_port or self.port + 10

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment and nothing else."""
        return (env_settings,)

    @model_validator(mode="before")
    @classmethod
    def _words_in_lower_case(cls, values: dict[str, Any]) -> dict[str, Any]:
        """One of a few words may be written with capitals."""
        words = {
            field.alias for field in cls.model_fields.values() if get_origin(field.annotation) is Literal
        }
        return {name: value.lower() if name in words else value for name, value in values.items()}


class CallingSettings(ProcessSettings):
    """Of a process that calls other services."""

    breaker: bool = Field(True, description="leave another service alone for a while when it keeps failing")
    breaker_probe: bool = Field(
        True, description="ask a service that is left alone once a second whether it lives; off: just wait"
    )
    breaker_open_s: float = Field(
        30.0,
        ge=0.1,
        le=3600,
        description="seconds a failing service is left alone, then a few requests try it",
    )


class PoolSize(NamedTuple):
    """Connections that stay open, and how many there are at most."""

    least: int = 2
    most: int = 20


USUAL_POOL = PoolSize()


class DatabaseSettings(ProcessSettings):
    """Of a process with a database."""

    database_url: SecretStr = Field(description="where the service's database is")
    database_direct_url: SecretStr = Field(
        SecretStr(""),
        description="the database without a pooler between, for migrations and locks; empty: DATABASE_URL",
    )
    db_prepared: bool = Field(
        True, description="prepared statements; with POOLER=pgbouncer there are none, whatever this says"
    )
    pooler: Literal["none", "pgbouncer"] = Field(
        "none", description="what statements go through on their way to the database"
    )
    database_pooler_url: SecretStr = Field(
        SecretStr(""), description="the database through the pooler; needed with POOLER=pgbouncer"
    )
    db_pool_min: int = Field(
        USUAL_POOL.least, ge=0, le=1_000, description="connections to the database that stay open"
    )
    db_pool_max: int = Field(
        USUAL_POOL.most,
        ge=1,
        le=1_000,
        description="connections to the database that this process opens at most",
    )

    @model_validator(mode="after")
    def _pool_has_room(self) -> Self:
        if self.db_pool_min > self.db_pool_max:
            raise ValueError(
                f"DB_POOL_MIN is {self.db_pool_min}: expected at most DB_POOL_MAX, {self.db_pool_max}"
            )
        return self

    @model_validator(mode="after")
    def _pooler_is_somewhere(self) -> Self:
        if self.pooler != "none" and not self.database_pooler_url.get_secret_value():
            raise ValueError("POOLER is 'pgbouncer': expected DATABASE_POOLER_URL to say where it is")
        return self

    @property
    def direct_url(self) -> str:
        """For migrations and for locks, which belong to a connection."""
        return (self.database_direct_url or self.database_url).get_secret_value()

    @property
    def statements_url(self) -> str:
        chosen = self.database_url if self.pooler == "none" else self.database_pooler_url
        return chosen.get_secret_value()

    @property
    def pool_size(self) -> PoolSize:
        return PoolSize(self.db_pool_min, self.db_pool_max)

    @property
    def keeps_prepared(self) -> bool:
        """In transaction mode a connection changes hands, and with it what was prepared on it."""
        return self.db_prepared and self.pooler == "none"


class StoreSettings(DatabaseSettings):
    """Of a process with a database and the object store."""

    s3_endpoint: Url = Field(description="object store, for our own requests")
    s3_public_endpoint: Url = Field(description="object store as clients reach it; only signs URLs")
    s3_bucket: str = Field("vault-files", description="the private bucket of all objects")
    s3_access_key: SecretStr = Field(description="access key of the object store")
    s3_secret_key: SecretStr = Field(description="secret key of the object store")


class RedisSettings(ProcessSettings):
    """Of a process that may use Redis."""

    redis_url: SecretStr = Field(SecretStr(""), description="where Redis is; needed by what uses it")
    redis_timeout_s: float = Field(
        0.05, ge=0.001, le=10, description="seconds to wait for Redis before going on without it"
    )

    def needs_redis(self, setting: str) -> None:
        """Raises ValueError when the setting has nowhere to go."""
        if not self.redis_url.get_secret_value():
            raise ValueError(f"{setting} is 'redis': expected REDIS_URL to say where it is")


class CacheSettings(RedisSettings):
    """Of a process that may answer from what it read before."""

    cache: Literal["none", "memory", "redis"] = Field(
        "none", description="where rows are kept that are read again and again"
    )
    cache_ttl_s: float = Field(10.0, ge=0.1, le=3600, description="seconds a kept row is used at most")

    @model_validator(mode="after")
    def _cache_has_a_place(self) -> Self:
        if self.cache == "redis":
            self.needs_redis("CACHE")
        return self


class SweepSettings(StoreSettings):
    """Of a process that also sweeps."""

    sweep_interval_s: float = Field(
        60.0, ge=1, le=604_800, description="seconds between two sweeps; one replica at a time does them"
    )
    sweep_dry_run: bool = Field(False, description="timed sweeps count and log, and change nothing")


S = TypeVar("S", bound=ProcessSettings)


def load(cls: type[S]) -> S:
    """Read ``cls`` from the environment.

    Raises:
        SettingsError: with one line per missing or malformed variable.
    """
    try:
        return cls()
    except ValidationError as error:
        raise SettingsError(_problems(cls, error)) from None  # the cause knows secrets


def _problems(cls: type[ProcessSettings], error: ValidationError) -> list[str]:
    """One line per variable, also when several items of a list are wrong."""
    lines: dict[str, str] = {}
    properties = cls.model_json_schema()["properties"]
    for one in error.errors():
        if not one["loc"]:  # of several settings together
            lines[""] = str(one["ctx"]["error"])
            continue
        key = str(one["loc"][0])
        schema = properties[key]
        shown = "***" if schema.get("writeOnly") else repr(os.environ.get(key))
        found = "is not set" if one["type"] == "missing" else f"is {shown}"
        lines[key] = f"{key} {found}: expected {expected(schema)}"
    return list(lines.values())


def expected(schema: Mapping[str, Any]) -> str:
    """In words, what a variable takes whose JSON schema this is."""
    if "expected" in schema:
        return str(schema["expected"])
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if schema.get("writeOnly"):
        return (
            f"a secret of at least {least} characters" if (least := schema.get("minLength")) else "a secret"
        )
    bounds = [f"at {word} {schema[key]}" for word, key in _BOUNDS.items() if key in schema]
    return _KINDS[schema["type"]] + (", " + " and ".join(bounds) if bounds else "")


def public(settings: ProcessSettings) -> dict[str, Any]:
    """Every non-secret setting in effect, by variable name, as JSON holds it."""
    secrets = {name for name, value in settings if isinstance(value, SecretStr)}
    return settings.model_dump(mode="json", by_alias=True, exclude=secrets)
