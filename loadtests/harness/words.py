"""The words of the command line, each with what it may be; everything that is wrong is said at once.

Some words are for the whole run, the rest for an arm. What stands behind ``A=`` and ``B=`` are words again,
and settings: ``DB_POOL_MAX=50`` for every process that has it, ``upload.DB_POOL_MAX=50`` for those of one
service. An arm of a question file is written the same way.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from loadtests.harness.plan.prices import PricesError, read_prices
from loadtests.harness.records.base import parse_size
from loadtests.harness.records.plan import Delivery
from loadtests.harness.records.vocabulary import STORES
from loadtests.harness.records.ways import UnitPrices
from loadtests.harness.testbeds.target_testbed import read_pids

ProfileName = Literal["smoke", "ci", "full"]
PROFILES: tuple[ProfileName, ...] = get_args(ProfileName)
DELIVERIES: tuple[Delivery, ...] = get_args(Delivery)
LOGINS = ("prepared", "each")
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
OF_ALL_ARMS = tuple(name for name in OF_CLIENT if name not in ("DOWNLOAD", "TARGET", "PIDS"))
OF_LOAD = (*OF_ALL_ARMS, "LOGIN", "SEED")  # what a question may say for all its arms
ASK = ("Q", *OF_RUN, "STRATEGIES", *OF_ALL_ARMS)
STRESS = tuple(name for name in ASK if name not in ("Q", "STRATEGY"))  # its arms are strategies
AB = (*OF_RUN, *OF_ALL_ARMS, "TARGET", "PIDS", "A", "B", "BASE", FAIL_ON_LOSS)
STUDY = ("SCALE", "TIME", "BUDGET_S", "DISK")
NAMES = tuple(dict.fromkeys((*ASK, *AB, *STUDY)))
# Of a study: a tenth of the source's time, so that all of it takes 20 minutes, and the disk it may fill.
STUDY_TIME, STUDY_BUDGET_S, STUDY_DISK_BYTES = 0.1, 1200.0, 8_000_000_000
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


@dataclass(frozen=True, slots=True)
class Words:
    """A command line. ``precision`` is a half-width as a share, ``arms`` are those of the question or of
    ``A=`` and ``B=``; ``fail_on_loss`` is what B may lose against A, as a share. ``given`` is what was
    typed."""

    profile: ProfileName = "ci"
    precision: float | None = None
    budget_s: float | None = None
    seed: int | None = None
    login_each: bool = False
    every: ArmWords = field(default_factory=ArmWords)  # for all arms
    arms: Mapping[str, ArmWords] = field(default_factory=dict)
    base: str | None = None
    fail_on_loss: float | None = None
    prices: UnitPrices | None = None
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StudyWords:
    """The words of ``make govault``: factors on the source's clients and durations. ``budget_s`` is nothing
    where whoever typed TIME decided how long it takes."""

    scale: float
    time: float
    budget_s: float | None
    disk_bytes: int
    given: Mapping[str, str]


@dataclass(slots=True)
class _Reader:
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


def read_question(
    environ: Mapping[str, str],
    names: Collection[str],
    strategies: Collection[str],
    known: Mapping[str, Known],
    *,
    texts: Mapping[str, str],
    load: Mapping[str, str],
) -> Words:
    """The words of a command that asks a prepared question; ``names`` are those that it has.

    ``texts`` are the question's arms and ``load`` its words for all of them, which typed ones take the place
    of. Raises ``WordsError``.
    """
    typed = _given(environ, names)
    reader = _Reader({**load, **typed})
    chosen = reader.take(
        "STRATEGIES", lambda text: _names(text, strategies), f"names of {', '.join(strategies)}, each once"
    )
    if chosen and any(text != f"STRATEGY={name}" for name, text in texts.items()):
        reader.problems.append("STRATEGIES: the arms of this question are not strategies")
    texts = {name: f"STRATEGY={name}" for name in chosen} if chosen else texts
    arms = {
        name: read_arm(name, text, strategies, known.get(name, {}), reader.problems)
        for name, text in texts.items()
    }
    reader.problems += [
        f"{name}: every arm of this question says its own or only downloads, so it would change nothing"
        for name in OF_ALL_ARMS
        if name in typed
        and all(name in arm.asked or (arm.download and name in OF_UPLOADS) for arm in arms.values())
    ]
    found = _finished(reader, strategies, arms=arms)
    return replace(found, given={name: value for name, value in typed.items() if name != "Q"})


def problems_of_load(load: Mapping[str, str], strategies: Collection[str]) -> list[str]:
    """What is wrong with the words that a question has for all its arms."""
    reader = _Reader({name: load[name] for name in OF_LOAD if name in load}, "load.")
    _client(reader, strategies)
    _login(reader)
    _seed(reader)
    return reader.problems


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


def read_network(environ: Mapping[str, str]) -> ArmWords:
    """The words of ``make demo`` and ``make smoke``. Raises ``WordsError``."""
    reader = _Reader(_given(environ, OF_NETWORK))
    found = _client(reader, ())
    if reader.problems:
        raise WordsError(reader.problems)
    return found


def read_study(environ: Mapping[str, str]) -> StudyWords:
    """The words of ``make govault``. Raises ``WordsError``."""
    reader = _Reader(_given(environ, STUDY))
    scale = reader.take("SCALE", lambda text: _number(text, 0.005, 1), "a factor from 0.005 to 1")
    time = reader.take("TIME", lambda text: _number(text, 0.01, 1), "a factor from 0.01 to 1")
    budget_s = _budget(reader)
    disk = reader.take("DISK", lambda text: _at_least(text, 2**30), "a size such as 8GB, at least 1GiB")
    if reader.problems:
        raise WordsError(reader.problems)
    return StudyWords(
        scale=scale or 1.0,
        time=time or STUDY_TIME,
        budget_s=budget_s or (None if time else STUDY_BUDGET_S),
        disk_bytes=disk or STUDY_DISK_BYTES,
        given=dict(reader.values),
    )


def read_ab(environ: Mapping[str, str], strategies: Collection[str], known: Mapping[str, Known]) -> Words:
    """The words of ``make ab``. ``known`` are the settings by arm, see ``asks_for_settings``.

    Raises ``WordsError``, also for two arms that are written alike.
    """
    reader = _Reader(_given(environ, AB))
    pids = _pids(reader)
    arms = {
        name: read_arm(name, text, strategies, known.get(name, {}), reader.problems)
        for name, text in arm_texts(environ).items()
    }
    arms = {name: replace(arm, pids=arm.pids or pids) if arm.target else arm for name, arm in arms.items()}
    reader.problems += _problems_of_targets(reader, arms)
    if not reader.problems and {"A", "B"} & set(reader.values) and arms["A"] == arms["B"]:
        reader.problems.append("A and B are the same. How small a difference shows here says `make ab` alone")
    return _finished(
        reader, strategies, arms=arms, base=reader.values.get("BASE"), fail_on_loss=_may_lose(reader)
    )


def arm_texts(environ: Mapping[str, str]) -> dict[str, str]:
    """The two arms as typed. An arm that is not there is what runs anyway; BASE and TARGET make one each."""
    texts = {name: environ.get(name, "") for name in ("A", "B")}
    if base := environ.get("BASE"):
        texts = {"A": f"REVISION={shlex.quote(base)} {texts['A']}", "B": f"REVISION='' {texts['B']}"}
    if target := environ.get("TARGET"):
        texts["B"] = f"TARGET={shlex.quote(target)} {texts['B']}"
    return texts


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
    reader = _Reader(values, f"{name}: ", problems)
    return _client(
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


def _stack(reader: _Reader) -> dict[str, str]:
    replicas = reader.take(
        "REPLICAS", lambda text: _whole(text, 1, MAX_REPLICAS), f"a whole number from 1 to {MAX_REPLICAS}"
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


def _download(reader: _Reader) -> Delivery | None:
    found = reader.one_of("DOWNLOAD", DELIVERIES)
    if found is not None:
        reader.problems += [
            f"{reader.where}{name}={reader.values[name]}: an arm with DOWNLOAD uploads nothing"
            for name in OF_UPLOADS
            if reader.values.get(name)
        ]
    return next((one for one in DELIVERIES if one == found), None)


def _client(reader: _Reader, strategies: Collection[str], **more: Any) -> ArmWords:
    return ArmWords(
        strategy=reader.one_of("STRATEGY", strategies) if strategies else reader.values.get("STRATEGY"),
        download=_download(reader),
        file_size_bytes=reader.take(
            "FILE_SIZE", _file_size, "bytes or a size such as 1MiB, from 64 bytes to 1GiB"
        ),
        vus=reader.take("VUS", lambda text: _whole(text, 1, MAX_VUS), f"a whole number from 1 to {MAX_VUS}"),
        rtt_ms=reader.take(
            "RTT_MS",
            lambda text: float(_whole(text, 0, MAX_RTT_MS)),
            f"whole milliseconds, 0 to {MAX_RTT_MS}",
        ),
        bandwidth_mbit=reader.take(
            "BANDWIDTH_MBIT",
            lambda text: _number(text, 0.01, MAX_BANDWIDTH_MBIT),
            f"megabits a second of each connection, 0.01 to {MAX_BANDWIDTH_MBIT:g}",
        ),
        keep_alive=SWITCH.get(reader.one_of("KEEP_ALIVE", tuple(SWITCH)) or ""),
        reads=reader.take(
            "READS", lambda text: _whole(text, 0, MAX_READS), f"a whole number from 0 to {MAX_READS}"
        ),
        scraped=SWITCH.get(reader.one_of("SCRAPE", tuple(SWITCH)) or ""),
        target=reader.take("TARGET", _url, "the http(s) address of another implementation"),
        pids=_pids(reader),
        **more,
    )


def _may_lose(reader: _Reader) -> float | None:
    if reader.values.get(FAIL_ON_LOSS) and reader.values.get("PROFILE") == "smoke":
        reader.problems.append(f"{FAIL_ON_LOSS}: a smoke run shows no difference; use PROFILE=ci")
    found: float | None = reader.take(FAIL_ON_LOSS, _share, "a share such as 0.1 or 10%, from 0.5% to 50%")
    return found


def _pids(reader: _Reader) -> tuple[tuple[str, int], ...]:
    expected = "a file with `name pid` in each line, of processes that run"
    return reader.take("PIDS", lambda text: read_pids(Path(text)), expected) or ()


def _problems_of_targets(reader: _Reader, arms: Mapping[str, ArmWords]) -> list[str]:
    """What cannot be done to, or known of, another implementation."""
    found = []
    targets = {name: arm for name, arm in arms.items() if arm.target}
    for name, arm in targets.items():
        if arm.needs_stack:
            own = [word for word in arm.asked if word not in OF_CLIENT]
            found.append(f"{name}: {', '.join(own)}: another implementation is not ours to set")
        if arm.rtt_ms or arm.bandwidth_mbit or reader.values.keys() & {*OF_NETWORK}:
            found.append(
                f"{name}: RTT_MS and BANDWIDTH_MBIT do not go with TARGET: where another implementation has"
                " its store is not known"
            )
    if len(targets) == len(arms):
        found.append("one of the arms must be ours: TARGET stands in one of them")
    if not targets and (reader.values.get("PIDS") or any(arm.pids for arm in arms.values())):
        found.append("PIDS names processes of another implementation, and there is no TARGET")
    return found


def _finished(reader: _Reader, known_strategies: Collection[str], **more: Any) -> Words:
    profile = reader.one_of("PROFILE", PROFILES)
    found = Words(
        profile=next((name for name in PROFILES if name == profile), "ci"),
        precision=reader.take("PRECISION", _share, "a half-width such as 0.05 or 5%, from 0.5% to 50%"),
        budget_s=_budget(reader),
        seed=_seed(reader),
        login_each=_login(reader),
        every=_client(reader, known_strategies),
        prices=_prices(reader),
        given=dict(reader.values),
        **more,
    )
    if reader.problems:
        raise WordsError(reader.problems)
    return found


def _budget(reader: _Reader) -> float | None:
    found: float | None = reader.take(
        "BUDGET_S", lambda text: _number(text, 10, 604_800), "seconds, 10 to 604800"
    )
    return found


def _seed(reader: _Reader) -> int | None:
    found: int | None = reader.take("SEED", lambda text: _whole(text, 0, 2**31 - 1), "a whole number")
    return found


def _login(reader: _Reader) -> bool:
    return reader.one_of("LOGIN", LOGINS) == "each"


def _prices(reader: _Reader) -> UnitPrices | None:
    """Each problem of the file is one of its own."""
    name = reader.values.get("PRICES")
    try:
        return read_prices(Path(name)) if name else None
    except PricesError as error:
        reader.problems += [f"PRICES={name}: {one}" for one in error.problems]
        return None


def _given(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: environ[name] for name in names if environ.get(name)}


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


def _names(text: str, strategies: Collection[str]) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    if not names or len(set(names)) != len(names) or not set(names) <= set(strategies):
        raise ValueError(text)
    return names


def _file_size(text: str) -> int:
    size = parse_size(text)
    if not MIN_FILE_BYTES <= size <= MAX_FILE_BYTES:
        raise ValueError(text)
    return size


def _at_least(text: str, least: int) -> int:
    size = parse_size(text)
    if size < least:
        raise ValueError(text)
    return size


def _whole(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise ValueError(text)
    return int(text)


def _number(text: str, least: float, most: float) -> float:
    value = float(text)
    if not least <= value <= most:
        raise ValueError(text)
    return value


def _share(text: str) -> float:
    value = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    if not 0.005 <= value <= 0.5:
        raise ValueError(text)
    return value


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(text)
    return text.rstrip("/")
