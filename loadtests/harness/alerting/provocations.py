"""Which alert is provoked by what, checked key by key, and the alert rules it is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from loadtests.harness import yaml_file
from loadtests.harness.records.base import Record

FILE = Path(__file__).with_name("provocations.yaml")
Provocation = Literal[
    "process-paused", "refused-logins", "database-paused", "table-locked", "many-hashes", "crowded-gateway",
    "no-redis", "writes-blocked",
]  # fmt: skip
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


class ProvocationsError(Exception):
    """The file cannot be used; one line for each problem."""


class Profile(Record):
    """One size of the run."""

    divide_for_by: int = Field(ge=1)
    control_s: float = Field(gt=0)
    provoked: dict[str, Provocation]  # by alert


class Provocations(Record):
    """The file as declared."""

    profiles: dict[str, Profile]


@dataclass(frozen=True, slots=True)
class Rules:
    """The alert rules as they will be loaded, with `for` divided; ``for_s`` and conditions by alert."""

    text: str
    for_s: dict[str, float]
    conditions: dict[str, str]

    def threshold(self, alert: str) -> tuple[str, float] | None:
        """What is compared, and above which value the alert is due; nothing where it is said otherwise."""
        match = re.fullmatch(r"(.+?)\s*>\s*([0-9.e+-]+)", self.conditions[alert].strip(), re.DOTALL)
        return (match[1], float(match[2])) if match else None


def load_provocations(profile: str, path: Path = FILE) -> Profile:
    """Raises ``ProvocationsError`` with every problem."""
    try:
        found = Provocations.model_validate(yaml_file.parse(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        lines = (f"{path.name}: {one}" for one in yaml_file.problems(error))
        raise ProvocationsError("\n".join(lines)) from error
    if profile not in found.profiles:
        known = ", ".join(found.profiles)
        raise ProvocationsError(f"PROFILE={profile!r}: {path.stem} has {known}")
    return found.profiles[profile]


def load_rules(path: Path, divide_for_by: int) -> Rules:
    """The alert rules of a file, waiting a fraction of their time."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    for_s, conditions = {}, {}
    for rule in (rule for group in content["groups"] for rule in group["rules"]):
        for_s[rule["alert"]] = seconds_of(rule["for"]) / divide_for_by
        conditions[rule["alert"]] = rule["expr"]
        rule["for"] = f"{round(for_s[rule['alert']] * 1000)}ms"
    return Rules(yaml.safe_dump(content, sort_keys=False), for_s, conditions)


def seconds_of(duration: str) -> float:
    """A duration as Prometheus writes it. Raises ``ProvocationsError``."""
    match = re.fullmatch(r"(\d+)([smh])", duration)
    if match is None:
        raise ProvocationsError(f"duration {duration!r}: expected a number with s, m or h")
    return int(match[1]) * _UNITS_S[match[2]]


def check(profile: Profile, rules: Rules) -> None:
    """Raises ``ProvocationsError`` when an alert is not in the rules."""
    unknown = sorted(set(profile.provoked) - set(rules.for_s))
    if unknown:
        raise ProvocationsError(f"no rule {', '.join(unknown)}; there are {', '.join(rules.for_s)}")
