"""The declarative file of an experiment, checked key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

EXPERIMENTS_FOLDER = Path(__file__).parents[2] / "experiments"


class ExperimentError(Exception):
    """The file cannot be used; one line for each problem: key, value, what was expected."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Part):
    """One complete configuration: a strategy, and settings by process that differ from the default.

    ``verdict`` says whether it takes part in this experiment's comparison, where that is not as the
    strategy's manifest says.
    """

    strategy: str
    verdict: bool | None = None
    environment: dict[str, dict[str, str]] = Field(default_factory=dict)


class Phases(_Part):
    """Seconds of warm-up and of the window that counts."""

    warmup_s: float = Field(ge=0)
    window_s: float = Field(gt=0)


class Ramp(Phases):
    """Steps of a closed loop, until the knee or the last level."""

    levels: list[int] = Field(min_length=2)


class Capacity(Phases):
    """The paired comparison. ``vus: auto`` is resolved from the ramp."""

    pairs: int = Field(ge=1)
    vus: int | Literal["auto"]
    control_pairs: int = Field(default=0, ge=0)  # A/A pairs of the first arm


class Saturation(_Part):
    """The proof that the script does not set the rate: more VUs, no more uploads.

    One trial of each arm goes to ``factor`` times the VUs and back, ``switches`` times, and holds each
    level for ``hold_s``.
    """

    factor: float = Field(gt=1)
    switches: int = Field(ge=2)
    warmup_s: float = Field(ge=0)
    hold_s: float = Field(ge=2)

    @property
    def load_s(self) -> float:
        return self.warmup_s + (2 * self.switches + 1) * self.hold_s


class Single(_Part):
    """Arms without a verdict, beside the pairs."""

    trials: int = Field(ge=1)


class Large(Phases):
    """One unpaired level with several chunks and parts."""

    file_size_bytes: int = Field(gt=0)
    vus: int = Field(ge=1)
    iterations: int | None = Field(default=None, ge=1)  # exact count instead of a window


class Neighbours(Phases):
    """Logins and lists as open arrivals, alone and beside uploads."""

    share: float = Field(gt=0, lt=1)  # of the slower arm's capacity
    rounds: int = Field(ge=1)
    login_rate_per_s: float = Field(gt=0)
    list_rate_per_s: float = Field(gt=0)


class Profile(_Part):
    """One size of the run. A part that is absent is not run."""

    margin: float = Field(gt=0, lt=1)
    file_size_bytes: int = Field(ge=64)
    settle_s: float = Field(gt=0)
    rest_s: float = Field(default=2.0, ge=0.5)  # store and databases are quiet for so long before a load
    read_back: int | Literal["all"]  # objects hashed per trial
    identities: int = Field(ge=1)
    calibrate: bool = False  # first measure what the load generator can do by itself
    ramp: Ramp | None = None
    capacity: Capacity
    saturation: Saturation | None = None
    single: Single | None = None
    large: Large | None = None
    neighbours: Neighbours | None = None


class Profiles(_Part):
    smoke: Profile
    ci: Profile
    full: Profile


class Experiment(_Part):
    """One experiment as declared."""

    id: str = Field(pattern=r"^EXP-\d{2}$")
    title: str
    question: str
    source: str
    arms: list[Arm] = Field(min_length=1)
    seed: int
    think_s: float = Field(ge=0)
    profiles: Profiles

    def profile(self, name: str) -> Profile:
        found: Profile = getattr(self.profiles, name)
        return found


def load_experiment(path: Path) -> Experiment:
    """Raises ``ExperimentError`` listing every problem at once."""
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(found.stem for found in EXPERIMENTS_FOLDER.glob("*.yaml")))
        raise ExperimentError(f"no experiment {path.stem}; known are {known}") from None
    except yaml.YAMLError as error:
        raise ExperimentError(f"{path.name} is not YAML: {error}") from error
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise ExperimentError("\n".join(_problem(path, found) for found in error.errors())) from error


def _problem(path: Path, found: Any) -> str:
    key = ".".join(str(part) for part in found["loc"]) or "(whole file)"
    if found["type"] == "extra_forbidden":
        return f"{path.name}: {key}: {found['input']!r}: this key is not known"
    if found["type"] == "missing":
        return f"{path.name}: {key}: missing"
    return f"{path.name}: {key}: {found['input']!r}: {found['msg']}"
