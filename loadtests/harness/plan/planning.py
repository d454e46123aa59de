"""From a question and the words of a command to the plan of a run, with what it will take.

A plan has every number in it; only what the warm-up finds out (VUs, longer turns, the neighbours' rate) comes
after it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.harness.clients.strategies import Strategy
from loadtests.harness.order import turns_per_block
from loadtests.harness.plan.arms import arms_of, at_level, at_rate, nobody, of_size, with_kill
from loadtests.harness.plan.places import common_link, needs_stacks
from loadtests.harness.plan.warm_up import UPLOADS_PER_TURN
from loadtests.harness.question import AB, Crowd, Fleet, Profile, Question, QuestionError, StackMakings
from loadtests.harness.records.plan import Arm, Delivery, Part, PartKind, Plan
from loadtests.harness.records.ways import Way
from loadtests.harness.testbeds.network import Link
from loadtests.harness.words import Words

WASHOUT_S, WASHOUT_SHARE = 0.7, 0.25  # at most a quarter of a period
DEFAULT_SEED = 7
NEIGHBOUR_VUS = 40  # VUs that wait for arrivals; more than an open load of two cores ever has under way
FLEET_WASHOUT_SHARE = 1 / 3  # of a turn: what a larger fleet left under way ends in it
# Over a line of its own: one upload of the turn before must end, a little later than the line alone allows;
# then most of one counts, which suffices, as uploads count by shares.
UPLOADS_PER_SLOW_WASHOUT, UPLOADS_PER_SLOW_TURN = 1.1, 1.75
# What a run takes beside its turns, measured on two cores; seconds.
PREPARING_S, REPORT_S, RELEASE_S = 6.0, 6.0, 0.5
CALIBRATION_S = 6.7  # of each arm
AUDIT_S, AUDIT_SHARE = 1.5, 0.16  # of one audit, and for each second of load: to judge, delete, lead in
MAKING_S = 4.0  # of each stack that is made anew
SETTLING_S = 10.0  # after kills: an upload that nobody goes on with is given up only then
FEWEST_BLOCKS = 6  # below which nothing is shown
# Of two cores: how much they store, for the estimate of the disk, and how fast, for that of long turns.
LIKELY_BYTES_PER_S, LIKELY_UPLOADS_PER_S = 150e6, 120.0
# What a VU takes in k6, and how often its file is in memory at most: k6 has it whole and in pieces, and twice
# that until its collector comes; another one may be on its way from us. Measured: 4.7 in k6 and 1 with us.
VU_BYTES, COPIES_OF_FILE = 1_300_000, 6
COPIES_ON_DISK, STRETCH_BYTES = 2, 500_000_000
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take. ``seconds`` are those of its first stage, ``most_seconds`` with every block that
    the budget allows; ``bytes`` is the peak on the disk."""

    seconds: float
    most_seconds: float
    bytes: int


def make_plan(run: str, question: Question, words: Words, strategies: Mapping[str, Strategy]) -> Plan:
    """The plan of a run. Raises ``QuestionError``."""
    profile, own_stacks = question.profiles[words.profile], needs_stacks(words)
    says_vus = any(own.vus is not None for own in (words.every, *words.arms.values()))
    if len(words.arms) < 2:
        raise QuestionError("one arm has nothing to be compared with; name two strategies or more")
    arms = arms_of(words, words.every.vus or profile.vus, strategies)
    stacks = profile.stacks if own_stacks else None
    if own_stacks and stacks is None and profile.compare:
        raise QuestionError(f"{question.name}.yaml: profiles.{words.profile}.stacks: missing")
    if profile.kill:
        _refuse_to_kill_others(arms)
    if profile.fleet:
        arms = _of_a_fleet(profile.fleet, arms)
    link = common_link(words) or Link()
    parts = _parts(profile, arms, strategies, stacks)
    if profile.crowd:
        parts += tuple(_crowd(profile.crowd, arms, link))
    plan = Plan(
        run=run,
        question=question.name,
        asks=question.question,
        profile=words.profile,
        seed=DEFAULT_SEED if words.seed is None else words.seed,
        words=dict(words.given),
        arms=arms,
        parts=parts,
        margin=profile.margin,
        precision=words.precision or (stacks.precision if stacks else profile.precision),
        budget_s=words.budget_s or profile.budget_s,
        fail_on_loss=words.fail_on_loss,
        rtt_ms=link.rtt_ms,
        bandwidth_mbit=link.bandwidth_mbit,
        disk_bytes=profile.disk,
        replicated=own_stacks,
        login_each=words.login_each,
        calibrates=words.profile != "smoke" and not says_vus,
        pairs=tuple(pair for pair in question.pairs if set(pair) <= words.arms.keys()),
        **_expected(arms, strategies),
        claims=question.claims,
        expected=question.expected,
        share_of=question.share_of,
        asks_for=question.asks_for,
        ways=_ways(arms, strategies, asked_for=words.prices is not None),
        prices=words.prices,
    )
    return within_budget(_fewer_blocks(plan) if question.shared_profiles or question.name == AB else plan)


def _refuse_to_kill_others(arms: Sequence[Arm]) -> None:
    """Raises ``QuestionError`` for arms whose processes this run does not start itself."""
    if others := [arm.name for arm in arms if not arm.stack or arm.target]:
        raise QuestionError(
            f"{', '.join(others)}: kill ends processes of stacks that the run starts itself, never those of "
            "a running testbed or of another implementation; expected arms with settings of their own"
        )


def _of_a_fleet(fleet: Fleet, arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """The arms with their cuts. Raises ``QuestionError`` for arms that upload."""
    if others := [arm.name for arm in arms if arm.download is None]:
        raise QuestionError(
            f"{', '.join(others)}: a fleet downloads; expected arms with DOWNLOAD=proxied, presigned or batch"
        )
    return tuple(arm.model_copy(update={"cut_every": fleet.cut_every}) for arm in arms)


def _expected(arms: Sequence[Arm], strategies: Mapping[str, Strategy]) -> dict[str, dict[str, Any]]:
    """What an upload or a download of each arm is expected to ask for. Of some things nobody can say: reads
    after an upload may be answered from a cache, and downloads that are cut ask a second time or not."""
    known = {arm.name: _asked_for(arm, strategies[arm.strategy]) for arm in arms if arm.strategy}
    return {
        "requests_per_upload": {name: asked.requests for name, asked in known.items()},
        "statements_per_upload": {
            name: asked.statements for name, asked in known.items() if asked.statements is not None
        },
        "store_requests_per_upload": {
            name: asked.store_requests for name, asked in known.items() if asked.store_requests is not None
        },
    }


@dataclass(frozen=True, slots=True)
class _Asked:
    """For one file: requests of the client, SQL statements, and the services' requests to the store."""

    requests: float
    statements: float | None
    store_requests: float | None


def _asked_for(arm: Arm, strategy: Strategy) -> _Asked:
    if arm.download is not None:
        return _asked_for_download(arm, arm.download)
    pieces = strategy.pieces(arm.file_size_bytes)
    return _Asked(
        requests=strategy.requests_per_flow(arm.file_size_bytes) / arm.files + arm.reads,
        statements=None if arm.reads else float(sum(strategy.expected_statements(pieces).values())),
        store_requests=float(strategy.expected_store_requests(pieces)),
    )


def _asked_for_download(arm: Arm, how: Delivery) -> _Asked:
    """One statement finds a file, or several that are asked for together; who signs an address does not ask
    the store."""
    requests, statements, store = {
        "proxied": (1.0, 1.0, 1.0),
        "presigned": (2.0, 1.0, 0.0),
        "batch": (1 + 1 / arm.files, 1 / arm.files, 0.0),
    }[how]
    if arm.cut_every is not None:
        return _Asked(requests + 1 / arm.cut_every, None, None)
    return _Asked(requests, statements, store)


def _ways(arms: Sequence[Arm], strategies: Mapping[str, Strategy], *, asked_for: bool) -> tuple[Way, ...]:
    """The arms as ways to choose from: where they differ in their strategy, or somebody has named prices.
    What another implementation asks of its store is not known, and a download is no way to upload."""
    chosen = [
        (arm, strategies[arm.strategy])
        for arm in arms
        if arm.strategy and arm.target is None and arm.download is None
    ]
    if not asked_for and len({strategy.name for _, strategy in chosen}) < 2:
        return ()
    return tuple(
        Way(
            arm=arm.name,
            strategy=strategy.name,
            title=strategy.manifest.title,
            client_store_requests=strategy.client_store_requests(arm.file_size_bytes),
            abilities=strategy.manifest.abilities,
        )
        for arm, strategy in chosen
    )


def _parts(
    profile: Profile, arms: tuple[Arm, ...], strategies: Mapping[str, Strategy], stacks: StackMakings | None
) -> tuple[Part, ...]:
    found = [_part(PartKind.WARM_UP, arms, profile.warm_up.period_s, 1)]
    if compare := profile.compare:
        first, most, per_making = compare.first_blocks, compare.most_blocks, None
        if stacks:
            first, per_making = stacks.makings * stacks.blocks, stacks.blocks
            most = max(first, most - most % per_making)
        found.append(
            _part(PartKind.COMPARE, arms, compare.period_s, first, most, blocks_per_making=per_making)
        )
    if more := profile.levels:
        compared = max(arm.vus for arm in arms)
        numbers = dict.fromkeys(max(1, round(compared * times)) for times in more.of_vus)
        levels = [at_level(arm, vus) for vus in numbers for arm in arms]
        found.append(_part(PartKind.LEVELS, levels, more.period_s, more.rounds))
    if beside := profile.neighbours:
        loads = [nobody(arms[0]), *(arm.model_copy(update={"vus": NEIGHBOUR_VUS}) for arm in arms)]
        part = _part(
            PartKind.NEIGHBOURS, loads, beside.period_s, beside.blocks,
            login_rate_per_s=beside.login_rate_per_s, list_rate_per_s=beside.list_rate_per_s,
        )  # fmt: skip
        found.append(part)
    if offered := profile.rates:
        loads = [at_rate(arm, share, offered.in_flight) for share in offered.of_capacity for arm in arms]
        # What a rate above capacity leaves behind must be over before the next one counts.
        washout_s = offered.period_s / 2
        found.append(_part(PartKind.RATES, loads, offered.period_s, offered.rounds, washout_s=washout_s))
    if sizes := profile.sizes:
        loads = [
            of_size(arm, size, vus, strategies) for size, vus in sizes.file_sizes.items() for arm in arms
        ]
        found.append(_part(PartKind.SIZES, loads, sizes.period_s, sizes.rounds))
    if kill := profile.kill:
        loads = [with_kill(arm) for arm in arms]
        found.append(_part(PartKind.KILL, loads, kill.period_s, kill.rounds, kill_after_s=kill.after_s))
    if fleet := profile.fleet:
        levels = [at_level(arm, vus) for vus in fleet.clients for arm in arms]
        washout_s = FLEET_WASHOUT_SHARE * fleet.period_s
        found.append(_part(PartKind.FLEET, levels, fleet.period_s, fleet.rounds, washout_s=washout_s))
    return tuple(found)


def _crowd(crowd: Crowd, arms: Sequence[Arm], link: Link) -> Iterator[Part]:
    """A part for each number of clients, the fewest first. What the turn before left under way ends in the
    washout; clients begin one after another, as no two people begin at once."""
    longest_s = max(link.transfer_s(arm.file_size_bytes) for arm in arms)
    period_s = max(crowd.period_s, round(UPLOADS_PER_SLOW_TURN * longest_s, 1))
    for vus, rounds in sorted(crowd.clients.items()):
        yield _part(
            PartKind.CROWD,
            [at_level(arm, vus) for arm in arms],
            period_s,
            rounds,
            name=f"{PartKind.CROWD.value}-{vus}",
            washout_s=max(washout_of(period_s), round(UPLOADS_PER_SLOW_WASHOUT * longest_s, 1)),
            login_rate_per_s=crowd.login_rate_per_s,
            list_rate_per_s=crowd.list_rate_per_s,
            spread_s=longest_s,
        )


def _part(
    kind: PartKind, arms: Sequence[Arm], period_s: float, first: int, most: int | None = None, **more: Any
) -> Part:
    usual = {"name": kind.value, "washout_s": washout_of(period_s)}
    return Part(
        kind=kind,
        arms=tuple(arms),
        period_s=period_s,
        first_blocks=first,
        most_blocks=first if most is None else most,
        **(usual | more),
    )


def washout_of(period_s: float) -> float:
    return min(WASHOUT_S, WASHOUT_SHARE * period_s)


def _fewer_blocks(plan: Plan) -> Plan:
    """Profiles made for two arms and short turns, for more and longer ones: fewer blocks, as far as something
    can be shown."""
    main = next(part for part in plan.parts if part.kind is PartKind.COMPARE)
    made = [plan]
    if main.blocks_per_making:
        makings = main.first_blocks // main.blocks_per_making
        fewer = [(makings * each, each) for each in range(main.blocks_per_making - 1, 0, -1)]
        made += [plan.with_part(_with_blocks(main, first, each)) for first, each in fewer]
    else:
        firsts = range(main.first_blocks - 1, FEWEST_BLOCKS - 1, -1)
        made += [plan.with_part(_with_blocks(main, first, None)) for first in firsts]
    return next((one for one in made if estimate(one).seconds <= plan.budget_s), made[-1])


def _with_blocks(part: Part, first: int, each: int | None) -> Part:
    most = max(first, part.most_blocks - part.most_blocks % (each or 1))
    return part.model_copy(update={"first_blocks": first, "most_blocks": most, "blocks_per_making": each})


def within_budget(plan: Plan) -> Plan:
    """The plan with as many blocks of its comparison as the budget leaves room for.

    Raises ``QuestionError`` when not even the first stage fits. Turns that many clients make long on two
    cores are no reason: elsewhere they may be short.
    """
    least, shortest = estimate(plan), estimate(plan, long_turns=False)
    if plan.profile != "smoke" and shortest.seconds > plan.budget_s * 1.05:
        raise QuestionError(
            f"BUDGET_S={plan.budget_s:g} is too little: this takes about {math.ceil(least.seconds)} s"
        )
    main = next((part for part in plan.parts if part.kind is PartKind.COMPARE), None)
    if main is None:
        return plan
    step = main.blocks_per_making or 1
    stacks = len({arm.stack for arm in plan.arms})
    turned = main if plan.calibrates else _with_long_turns(main)
    each_s = _seconds_of(turned, main.first_blocks + step, stacks) - _seconds_of(
        turned, main.first_blocks, stacks
    )
    more = max(0, int((plan.budget_s - least.seconds) / each_s)) * step
    most = min(main.most_blocks, main.first_blocks + more)
    return plan.with_part(main.model_copy(update={"most_blocks": most}))


def estimate(plan: Plan, *, long_turns: bool = True) -> Estimate:
    """What the plan will take, before anything has been seen of it. With ``long_turns`` it is believed that
    many clients make uploads slow."""
    before_s = PREPARING_S + (CALIBRATION_S * len(plan.arms) if plan.calibrates else 0.0)
    stacks = len({arm.stack for arm in plan.arms})
    seconds = most = before_s
    for part in plan.parts:
        turned = _with_long_turns(part) if long_turns and not plan.calibrates else part
        seconds += _seconds_of(turned, part.first_blocks, stacks)
        most += _seconds_of(turned, part.most_blocks, stacks)
    load_s = most - before_s
    likely = LIKELY_BYTES_PER_S * load_s
    disk = max(min(plan.disk_bytes, round(likely)), least_disk_bytes(plan))
    return Estimate(seconds + REPORT_S, most + REPORT_S, disk)


def _with_long_turns(part: Part) -> Part:
    """The part as the warm-up will leave it where many clients make uploads slow: a turn holds several."""
    if part.kind is not PartKind.COMPARE:
        return part
    rates = (min(LIKELY_UPLOADS_PER_S, LIKELY_BYTES_PER_S / max(1, a.file_size_bytes)) for a in part.arms)
    slowest_s = max(arm.vus * arm.files / rate for arm, rate in zip(part.arms, rates, strict=True))
    return part.model_copy(update={"period_s": max(part.period_s, UPLOADS_PER_TURN * slowest_s)})


def _seconds_of(part: Part, blocks: int, stacks: int) -> float:
    """Seconds of so many blocks of a part, audits and makings of all stacks included."""
    played = blocks * turns_per_block(part) * part.period_s
    if part.kind is PartKind.SIZES:  # large files have longer turns
        played *= 1.5
    makings = math.ceil(blocks / part.blocks_per_making) if part.blocks_per_making else 0
    each = RELEASE_S + AUDIT_S
    if part.kind is PartKind.KILL:  # each turn is released by itself
        each += SETTLING_S + RELEASE_S * blocks * turns_per_block(part)
    return played * (1 + AUDIT_SHARE) + each * max(1, makings) + MAKING_S * stacks * makings


def memory_bytes(plan: Plan) -> int:
    """What the load generator holds at most at once: arms take turns, so the largest one counts."""
    arms = [arm for part in plan.parts for arm in part.arms]
    return max(arm.vus * (VU_BYTES + COPIES_OF_FILE * arm.files * arm.file_size_bytes) for arm in arms)


def least_disk_bytes(plan: Plan) -> int:
    """What must fit on the disk even when the load pauses after every turn: the uploads under way at once,
    each in the spool and in the store, and what the shortest stretch writes."""
    arms = [arm for part in plan.parts for arm in part.arms]
    under_way = max(arm.vus * arm.files * arm.stored_bytes for arm in arms)
    return COPIES_ON_DISK * under_way + STRETCH_BYTES
