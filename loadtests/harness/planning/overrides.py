"""What a person may change from the command line: six words, each with its allowed values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

NAMES = ("PROFILE", "SCALE", "VUS", "FILE_SIZE", "STRATEGIES", "LOGIN", "SLEEPS")
ProfileName = Literal["smoke", "ci", "full"]
PROFILES: tuple[ProfileName, ...] = get_args(ProfileName)
LOGINS = ("prepared", "each")
SLEEPS = ("model", "seed", "none")  # equal pauses, those of the scripts the shapes come from, or no pauses
# What else may stand behind a make target without being an override of the load.
OTHER_MAKE_VARIABLES = frozenset(
    {
        "CLEAN",
        "DRY_RUN",
        "K6_PUSH",
        "OLDER_THAN_S",
        "PYTHON",
        "RUN",
        "RUNTIME",
        "SHAPE",
        "UNKNOWN_OLDER_THAN_S",
    }
)
MIN_FILE_BYTES = 64  # one stamp
MAX_FILE_BYTES = 1024**3
MAX_VUS = 2000
_UNITS = {
    "": 1,
    "B": 1,
    "KIB": 1024,
    "MIB": 1024**2,
    "GIB": 1024**3,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


class OverrideError(Exception):
    """At least one override is not allowed; one line for each, with what is."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Overrides as given; ``None`` leaves the experiment's own value."""

    profile: ProfileName = "ci"
    scale: float = 1.0
    vus: int | None = None
    file_size_bytes: int | None = None
    strategies: tuple[str, ...] | None = None
    login_each: bool = False
    sleeps: str = "model"
    given: Mapping[str, str] = field(default_factory=dict)


def parse_size(text: str) -> int:
    """Bytes from ``1048576``, ``1MiB``, ``1.5 MB``. Raises ``ValueError``."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[2].upper() not in _UNITS:
        raise ValueError(text)
    return round(float(match[1]) * _UNITS[match[2].upper()])


def read_overrides(environ: Mapping[str, str], strategies: Collection[str]) -> Overrides:
    """Overrides from the environment. Raises ``OverrideError`` naming every problem at once."""
    given = {name: environ[name] for name in NAMES if environ.get(name)}
    problems = [f"{name} is not known; expected {', '.join(NAMES)}" for name in unknown_words(environ)]

    def refuse(name: str, expected: str) -> None:
        problems.append(f"{name}={given[name]}: expected {expected}")

    for name, allowed in (("PROFILE", PROFILES), ("LOGIN", LOGINS), ("SLEEPS", SLEEPS)):
        if name in given and given[name] not in allowed:
            refuse(name, " or ".join(allowed))
    scale = _number(given.get("SCALE", "1"))
    if scale is None or not 0.001 <= scale <= 100:
        refuse("SCALE", "a number from 0.001 to 100")
    vus = _whole(given.get("VUS", "1"))
    if vus is None or not 1 <= vus <= MAX_VUS:
        refuse("VUS", f"a whole number from 1 to {MAX_VUS}")
    size = _size(given.get("FILE_SIZE", "1MiB"))
    if size is None or not MIN_FILE_BYTES <= size <= MAX_FILE_BYTES:
        refuse("FILE_SIZE", "bytes or a size such as 1MiB, from 64 bytes to 1GiB")
    chosen = tuple(name.strip() for name in given.get("STRATEGIES", "").split(",") if name.strip())
    if unknown := [name for name in chosen if name not in strategies]:
        problems.append(f"STRATEGIES={given['STRATEGIES']}: {', '.join(unknown)} not known; expected some of "
                        f"{', '.join(strategies)}")  # fmt: skip
    if "STRATEGIES" in given and not chosen:
        refuse("STRATEGIES", f"some of {', '.join(strategies)}")
    if len(set(chosen)) != len(chosen):
        refuse("STRATEGIES", "each name once")
    if problems:
        raise OverrideError("\n".join(problems))
    return Overrides(
        profile=next((name for name in PROFILES if name == given.get("PROFILE")), "ci"),
        scale=scale or 1.0,
        vus=vus if "VUS" in given else None,
        file_size_bytes=size if "FILE_SIZE" in given else None,
        strategies=chosen or None,
        sleeps=given.get("SLEEPS", "model"),
        login_each=given.get("LOGIN") == "each",
        given=given,
    )


def unknown_words(environ: Mapping[str, str]) -> list[str]:
    """Misspelt variables of a make command line: make hands them on in MAKEFLAGS, behind ``--``."""
    _, _, words = environ.get("MAKEFLAGS", "").partition("-- ")
    names = [word.partition("=")[0] for word in words.split() if "=" in word]
    return [
        name for name in names if name not in NAMES and name not in OTHER_MAKE_VARIABLES and name.isupper()
    ]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _size(text: str) -> int | None:
    try:
        return parse_size(text)
    except ValueError:
        return None
