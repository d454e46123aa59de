"""A question as its file of ``loadtests/questions`` holds it: no code, and every mistake is named.

It says arms, the load they get, what each part of the run is like in each profile, what somebody claims and
what must be measured for the claim to hold. ``planning`` makes a plan of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from loadtests.harness import yaml_file
from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.records.base import Record, Size
from loadtests.harness.records.plan import Claim, Decides, ShareOf
from loadtests.harness.words import OF_LOAD, ProfileName, nearest, problems_of_load

QUESTIONS_FOLDER = Path(__file__).parents[1] / "questions"
AB = "ab"
# A question without profiles of its own has those of `make ab`, and five minutes in ci.
MOST_S: Mapping[str, float] = {"ci": 300.0}


class QuestionError(Exception):
    """The file cannot be used, or no plan follows; one line for each problem."""


def _typed(value: Any) -> Any:
    """A word's value as it would be typed: YAML makes numbers of some."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _text(value: Any, check: ValidatorFunctionWrapHandler) -> str:
    """YAML reads on, off, yes and no as truth values, which is never what was meant."""
    if isinstance(value, bool):
        raise ValueError("expected text; YAML takes on, off, yes and no for true and false unless quoted")
    found: str = check(value)
    return found


Share = Annotated[float, Field(gt=0, le=10)]
AtLeastOne = Annotated[int, Field(ge=1)]
Text = Annotated[str, WrapValidator(_text), Field(min_length=1)]
Typed = Annotated[str, WrapValidator(_text), BeforeValidator(_typed)]


class Turns(Record):
    """Turns of one part; see the parts for how many."""

    period_s: float = Field(gt=0)


class Compare(Turns):
    """The main part: blocks until the spread is known, and how many there may be in all."""

    first_blocks: int = Field(ge=1)
    most_blocks: int = Field(ge=1)


class Levels(Turns):
    """Each arm at each number of VUs, once in a round. Numbers are multiples of the comparison's VUs, the
    fewest first; between 1 and the next is the step that says whether more clients would help."""

    rounds: int = Field(ge=1)
    of_vus: list[Annotated[float, Field(gt=0)]] = Field(min_length=2)

    @model_validator(mode="after")
    def _around_the_comparison(self) -> Levels:
        if 1 not in self.of_vus or sorted(set(self.of_vus)) != self.of_vus:
            raise ValueError("of_vus: expected rising numbers, 1 among them: the VUs of the comparison")
        return self


class Beside(Turns):
    """Turns through which others log in and list their files, so many per second."""

    login_rate_per_s: float = Field(gt=0)
    list_rate_per_s: float = Field(gt=0)


class Neighbours(Beside):
    """Beside nobody and beside each arm."""

    blocks: int = Field(ge=1)


class Sizes(Turns):
    """Each arm with each file size, once in a round. The VUs are fewer for large files: an upload must end
    within its turn."""

    rounds: int = Field(ge=1)
    file_sizes: dict[Size, int] = Field(min_length=1)  # VUs by file size


class Rates(Turns):
    """Each arm at each offered rate, once in a round: arrivals that wait for nobody. Rates are shares of what
    the slowest arm did in the comparison; an arrival that finds ``in_flight`` others under way is dropped."""

    rounds: int = Field(ge=1)
    in_flight: int = Field(ge=1)
    of_capacity: list[Share] = Field(min_length=2)


class Kill(Turns):
    """Each arm, once in a round: its upload service is killed ``after_s`` into the turn, and the load goes
    on. Its stack starts the service again."""

    rounds: int = Field(ge=1)
    after_s: float = Field(gt=0)

    @model_validator(mode="after")
    def _in_mid_load(self) -> Kill:
        if self.after_s >= self.period_s:
            raise ValueError(f"expected after_s within the turn, below period_s ({self.period_s:g})")
        return self


class Crowd(Beside):
    """Each arm with so many clients at once, once in a round; numbers of clients one after another, the
    fewest first, because a process seldom gives memory back. A turn is as long as the line of each client
    asks for, where ``period_s`` is shorter."""

    clients: dict[AtLeastOne, AtLeastOne] = Field(min_length=2)  # rounds by clients at once


class Fleet(Turns):
    """Each arm with so many clients at once that download, once in a round. Every ``cut_every``-th download
    of a client ends when half of it should have come, and the rest is asked for by range."""

    rounds: int = Field(ge=1)
    clients: list[int] = Field(min_length=2)
    cut_every: int | None = Field(default=None, ge=2)


class StackMakings(Record):
    """Arms with stacks of their own: how often these are made at least, and the blocks of each making."""

    precision: float = Field(gt=0, lt=1)
    makings: int = Field(ge=2)
    blocks: int = Field(ge=1)


class Profile(Record):
    """One size of the run; a part that is absent is not run. Without a comparison there is a crowd or a
    fleet."""

    margin: float = Field(gt=0, lt=1)
    precision: float = Field(gt=0, lt=1)
    budget_s: float = Field(gt=0)
    disk: Size
    vus: int = Field(ge=1)
    warm_up: Turns
    compare: Compare | None = None
    levels: Levels | None = None
    neighbours: Neighbours | None = None
    sizes: Sizes | None = None
    rates: Rates | None = None
    kill: Kill | None = None
    crowd: Crowd | None = None
    fleet: Fleet | None = None
    stacks: StackMakings | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> Profile:
        if self.compare is None and self.crowd is None and self.fleet is None:
            raise ValueError("expected compare, crowd or fleet: without any of them nothing is asked")
        return self


class QuestionFile(Record):
    """One question as its file holds it.

    ``share_of`` is the process whose part in the processor time is asked for; without it the answer begins
    with which arm is faster. ``arms`` are words by name, as behind ``A=`` and ``B=``; ``load`` are words of
    the whole run, which the command line may change.
    """

    question: Text
    expected: Text | None = None
    share_of: ShareOf | None = None
    claims: tuple[Claim, ...] = ()
    arms: dict[Text, Typed] = Field(min_length=2)
    pairs: tuple[tuple[str, str], ...] = ()  # which arms are compared; none: each with each
    cores: int = Field(default=1, ge=1)  # with fewer there is nothing to see
    load: dict[str, Typed] = Field(default_factory=dict)
    profiles: dict[ProfileName, Profile]

    def members(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in QuestionFile.model_fields}


class Question(QuestionFile):
    """A question under its name. ``shared_profiles``: they are those of ``make ab``, made for two arms."""

    name: str
    shared_profiles: bool


def load_question(name: str) -> Question:
    """Raises ``QuestionError`` listing every problem at once."""
    content, path = _read(name), f"{name}.yaml"
    shared = "profiles" not in content and name != AB
    if shared:
        content["profiles"] = _shared_profiles()
    try:
        found = Question(name=name, shared_profiles=shared, **QuestionFile.model_validate(content).members())
    except ValidationError as error:
        raise QuestionError("\n".join(f"{path}: {one}" for one in yaml_file.problems(error))) from error
    if problems := list(_problems(found)):
        raise QuestionError("\n".join(f"{path}: {one}" for one in problems))
    return found


def questions() -> list[str]:
    """Names of the prepared questions; that of ``make ab`` is not one."""
    return sorted(path.stem for path in QUESTIONS_FOLDER.glob("*.yaml") if path.stem != AB)


def _read(name: str) -> dict[str, Any]:
    path = QUESTIONS_FOLDER / f"{name}.yaml"
    if name not in {*questions(), AB}:
        near = nearest(name, questions())
        raise QuestionError(f"no question {name}{near}; there are {', '.join(questions())}")
    try:
        content = yaml_file.parse(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise QuestionError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise QuestionError(f"{path.name}: expected keys such as question and arms, not {content!r}")
    return content


def _shared_profiles() -> dict[str, Any]:
    profiles: dict[str, dict[str, Any]] = _read(AB)["profiles"]
    return {
        name: profile | {"budget_s": min(profile["budget_s"], MOST_S.get(name, profile["budget_s"]))}
        for name, profile in profiles.items()
    }


def _problems(question: Question) -> Iterator[str]:
    """What only the whole file shows."""
    for name in question.load:
        if name not in OF_LOAD:
            near = nearest(name, OF_LOAD)
            yield f"load.{name}: no word for all arms{near}; expected one of {', '.join(OF_LOAD)}"
    yield from problems_of_load(question.load, load_strategies())
    decides = list(_decides(question))
    named = [(key, arm) for key, one in decides for arm in (one.arm, one.over) if arm is not None]
    named += [("pairs", arm) for pair in question.pairs for arm in pair]
    for key, arm in dict.fromkeys(named):
        if arm not in question.arms:
            near = nearest(arm, question.arms)
            yield f"{key}: {arm!r}: no such arm{near}; expected one of {', '.join(question.arms)}"
    for pair in question.pairs:
        if pair[0] == pair[1]:
            yield f"pairs: {pair[0]!r} with itself; expected two arms"
    profiles = question.profiles.values()
    rates = {rate for profile in profiles if profile.rates for rate in profile.rates.of_capacity}
    yield from _not_offered(decides, ("rate", "over_rate"), rates, "no part offers it", "rates")
    fleets = {clients for profile in profiles if profile.fleet for clients in profile.fleet.clients}
    yield from _not_offered(decides, ("clients", "over_clients"), fleets, "no fleet is so large", "a fleet")
    if not any(profile.crowd for profile in profiles):
        held = dict.fromkeys(key for key, one in decides if one.metric == "held_share")
        yield from (f"{key}: held_share: expected a profile with a crowd" for key in held)
    elif "BANDWIDTH_MBIT" not in question.load:
        yield "load.BANDWIDTH_MBIT: missing; a crowd is one of clients on slow lines"


def _decides(question: Question) -> Iterator[tuple[str, Decides]]:
    """All that claims rest on, by the key of the claim."""
    for at, claim in enumerate(question.claims):
        yield from ((f"claims.{at}.decides", one) for one in claim.decides)


def _not_offered(
    decides: Iterable[tuple[str, Decides]],
    names: Sequence[str],
    known: Collection[float],
    why: str,
    what: str,
) -> Iterator[str]:
    """Figures of these names that no profile has."""
    expected = ", ".join(f"{one:g}" for one in sorted(known)) or f"a profile with {what}"
    for key, one in decides:
        for name in names:
            value = getattr(one, name)
            if value is not None and value not in known:
                yield f"{key}.{name}: {value:g}: {why}; expected {expected}"
