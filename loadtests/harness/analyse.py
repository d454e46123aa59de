"""From what a run recorded to its ``Result``, sentences apart; equal bundles give equal results.

``analyse`` works on whatever is there, so that each answer can be given as soon as its part has ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from loadtests.harness.analysis.crowd import crowd
from loadtests.harness.analysis.decision import decision
from loadtests.harness.analysis.facts import Facts, Recorded, read_facts
from loadtests.harness.analysis.fleet import fleet
from loadtests.harness.analysis.ghosts import kills
from loadtests.harness.analysis.limits import limits
from loadtests.harness.analysis.offers import offers
from loadtests.harness.analysis.recovery import recoveries
from loadtests.harness.analysis.sizes import sizes
from loadtests.harness.analysis.timeline import timeline
from loadtests.harness.analysis.unusual import unusual
from loadtests.harness.checks.check import Answers
from loadtests.harness.comparison import blocks_to_run, compare, compare_so_far, rule_of, without_winner
from loadtests.harness.cost import prices
from loadtests.harness.knee import common_knee, knees
from loadtests.harness.latency import beside_uploads, neighbours
from loadtests.harness.periods import Samples
from loadtests.harness.records.plan import Part, PartKind
from loadtests.harness.records.result import (
    Beside,
    Comparison,
    Crowd,
    LedgerTotal,
    Offers,
    Result,
    Size,
    Sizes,
)
from loadtests.harness.records.samples import LedgerTable
from loadtests.harness.records.vocabulary import Validity
from loadtests.harness.validity import outcome, warnings_of

SIGNIFICANT_DIGITS = 6  # more would only be the noise of the last bit
_TIMES_FROM = 1e9  # seconds since the epoch stay as they are


def analyse(bundle: Recorded) -> Result:
    """Everything but ``headline`` and ``sentences``, which are made of this."""
    return analyse_facts(read_facts(bundle))


def blocks_needed(bundle: Recorded, part: Part) -> int:
    """Blocks in all that a part takes, asked after its first stage; only comparisons have a precision."""
    if part.kind is not PartKind.COMPARE:
        return part.first_blocks
    samples = Samples(bundle.uploads(), bundle.looks())
    return blocks_to_run(compare_so_far(bundle.plan(), part, bundle.stretches(), samples), part)


def analyse_facts(facts: Facts) -> Result:
    plan, manifest = facts.plan, facts.manifest
    compared, levels, beside, killed, fetched = map(
        facts.part,
        (PartKind.COMPARE, PartKind.LEVELS, PartKind.NEIGHBOURS, PartKind.KILL, PartKind.FLEET),
    )
    main = (
        compare(compared, compared.arms, facts.blocks[compared.name], rule_of(plan, compared))
        if compared
        else None
    )
    by_size = sizes(plan, facts.blocks, main)
    answers = Answers(
        comparisons=_comparisons(main, by_size),
        common_knee=common_knee(levels, facts.blocks[levels.name]) if levels else None,
        prices=prices(plan, facts.stretches, facts.counted, facts.periods),
    )
    warnings = warnings_of(facts, answers)
    found = outcome(facts, warnings, main)
    if invalid := found.validity is Validity.INVALID:
        main = without_winner(main) if main else None
        by_size = _sizes_without_winner(by_size) if by_size else None
    slow = _crowd(facts)
    result = Result(
        run=plan.run,
        question=plan.question,
        asks=plan.asks,
        point=plan.point,
        share_of=plan.share_of,
        asks_for=plan.asks_for,
        profile=plan.profile,
        validity=found.validity,
        exit_code=found.exit_code,
        exit_reason=found.reason,
        interrupted=manifest.interrupted,
        headline="",
        sentences=(),
        next_command=found.next_command,
        compare=main,
        knees=tuple(
            knee for part in facts.parts(PartKind.LEVELS) for knee in knees(part, facts.blocks[part.name])
        ),
        common_knee=answers.common_knee,
        neighbours=neighbours(beside, facts.stretches, facts.periods[beside.name], facts.steps, plan.seed)
        if beside
        else None,
        sizes=by_size,
        offers=_offers(facts),
        kills=kills(killed, facts.stretches, facts.uploads, facts.events, facts.ledgers) if killed else None,
        crowd=slow,
        fleet=fleet(plan.arms, fetched, facts.blocks[fetched.name], facts.stretches, facts.uploads)
        if fetched
        else None,
        prices=answers.prices,
        decision=None if invalid else decision(plan, main or slow, answers.prices),
        limits=limits(facts),
        ledger=ledger_of(facts.ledgers),
        timeline=timeline(facts),
        warnings=warnings,
        margin=plan.margin,
        precision=plan.precision,
        seconds=seconds(facts),
        conditions=_conditions(facts),
    )
    return Result.model_validate(_rounded(result.model_dump(mode="json")))


def _comparisons(main: Comparison | None, by_size: Sizes | None) -> tuple[Comparison, ...]:
    """The main one first, each once: it may stand among the sizes too."""
    every = [*([main] if main else []), *(size.comparison for size in (by_size.sizes if by_size else ()))]
    return tuple({one.id: one for one in every}.values())


def _sizes_without_winner(by_size: Sizes) -> Sizes:
    stripped = tuple(
        Size(file_size_bytes=size.file_size_bytes, comparison=without_winner(size.comparison))
        for size in by_size.sizes
    )
    return by_size.model_copy(update={"sizes": stripped, "crossovers": ()})


def _offers(facts: Facts) -> Offers | None:
    part = facts.part(PartKind.RATES)
    found = None if part is None else offers(part, facts.periods[part.name], facts.plan.seed)
    if part is None or found is None:
        return None
    return found.model_copy(update={"recoveries": recoveries(part, facts.stretches, facts.uploads)})


def _crowd(facts: Facts) -> Crowd | None:
    parts, beside = facts.parts(PartKind.CROWD), dict[str, Beside]()
    for part in parts:
        if part.login_rate_per_s or part.list_rate_per_s:
            periods = facts.periods[part.name]
            beside |= beside_uploads(part, facts.stretches, periods, facts.steps, facts.plan.seed)
    return crowd(facts.plan.arms, parts, facts.periods, beside)


def ledger_of(ledgers: Sequence[LedgerTable]) -> LedgerTotal:
    """The audits of a run added up."""
    classes, flags = Counter[str](), Counter[str]()
    by_arm: dict[str, Counter[str]] = {}
    files: dict[str, int] = {}
    for table in ledgers:
        classes.update(table.classes)
        flags.update(table.flags)
        for arm, counts in table.by_arm.items():
            by_arm.setdefault(arm, Counter()).update(counts)
        for user, counts in table.by_user.items():
            files[user] = files.get(user, 0) + counts.get("verified", 0)
    return LedgerTotal(
        intents=sum(table.intents for table in ledgers),
        acks=sum(table.acks for table in ledgers),
        classes=_nonzero(classes),
        by_arm={arm: _nonzero(counts) for arm, counts in sorted(by_arm.items())},
        flags=_nonzero(flags),
        users=len(files),
        users_without_file=sum(count == 0 for count in files.values()),
        hashed=sum(table.hashed for table in ledgers),
        compared=sum(table.compared for table in ledgers),
        offending=tuple(row for table in ledgers for row in table.offending),
        failed=any(table.failed for table in ledgers),
    )


def _nonzero(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts) if counts[name]}


def seconds(facts: Facts) -> dict[str, float]:
    """Of the run: under load by part, "preparing" before the first load, "audit", "making stacks"."""
    found = dict.fromkeys((part.name for part in facts.plan.parts if facts.periods.get(part.name)), 0.0)
    for stretch in facts.stretches:
        found[stretch.part] = found.get(stretch.part, 0.0) + stretch.ended_at - stretch.began_at
    if facts.stretches:
        found["preparing"] = facts.stretches[0].began_at - facts.manifest.started_at
    found["audit"] = _audit_s(facts)
    found["making stacks"] = sum(float(e.detail["took_s"]) for e in facts.events if e.kind == "renewed")
    return found


def _audit_s(facts: Facts) -> float:
    """An audit lasts until the next thing happens, the last one until the run's end."""
    ended_at = facts.manifest.ended_at
    ends = [event.at for event in facts.events[1:]] + ([] if ended_at is None else [ended_at])
    return sum(
        end - event.at for event, end in zip(facts.events, ends, strict=False) if event.kind == "audit"
    )


def _conditions(facts: Facts) -> dict[str, Any]:
    plan, manifest = facts.plan, facts.manifest
    return {
        "started_at": manifest.started_at,
        "ended_at": manifest.ended_at,
        "command": manifest.command,
        "git_revision": manifest.git_revision,
        "git_dirty": manifest.git_dirty,
        "revisions": manifest.revisions,
        "runtime": manifest.runtime,
        "host": manifest.host,
        "tools": manifest.tools,
        "words": plan.words,
        "rtt_ms": plan.rtt_ms,
        "bandwidth_mbit": plan.bandwidth_mbit,
        "verified_how": manifest.verified_how,
        "not_default": unusual(plan, manifest),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if abs(value) < _TIMES_FROM else value
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value
