"""The words of the command line; everything that is wrong is said at once.

Some are for the whole run, the rest for an arm; what stands behind ``A=`` and ``B=`` are words of one again.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from loadtests.harness.arm_words import (
    FAIL_ON_LOSS,
    OF_CLIENT,
    OF_NETWORK,
    OF_RUN,
    OF_UPLOADS,
    ArmWords,
    Known,
    Reader,
    WordsError,
    client_words,
    number,
    pids_word,
    read_arm,
    whole,
)
from loadtests.harness.plan.prices import PricesError, read_prices
from loadtests.harness.records.base import parse_size
from loadtests.harness.records.ways import UnitPrices

ProfileName = Literal["smoke", "ci", "full"]
PROFILES: tuple[ProfileName, ...] = get_args(ProfileName)
LOGINS = ("prepared", "each")
OF_ALL_ARMS = tuple(name for name in OF_CLIENT if name not in ("DOWNLOAD", "TARGET", "PIDS"))
OF_LOAD = (*OF_ALL_ARMS, "LOGIN", "SEED")  # what a question may say for all its arms
ASK = ("Q", *OF_RUN, "STRATEGIES", *OF_ALL_ARMS)
STRESS = tuple(name for name in ASK if name not in ("Q", "STRATEGY"))  # its arms are strategies
AB = (*OF_RUN, *OF_ALL_ARMS, "TARGET", "PIDS", "A", "B", "BASE", FAIL_ON_LOSS)
STUDY = ("SCALE", "TIME", "BUDGET_S", "DISK")
NAMES = tuple(dict.fromkeys((*ASK, *AB, *STUDY)))
# Of a study: a tenth of the source's time, so that all of it takes 20 minutes, and the disk it may fill.
STUDY_TIME, STUDY_BUDGET_S, STUDY_DISK_BYTES = 0.1, 1200.0, 8_000_000_000


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
    reader = Reader({**load, **typed})
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
    reader = Reader({name: load[name] for name in OF_LOAD if name in load}, "load.")
    client_words(reader, strategies)
    _login(reader)
    _seed(reader)
    return reader.problems


def read_network(environ: Mapping[str, str]) -> ArmWords:
    """The words of ``make demo`` and ``make smoke``. Raises ``WordsError``."""
    reader = Reader(_given(environ, OF_NETWORK))
    found = client_words(reader, ())
    if reader.problems:
        raise WordsError(reader.problems)
    return found


def read_study(environ: Mapping[str, str]) -> StudyWords:
    """The words of ``make govault``. Raises ``WordsError``."""
    reader = Reader(_given(environ, STUDY))
    scale = reader.take("SCALE", lambda text: number(text, 0.005, 1), "a factor from 0.005 to 1")
    time = reader.take("TIME", lambda text: number(text, 0.01, 1), "a factor from 0.01 to 1")
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
    reader = Reader(_given(environ, AB))
    pids = pids_word(reader)
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


def _may_lose(reader: Reader) -> float | None:
    if reader.values.get(FAIL_ON_LOSS) and reader.values.get("PROFILE") == "smoke":
        reader.problems.append(f"{FAIL_ON_LOSS}: a smoke run shows no difference; use PROFILE=ci")
    found: float | None = reader.take(FAIL_ON_LOSS, _share, "a share such as 0.1 or 10%, from 0.5% to 50%")
    return found


def _problems_of_targets(reader: Reader, arms: Mapping[str, ArmWords]) -> list[str]:
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


def _finished(reader: Reader, known_strategies: Collection[str], **more: Any) -> Words:
    profile = reader.one_of("PROFILE", PROFILES)
    found = Words(
        profile=next((name for name in PROFILES if name == profile), "ci"),
        precision=reader.take("PRECISION", _share, "a half-width such as 0.05 or 5%, from 0.5% to 50%"),
        budget_s=_budget(reader),
        seed=_seed(reader),
        login_each=_login(reader),
        every=client_words(reader, known_strategies),
        prices=_prices(reader),
        given=dict(reader.values),
        **more,
    )
    if reader.problems:
        raise WordsError(reader.problems)
    return found


def _budget(reader: Reader) -> float | None:
    found: float | None = reader.take(
        "BUDGET_S", lambda text: number(text, 10, 604_800), "seconds, 10 to 604800"
    )
    return found


def _seed(reader: Reader) -> int | None:
    found: int | None = reader.take("SEED", lambda text: whole(text, 0, 2**31 - 1), "a whole number")
    return found


def _login(reader: Reader) -> bool:
    return reader.one_of("LOGIN", LOGINS) == "each"


def _prices(reader: Reader) -> UnitPrices | None:
    """Each problem of the file is one of its own."""
    name = reader.values.get("PRICES")
    try:
        return read_prices(Path(name)) if name else None
    except PricesError as error:
        reader.problems += [f"PRICES={name}: {one}" for one in error.problems]
        return None


def _given(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: environ[name] for name in names if environ.get(name)}


def _names(text: str, strategies: Collection[str]) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    if not names or len(set(names)) != len(names) or not set(names) <= set(strategies):
        raise ValueError(text)
    return names


def _at_least(text: str, least: int) -> int:
    size = parse_size(text)
    if size < least:
        raise ValueError(text)
    return size


def _share(text: str) -> float:
    value = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    if not 0.005 <= value <= 0.5:
        raise ValueError(text)
    return value
