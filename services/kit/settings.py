"""Settings: one frozen dataclass per process, read once from the environment.

A field declares its variable, its parser and its default with ``setting(...)``. ``load`` reads every
field and reports *all* problems in one ``SettingsError``, each with key, value and what was expected.
Values of secrets never appear, neither in a message nor in ``repr`` nor in ``public``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
_REQUIRED = object()


class SettingsError(Exception):
    """Every problem of an environment, one line each in ``problems``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Secret(str):
    """A string that does not show itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclasses.dataclass(frozen=True, slots=True)
class Parser:
    """``read`` turns text into a value or raises ValueError; ``expected`` says in words what it takes."""

    read: Callable[[str], Any]
    expected: str
    secret: bool = False


def integer(minimum: int, maximum: int = 2**63 - 1) -> Parser:
    def read(text: str) -> int:
        value = int(text)
        if not minimum <= value <= maximum:
            raise ValueError(text)
        return value

    top = "" if maximum == 2**63 - 1 else f" and at most {maximum}"
    return Parser(read, f"an integer, at least {minimum}{top}")


def number(minimum: float, maximum: float = float("inf")) -> Parser:
    def read(text: str) -> float:
        value = float(text)
        if not minimum <= value <= maximum:  # also refuses NaN
            raise ValueError(text)
        return value

    top = "" if maximum == float("inf") else f" and at most {maximum:g}"
    return Parser(read, f"a number, at least {minimum:g}{top}")


def choice(*options: str) -> Parser:
    def read(text: str) -> str:
        if text not in options:
            raise ValueError(text)
        return text

    return Parser(read, "one of " + ", ".join(options))


def switch() -> Parser:
    """``on``/``off`` and ``1``/``0``."""
    values = {"on": True, "1": True, "off": False, "0": False}

    def read(text: str) -> bool:
        return values[text]

    return Parser(read, "on or off (1 or 0)")


def text() -> Parser:
    return Parser(str, "text")


def url() -> Parser:
    def read(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(value)
        return value.rstrip("/")

    return Parser(read, "an http(s) URL without query")


def url_list() -> Parser:
    one = url()

    def read(value: str) -> tuple[str, ...]:
        urls = tuple(one.read(item.strip()) for item in value.split(",") if item.strip())
        if not urls:
            raise ValueError(value)
        return urls

    return Parser(read, "a comma list of http(s) URLs")


def text_list() -> Parser:
    return Parser(lambda value: tuple(i.strip() for i in value.split(",") if i.strip()), "a comma list")


def secret(minimum_bytes: int = 1) -> Parser:
    def read(value: str) -> Secret:
        if len(value.encode()) < minimum_bytes:
            raise ValueError("too short")
        return Secret(value)

    return Parser(read, f"a secret of at least {minimum_bytes} bytes", secret=True)


def setting(key: str, parser: Parser, default: Any = _REQUIRED, *, help: str) -> Any:
    """A dataclass field read from ``key``; without a default it is required; ``help`` feeds the docs."""
    return dataclasses.field(metadata={"key": key, "parser": parser, "default": default, "help": help})


def load(cls: type[T], environ: Mapping[str, str]) -> T:
    """Read ``cls`` from ``environ``.

    Raises:
        SettingsError: with one line per missing or malformed variable.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        key, parser = field.metadata["key"], field.metadata["parser"]
        raw = environ.get(key)
        if raw is None or raw == "":
            if field.metadata["default"] is _REQUIRED:
                problems.append(f"{key} is not set: expected {parser.expected}")
            else:
                values[field.name] = field.metadata["default"]
            continue
        try:
            values[field.name] = parser.read(raw)
        except (ValueError, KeyError):
            shown = "***" if parser.secret else repr(raw)
            problems.append(f"{key} is {shown}: expected {parser.expected}")
    if problems:
        raise SettingsError(problems)
    return cls(**values)


def public(settings: Any) -> dict[str, Any]:
    """Every non-secret setting in effect, by variable name."""
    shown: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        if not field.metadata["parser"].secret:
            shown[field.metadata["key"]] = getattr(settings, field.name)
    return shown


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """What every process reads; each process's own settings extend it."""

    host: str = setting("HOST", text(), "127.0.0.1", help="address the public port listens on")
    port: int = setting("PORT", integer(1, 65535), help="public port")
    reuse_port: bool = setting(
        "REUSE_PORT", switch(), False, help="share the public port with other processes (SO_REUSEPORT)"
    )
    admin_host: str = setting("ADMIN_HOST", text(), "127.0.0.1", help="address of the admin port")
    admin_port: int = setting("ADMIN_PORT", integer(0, 65535), 0, help="admin port; 0 means public port + 10")
    instance: str = setting("INSTANCE", text(), "", help="stable name of this replica; empty: service name")
    log_level: str = setting(
        "LOG_LEVEL", choice("debug", "info", "warning", "error"), "info", help="lowest level that is logged"
    )
    logging: str = setting(
        "LOGGING",
        choice("json-queued", "stdlib-sync", "off"),
        "json-queued",
        help="how request lines are written: buffered JSON, one write per line, or not at all",
    )
    bench_endpoints: bool = setting(
        "BENCH_ENDPOINTS",
        switch(),
        False,
        help="serve /settings on the admin port and the experiment switches",
    )
    shutdown_s: float = setting("SHUTDOWN_S", number(0, 600), 30.0, help="seconds a stop waits for requests")
    drain_s: float = setting(
        "DRAIN_S",
        number(0, 1.5),
        0.0,
        help="seconds a stopping replica still serves open connections, so that balancers notice",
    )
    body_idle_s: float = setting(
        "BODY_IDLE_S", number(0.1, 3600), 30.0, help="seconds a body may make no progress before 408"
    )
    head_s: float = setting(
        "HEAD_TIMEOUT_S", number(0.05, 3600), 10.0, help="seconds a request head may take to arrive"
    )
    memory_soft_mb: int = setting(
        "MEMORY_SOFT_MB",
        integer(0, 1 << 20),
        0,
        help="MiB of memory; at 80 % of it garbage is collected and freed memory given back; 0: never",
    )
    gc_thresholds: str = setting(
        "GC_THRESHOLDS",
        choice("default", "medium", "tight"),
        "default",
        help="how eagerly garbage is collected: as Python does by itself, more often, or much more often",
    )
    http_server: str = setting(
        "HTTP_SERVER",
        choice("own", "aiohttp"),
        "own",
        help="HTTP server of the public port: our own or aiohttp's",
    )

    @property
    def effective_admin_port(self) -> int:
        return self.admin_port or self.port + 10
