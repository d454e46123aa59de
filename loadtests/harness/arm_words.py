"""The words of one arm, as they stand behind ``A=`` and ``B=`` and in the files of questions, each with what
it may be; everything that is wrong is said at once.

Beside words there are settings: ``DB_POOL_MAX=50`` for every process that has it, ``upload.DB_POOL_MAX=50``
for those of one service.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from loadtests.harness.records.base import parse_size
from loadtests.harness.records.plan import Delivery
from loadtests.harness.records.vocabulary import STORES
from loadtests.harness.testbeds.target_testbed import read_pids

DELIVERIES: tuple[Delivery, ...] = get_args(Delivery)
POOLERS = ("none", "pgbouncer")
TOPOLOGIES = ("single", "scaled")
SWITCH = {"on": True, "off": False}
MIN_FILE_BYTES = 64  # one stamp
MAX_FILE_BYTES = 1024**3
MAX_VUS, MAX_REPLICAS, MAX_READS = 2000, 8, 100
MAX_RTT_MS, MAX_BANDWIDTH_MBIT = 5000, 100_000.0
OF_NETWORK = ("RTT_MS", "BANDWIDTH_MBIT")
OF_CLIENT = (
    "STRATEGY",
    "DOWNLOAD",
    "FILE_SIZE",
    "VUS",
    *OF_NETWORK,
    "KEEP_ALIVE",
    "READS",
    "SCRAPE",
    "TARGET",
    "PIDS",
)
OF_UPLOADS = ("STRATEGY", "READS")  # say nothing of a client that downloads
OF_STACK = ("REPLICAS", "TOPOLOGY", "POOLER", "STORE", "REVISION")  # and every setting of every process
OF_RUN = ("PROFILE", "PRECISION", "BUDGET_S", "SEED", "LOGIN", "PRICES")
FAIL_ON_LOSS = "FAIL_ON_LOSS"
_ARM_WORD = re.compile(r"(?:([a-z]+)\.)?([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)

Known = Mapping[str, Mapping[str, str]]  # by service: what each setting that somebody may choose expects


class WordsError(Exception):
    """At least one word cannot be used; one line for each in ``problems``."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class ArmWords:
    """One arm as asked for; ``None`` leaves what the run or the question says.

    ``download`` is how clients get files, where they upload none; ``pids`` names the processes of ``target``;
    ``reads`` is how often a client looks at its file afterwards, ``scraped`` whether somebody reads the
    metrics in the arm's turns;
    ``stack`` holds REPLICAS, TOPOLOGY, POOLER and STORE as typed, ``processes`` settings by service.
    ``revision`` is empty for the working tree as it is, ``None`` for whatever code runs anyway.
    """

    strategy: str | None = None
    download: Delivery | None = None
    file_size_bytes: int | None = None
    vus: int | None = None
    rtt_ms: float | None = None
    bandwidth_mbit: float | None = None
    keep_alive: bool | None = None
    reads: int | None = None
    scraped: bool | None = None
    target: str | None = None
    pids: tuple[tuple[str, int], ...] = ()
    stack: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    revision: str | None = None
    asked: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def needs_stack(self) -> bool:
        """Whether the running testbed cannot serve it."""
        return bool(self.stack or self.processes or self.revision is not None)


@dataclass(slots=True)
class Reader:
    """Reads values and collects what is wrong with them. ``where`` names the arm in a problem."""

    values: Mapping[str, str]
    where: str = ""
    problems: list[str] = field(default_factory=list)

    def take(self, name: str, read: Callable[[str], Any], expected: str) -> Any:
        """``read`` raises ``ValueError`` or ``OSError`` for what is not ``expected``."""
        if not self.values.get(name):
            return None
        try:
            return read(self.values[name])
        except (OSError, ValueError):
            self.problems.append(f"{self.where}{name}={self.values[name]}: expected {expected}")
            return None

    def one_of(self, name: str, allowed: Collection[str]) -> str | None:
        """A value of a few, in capitals or not; the nearest one is named when it is none of them."""

        def read(text: str) -> str:
            if text.lower() not in allowed:
                raise ValueError(text)
            return text.lower()

        near = nearest(self.values.get(name, ""), allowed)
        found: str | None = self.take(name, read, f"one of {', '.join(allowed)}{near}")
        return found


def as_typed(texts: Mapping[str, str]) -> dict[str, Known]:
    """By arm, settings as if whoever is named reads them: enough to see what an arm needs, before the
    services were asked what they read."""
    found: dict[str, Known] = {}
    for name, text in texts.items():
        known: dict[str, dict[str, str]] = {}
        for word in _split(text, []):
            match = _ARM_WORD.fullmatch(word)
            if match and match[2] not in (*OF_CLIENT, *OF_STACK):
                known.setdefault(match[1] or "any", {})[match[2]] = ""
        found[name] = known
    return found


def asks_for_settings(text: str) -> bool:
    """Whether an arm's text holds more than words of the client: names are then to be looked up."""
    return any(
        (match := _ARM_WORD.fullmatch(word)) and match[2] not in OF_CLIENT for word in _split(text, [])
    )


def revision_of(text: str) -> str | None:
    """The revision that an arm's text asks for, before anything else of it is read."""
    found = [
        match[3]
        for word in _split(text, [])
        if (match := _ARM_WORD.fullmatch(word)) and match[2] == "REVISION"
    ]
    return found[-1] if found else None


def read_arm(
    name: str, text: str, strategies: Collection[str], known: Known, problems: list[str]
) -> ArmWords:
    """One arm from its words; what is wrong is added to ``problems``."""
    values: dict[str, str] = {}
    processes: dict[str, dict[str, str]] = {}
    for word in _split(text, problems):
        match = _ARM_WORD.fullmatch(word)
        if match is None:
            problems.append(f"{name}: {word}: expected NAME=value, or service.NAME=value")
            continue
        service, word_name, value = match[1], match[2], match[3]
        if service is None and word_name in (*OF_CLIENT, *OF_STACK):
            _put(values, word_name, value, name, problems)
            continue
        for reads in _readers(name, service, word_name, known, problems):
            _put(processes.setdefault(reads, {}), word_name, value, name, problems)
    reader = Reader(values, f"{name}: ", problems)
    return client_words(
        reader,
        strategies,
        stack=_stack(reader),
        processes=processes,
        revision=values.get("REVISION"),
        asked=dict(word.split("=", 1) for word in _split(text, []) if "=" in word),
    )


def _put(values: dict[str, str], name: str, value: str, arm: str, problems: list[str]) -> None:
    if values.get(name, value) != value:
        problems.append(f"{arm}: {name} is said twice, {values[name]} and {value}")
    values[name] = value


def _readers(arm: str, service: str | None, name: str, known: Known, problems: list[str]) -> list[str]:
    """The services that read a setting; none, and a problem, when it cannot be chosen."""
    reading = [one for one, settings in known.items() if name in settings]
    if service is None and reading:
        return reading
    if service in reading:
        return [str(service)]
    if service is not None and service not in known and known:
        problems.append(f"{arm}: {service}.{name}: no such service; there are {', '.join(known)}")
    elif reading:
        problems.append(f"{arm}: {service} does not read {name}; {', '.join(reading)} does")
    elif name in (*OF_CLIENT, *OF_STACK):
        problems.append(f"{arm}: {name} is no setting of {service}; it is said without a service")
    elif name in (*OF_RUN, "STRATEGIES", "BASE", FAIL_ON_LOSS):
        problems.append(f"{arm}: {name} is for the whole run; it stands before A and B")
    else:
        names = {*OF_CLIENT, *OF_STACK, *(one for settings in known.values() for one in settings)}
        problems.append(f"{arm}: {name} is read by nobody{nearest(name, names)}")
    return []


def _stack(reader: Reader) -> dict[str, str]:
    replicas = reader.take(
        "REPLICAS", lambda text: whole(text, 1, MAX_REPLICAS), f"a whole number from 1 to {MAX_REPLICAS}"
    )
    found = {
        "REPLICAS": None if replicas is None else str(replicas),
        "TOPOLOGY": reader.one_of("TOPOLOGY", TOPOLOGIES),
        "POOLER": reader.one_of("POOLER", POOLERS),
        "STORE": reader.one_of("STORE", STORES),
    }
    if found["TOPOLOGY"] == "single" and (replicas or 1) > 1:
        reader.problems.append(f"{reader.where}REPLICAS={replicas}: several need TOPOLOGY=scaled")
    return {name: value for name, value in found.items() if value is not None}


def _download(reader: Reader) -> Delivery | None:
    found = reader.one_of("DOWNLOAD", DELIVERIES)
    if found is not None:
        reader.problems += [
            f"{reader.where}{name}={reader.values[name]}: an arm with DOWNLOAD uploads nothing"
            for name in OF_UPLOADS
            if reader.values.get(name)
        ]
    return next((one for one in DELIVERIES if one == found), None)


def client_words(reader: Reader, strategies: Collection[str], **more: Any) -> ArmWords:
    return ArmWords(
        strategy=reader.one_of("STRATEGY", strategies) if strategies else reader.values.get("STRATEGY"),
        download=_download(reader),
        file_size_bytes=reader.take(
            "FILE_SIZE", _file_size, "bytes or a size such as 1MiB, from 64 bytes to 1GiB"
        ),
        vus=reader.take("VUS", lambda text: whole(text, 1, MAX_VUS), f"a whole number from 1 to {MAX_VUS}"),
        rtt_ms=reader.take(
            "RTT_MS",
            lambda text: float(whole(text, 0, MAX_RTT_MS)),
            f"whole milliseconds, 0 to {MAX_RTT_MS}",
        ),
        bandwidth_mbit=reader.take(
            "BANDWIDTH_MBIT",
            lambda text: number(text, 0.01, MAX_BANDWIDTH_MBIT),
            f"megabits a second of each connection, 0.01 to {MAX_BANDWIDTH_MBIT:g}",
        ),
        keep_alive=SWITCH.get(reader.one_of("KEEP_ALIVE", tuple(SWITCH)) or ""),
        reads=reader.take(
            "READS", lambda text: whole(text, 0, MAX_READS), f"a whole number from 0 to {MAX_READS}"
        ),
        scraped=SWITCH.get(reader.one_of("SCRAPE", tuple(SWITCH)) or ""),
        target=reader.take("TARGET", _url, "the http(s) address of another implementation"),
        pids=pids_word(reader),
        **more,
    )


def pids_word(reader: Reader) -> tuple[tuple[str, int], ...]:
    expected = "a file with `name pid` in each line, of processes that run"
    return reader.take("PIDS", lambda text: read_pids(Path(text)), expected) or ()


def nearest(name: str, names: Iterable[str]) -> str:
    """``; did you mean X?`` where one of the names is near; else nothing. Case does not count."""
    by_upper = {one.upper(): one for one in names}
    near = difflib.get_close_matches(name.upper(), by_upper, 1)
    return f"; did you mean {by_upper[near[0]]}?" if near else ""


def _split(text: str, problems: list[str]) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        problems.append(f"{text}: {error}")
        return []


def _file_size(text: str) -> int:
    size = parse_size(text)
    if not MIN_FILE_BYTES <= size <= MAX_FILE_BYTES:
        raise ValueError(text)
    return size


def whole(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise ValueError(text)
    return int(text)


def number(text: str, least: float, most: float) -> float:
    value = float(text)
    if not least <= value <= most:
        raise ValueError(text)
    return value


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(text)
    return text.rstrip("/")
