"""What is asked, and the plan that follows: a file of ``loadtests/questions``, or the words of ``make ab``.

A question says arms, what each part of the run is like in each profile, and what somebody claims. The plan
says the same with every number in it; only what the warm-up finds out (VUs, longer turns, the neighbours'
rate) comes after it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from grafana.colours import ARM_COLOURS
from loadtests.harness.order import turns_per_block
from loadtests.harness.records.base import Record
from loadtests.harness.records.plan import NOBODY, Arm, Part, PartKind, Plan
from loadtests.harness.strategies import Strategy
from loadtests.harness.words import ArmWords, ProfileName, Words, WordsError, parse_size, read_arm

QUESTIONS_FOLDER = Path(__file__).parents[1] / "questions"
AB = "ab"
NOBODY_COLOUR = "#6b7280"
# Of arms that share a strategy: told apart also by those who do not see red and green.
WASHOUT_S, WASHOUT_SHARE = 0.7, 0.25  # at most a quarter of a period
NEIGHBOUR_VUS = 40  # VUs that wait for arrivals; more than an open load of two cores ever has under way
DEFAULT_STRATEGY = "proxy-chunked"
# What a run takes beside its turns, measured on two cores; seconds.
PREPARING_S, CALIBRATION_S, REPORT_S, RELEASE_S = 6.0, 20.0, 6.0, 0.5
AUDIT_S, AUDIT_SHARE = 1.5, 0.16  # of one audit, and for each second of load: to judge, delete, lead in
MAKING_S = 8.0  # stacks made anew
LIKELY_BYTES_PER_S = 150e6  # of two cores, for the estimate of the disk
# What a VU takes in k6, and how often its file is in memory at most: k6 has it whole and in pieces, and twice
# that until its collector comes; another one may be on its way from us. Measured: 4.7 in k6 and 1 with us.
VU_BYTES, COPIES_OF_FILE = 1_300_000, 6
COPIES_ON_DISK, STRETCH_BYTES = 2, 500_000_000


GIB = 1024**3


class QuestionError(Exception):
    """The file cannot be used, or no plan follows; one line for each problem."""


Size = Annotated[int, BeforeValidator(lambda value: parse_size(str(value)))]
Disk = Annotated[int, BeforeValidator(lambda value: parse_size(str(value)))]


class Turns(Record):
    """Turns of one part; see the parts for how many."""

    period_s: float = Field(gt=0)


class Compare(Turns):
    """The main part: blocks until the spread is known, and how many there may be in all."""

    first_blocks: int = Field(ge=1)
    most_blocks: int = Field(ge=1)


class Saturation(Turns):
    """Each arm against itself with ``factor`` times the VUs."""

    blocks: int = Field(ge=1)
    factor: float = Field(gt=1)


class Levels(Turns):
    """Each arm at each number of VUs, once in a round."""

    rounds: int = Field(ge=1)
    vus: list[int] = Field(min_length=2)


class Neighbours(Turns):
    """Logins and lists per second beside nobody and beside each arm."""

    blocks: int = Field(ge=1)
    login_rate_per_s: float = Field(gt=0)
    list_rate_per_s: float = Field(gt=0)


class Sizes(Turns):
    """Each arm with each file size, once in a round. The VUs are fewer for large files: an upload must end
    within its turn."""

    rounds: int = Field(ge=1)
    file_sizes: dict[Size, int] = Field(min_length=1)  # VUs by file size


class StackMakings(Record):
    """Arms with stacks of their own: how often these are made at least, and the blocks of each making."""

    precision: float = Field(gt=0, lt=1)
    makings: int = Field(ge=2)
    blocks: int = Field(ge=1)


class Profile(Record):
    """One size of the run; a part that is absent is not run."""

    margin: float = Field(gt=0, lt=1)
    precision: float = Field(gt=0, lt=1)
    budget_s: float = Field(gt=0)
    disk: Disk
    vus: int = Field(ge=1)
    warm_up: Turns
    compare: Compare
    saturation: Saturation | None = None
    levels: Levels | None = None
    neighbours: Neighbours | None = None
    sizes: Sizes | None = None
    stacks: StackMakings | None = None


class Question(Record):
    """One question as its file holds it. ``arms`` are words by name, as behind ``A=`` and ``B=``."""

    name: str = ""
    question: str
    source: str | None = None
    claim: str | None = None
    expected: str | None = None
    arms: dict[str, str] = Field(min_length=2)
    seed: int
    file_size: Size
    profiles: dict[ProfileName, Profile]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take. ``seconds`` are those of its first stage, ``most_seconds`` with every block that
    the budget allows; ``bytes`` is the peak on the disk."""

    seconds: float
    most_seconds: float
    first_answer_s: float
    bytes: int


def load_question(name: str) -> Question:
    """Raises ``QuestionError`` listing every problem at once."""
    path = QUESTIONS_FOLDER / f"{name}.yaml"
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Question.model_validate({**content, "name": name})
    except FileNotFoundError:
        raise QuestionError(f"no question {name}; there are {', '.join(questions())}") from None
    except yaml.YAMLError as error:
        raise QuestionError(f"{path.name} is not YAML: {error}") from error
    except ValidationError as error:
        raise QuestionError("\n".join(_problem(path, found) for found in error.errors())) from error


def questions() -> list[str]:
    """Names of the prepared questions; that of ``make ab`` is not one."""
    return sorted(path.stem for path in QUESTIONS_FOLDER.glob("*.yaml") if path.stem != AB)


def _problem(path: Path, found: Any) -> str:
    key = ".".join(str(part) for part in found["loc"]) or "(whole file)"
    if found["type"] == "extra_forbidden":
        return f"{path.name}: {key}: this key is not known"
    if found["type"] == "missing":
        return f"{path.name}: {key}: missing"
    return f"{path.name}: {key}: {found['input']!r}: {found['msg']}"


def arms_of(question: Question, words: Words, strategies: Mapping[str, Strategy]) -> dict[str, ArmWords]:
    """The arms by name: those of the command line, else the question's. Raises ``WordsError``."""
    if words.arms:
        return dict(words.arms)
    if words.strategies:
        return {name: ArmWords(strategy=name, asked={"STRATEGY": name}) for name in words.strategies}
    problems: list[str] = []
    found = {name: read_arm(name, text, strategies, {}, problems) for name, text in question.arms.items()}
    if problems:
        raise WordsError(f"{question.name}.yaml: {problem}" for problem in problems)
    return found


def make_plan(
    run: str,
    question: Question,
    words: Words,
    strategies: Mapping[str, Strategy],
    *,
    own_stacks: bool = False,
) -> Plan:
    """The plan of a run. With ``own_stacks`` every arm has a stack of its own, of its own name.

    Raises ``WordsError`` and ``QuestionError``.
    """
    profile = question.profiles[words.profile]
    asked = arms_of(question, words, strategies)
    if len(asked) < 2:
        raise QuestionError("one arm has nothing to be compared with; name two strategies or more")
    vus = words.every.vus or profile.vus
    arms = tuple(
        _arm(
            name,
            own,
            words.every,
            question=question,
            vus=vus,
            strategies=strategies,
            stack=name if own_stacks else "",
        )
        for name, own in asked.items()
    )
    arms = _told_apart(arms)
    stacks = profile.stacks if own_stacks else None
    if own_stacks and stacks is None:
        raise QuestionError(f"{question.name}.yaml: {words.profile}: stacks: missing")
    precision = words.precision or (stacks.precision if stacks else profile.precision)
    parts = _parts(profile, arms, strategies, stacks)
    chosen = {arm.name: strategies[arm.strategy] for arm in arms if arm.strategy}
    pieces = {arm.name: chosen[arm.name].pieces(arm.file_size_bytes) for arm in arms}
    plan = Plan(
        run=run,
        question=question.name,
        asks=question.question,
        profile=words.profile,
        seed=question.seed if words.seed is None else words.seed,
        words=dict(words.given),
        arms=arms,
        parts=parts,
        margin=profile.margin,
        precision=precision,
        budget_s=words.budget_s or profile.budget_s,
        fail_on_loss=words.fail_on_loss,
        rtt_ms=words.every.rtt_ms or 0.0,
        bandwidth_mbit=words.every.bandwidth_mbit,
        disk_bytes=profile.disk,
        replicated=own_stacks,
        login_each=words.login_each,
        requests_per_upload={
            name: strategy.requests_per_flow(_size_of(arms, name)) for name, strategy in chosen.items()
        },
        statements_per_upload={
            name: float(sum(strategy.expected_statements(pieces[name]).values()))
            for name, strategy in chosen.items()
        },
        store_requests_per_upload={
            name: float(strategy.expected_store_requests(pieces[name])) for name, strategy in chosen.items()
        },
        source=question.source,
        claim=question.claim,
        expected=question.expected,
    )
    return within_budget(plan)


def within_budget(plan: Plan) -> Plan:
    """The plan with as many blocks of its comparison as the budget leaves room for.

    Raises ``QuestionError`` when not even the first stage fits.
    """
    least = estimate(plan)
    if plan.profile != "smoke" and least.seconds > plan.budget_s * 1.05:
        raise QuestionError(
            f"BUDGET_S={plan.budget_s:g} is too little: this takes about {math.ceil(least.seconds)} s"
        )
    main = next(part for part in plan.parts if part.kind is PartKind.COMPARE)
    step = main.blocks_per_making or 1
    each_s = _seconds_of(main, main.first_blocks + step) - _seconds_of(main, main.first_blocks)
    more = max(0, int((plan.budget_s - least.seconds) / each_s)) * step
    most = min(main.most_blocks, main.first_blocks + more)
    parts = tuple(
        part.model_copy(update={"most_blocks": most}) if part is main else part for part in plan.parts
    )
    return plan.model_copy(update={"parts": parts})


def estimate(plan: Plan) -> Estimate:
    """What the plan will take, before anything has been seen of it."""
    before_s = PREPARING_S + (CALIBRATION_S if plan.profile != "smoke" and "VUS" not in plan.words else 0.0)
    seconds = most = before_s
    first_answer_s = 0.0
    for part in plan.parts:
        seconds += _seconds_of(part, part.first_blocks)
        most += _seconds_of(part, part.most_blocks)
        if part.kind is PartKind.COMPARE:
            first_answer_s = seconds
    load_s = most - before_s
    likely = LIKELY_BYTES_PER_S * load_s
    disk = max(min(plan.disk_bytes, round(likely)), least_disk_bytes(plan))
    return Estimate(seconds + REPORT_S, most + REPORT_S, first_answer_s, disk)


def _seconds_of(part: Part, blocks: int) -> float:
    """Seconds of so many blocks of a part, audits and makings included."""
    played = blocks * turns_per_block(part) * part.period_s
    if part.kind is PartKind.SIZES:  # large files have longer turns
        played *= 1.5
    makings = math.ceil(blocks / part.blocks_per_making) if part.blocks_per_making else 0
    each = RELEASE_S + AUDIT_S
    return played * (1 + AUDIT_SHARE) + each * max(1, makings) + MAKING_S * makings


def memory_bytes(plan: Plan) -> int:
    """What the load generator holds at most at once: arms take turns, so the largest one counts."""
    arms = [arm for part in plan.parts for arm in part.arms]
    return max(arm.vus * (VU_BYTES + COPIES_OF_FILE * arm.file_size_bytes) for arm in arms)


def least_disk_bytes(plan: Plan) -> int:
    """What must fit on the disk even when the load pauses after every turn: the uploads under way at once,
    each in the spool and in the store, and what the shortest stretch writes."""
    arms = [arm for part in plan.parts for arm in part.arms]
    under_way = max(arm.vus * arm.file_size_bytes for arm in arms)
    return COPIES_ON_DISK * under_way + STRETCH_BYTES


def _arm(
    name: str,
    own: ArmWords,
    every: ArmWords,
    *,
    question: Question,
    vus: int,
    strategies: Mapping[str, Strategy],
    stack: str,
) -> Arm:
    chosen = own.strategy or every.strategy or DEFAULT_STRATEGY
    size = own.file_size_bytes or every.file_size_bytes or question.file_size
    strategy = strategies[chosen]
    return Arm(
        name=name,
        of=name,
        title=_title(name, strategy, own),
        colour=strategy.manifest.colour,
        strategy=chosen,
        file_size_bytes=size,
        piece_bytes=strategy.piece_bytes(size),
        vus=own.vus or vus,
        stack=name if own.target else stack,
        asked=dict(own.asked),
        target=own.target,
    )


def _title(name: str, strategy: Strategy, own: ArmWords) -> str:
    """An arm in words: of a question its strategy's title, of the command line what was typed."""
    if name not in ("A", "B"):
        return strategy.manifest.title
    if own.revision is not None:
        typed = {key: value for key, value in own.asked.items() if key != "REVISION"}
        return ", ".join([own.revision or "the working tree", *_typed(typed)])
    if own.target:
        return f"the system at {own.target}"
    return ", ".join(_typed(own.asked)) or "as it is"


def _typed(words: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in words.items()]


def _told_apart(arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
    """Arms of one strategy get colours of their own: a strategy's colour means that strategy."""
    if len({arm.colour for arm in arms}) == len(arms):
        return arms
    return tuple(
        arm.model_copy(update={"colour": ARM_COLOURS[at % len(ARM_COLOURS)]}) for at, arm in enumerate(arms)
    )


def _size_of(arms: Sequence[Arm], name: str) -> int:
    return next(arm.file_size_bytes for arm in arms if arm.name == name)


def _parts(
    profile: Profile, arms: tuple[Arm, ...], strategies: Mapping[str, Strategy], stacks: StackMakings | None
) -> tuple[Part, ...]:
    compare = profile.compare
    first, most, per_making = compare.first_blocks, compare.most_blocks, None
    if stacks:
        first, per_making = stacks.makings * stacks.blocks, stacks.blocks
        most = max(first, most - most % per_making)
    found = [
        _part(PartKind.WARM_UP, arms, profile.warm_up.period_s, 1),
        _part(PartKind.COMPARE, arms, compare.period_s, first, most, blocks_per_making=per_making),
    ]
    if more := profile.saturation:
        levels = [
            _level(arm, vus)
            for arm in arms
            for vus in (arm.vus, max(arm.vus + 1, round(arm.vus * more.factor)))
        ]
        found.append(_part(PartKind.SATURATION, levels, more.period_s, more.blocks))
    if ramp := profile.levels:
        levels = [_level(arm, vus) for vus in ramp.vus for arm in arms]
        found.append(_part(PartKind.LEVELS, levels, ramp.period_s, ramp.rounds))
    if beside := profile.neighbours:
        loads = [_nobody(arms[0]), *(arm.model_copy(update={"vus": NEIGHBOUR_VUS}) for arm in arms)]
        rates = {"login_rate_per_s": beside.login_rate_per_s, "list_rate_per_s": beside.list_rate_per_s}
        part = _part(PartKind.NEIGHBOURS, loads, beside.period_s, beside.blocks)
        found.append(part.model_copy(update=rates))
    if sizes := profile.sizes:
        loads = [_sized(arm, size, vus, strategies) for size, vus in sizes.file_sizes.items() for arm in arms]
        found.append(_part(PartKind.SIZES, loads, sizes.period_s, sizes.rounds))
    return tuple(found)


def _part(
    kind: PartKind, arms: Sequence[Arm], period_s: float, first: int, most: int | None = None, **more: Any
) -> Part:
    washout_s = min(WASHOUT_S, WASHOUT_SHARE * period_s)
    return Part(
        name=kind.value,
        kind=kind,
        arms=tuple(arms),
        period_s=period_s,
        washout_s=washout_s,
        first_blocks=first,
        most_blocks=first if most is None else most,
        **more,
    )


def _level(arm: Arm, vus: int) -> Arm:
    return arm.model_copy(update={"name": f"{arm.name} {vus} VU", "of": arm.name, "vus": vus})


def _sized(arm: Arm, size: int, vus: int, strategies: Mapping[str, Strategy]) -> Arm:
    piece = strategies[arm.strategy].piece_bytes(size) if arm.strategy else size
    return arm.model_copy(
        update={
            "name": f"{arm.name} {in_words(size)}",
            "of": arm.name,
            "vus": vus,
            "file_size_bytes": size,
            "piece_bytes": piece,
        }
    )


def in_words(size_bytes: int) -> str:
    """A file size as people write it: ``64 KiB``, ``1.5 MiB``."""
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:g} {name}"
    return f"{size_bytes} B"


def _nobody(like: Arm) -> Arm:
    return like.model_copy(
        update={
            "name": NOBODY,
            "of": NOBODY,
            "title": "nobody",
            "colour": NOBODY_COLOUR,
            "strategy": None,
            "vus": 0,
            "asked": {},
            "target": None,
        }
    )
