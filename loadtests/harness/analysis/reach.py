"""Which planned levels were really produced, and what became of every intent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.guards_measures import uploads_expected
from loadtests.harness.analysis.model_books import Failure, LedgerRow, LedgerView, Level, Reach
from loadtests.harness.records.model import LedgerClass, Question, Severity, Trial, TrialPlan, Warn

# Why a level was not reached, by the warning that says so; everything else is "guard-invalid".
REASONS = {
    "generator-limited": "generator-cpu",
    "generator-failed": "generator-failed",
    "offered-rate-missed": "offered-rate",
    "not-reached": "interrupted",
}


def reach(facts: Facts) -> Reach:
    groups: dict[tuple[Question, str, str], list[TrialPlan]] = {}
    for planned in facts.plan.trials:
        groups.setdefault((planned.question, planned.arm, planned.level), []).append(planned)
    done = {trial.plan.trial: trial for trial in facts.trials}
    levels = tuple(_level(facts, plans, done) for plans in groups.values())
    reached = sum(level.reached for level in levels)
    return Reach(planned=len(levels), reached=reached, levels=levels, text=_text(levels, reached))


def _level(facts: Facts, plans: Sequence[TrialPlan], done: dict[str, Trial]) -> Level:
    tried = [done[plan.trial] for plan in plans if plan.trial in done]
    whole = [trial for trial in tried if not trial.interrupted]
    valid = [trial for trial in whole if facts.is_valid(trial)]
    stops = [warn for t in whole for warn in facts.trial_warnings[t.plan.trial] if _stops(warn)]
    reached = len(valid) == len(plans)
    reason = None
    if not reached:
        reason = REASONS.get(stops[0].code, "guard-invalid") if stops else "interrupted"
    return Level(
        question=plans[0].question.value,
        arm=plans[0].arm,
        level=plans[0].level,
        planned=len(plans),
        attempted=len(tried),
        valid=len(valid),
        reached=reached,
        reason=reason,
        evidence=stops[0].message if stops else None,
    )


def _stops(warn: Warn) -> bool:
    return warn.severity is Severity.INVALID


def _text(levels: Sequence[Level], reached: int) -> str:
    text = f"levels reached: {reached} of {len(levels)}"
    missed = [level for level in levels if not level.reached]
    if not missed:
        return text
    first = missed[0]
    detail = f", {first.evidence}" if first.evidence else ""
    return f"{text}; first missed: {first.arm} at {first.level} ({first.question}), {first.reason}{detail}"


def ledger_view(facts: Facts) -> LedgerView:
    rows, by_arm = [], dict[str, Counter[str]]()
    for trial in filter(uploads_expected, facts.trials):
        table = facts.ledgers.get(trial.plan.trial)
        if table is None:
            continue
        counts = {**table.classes, **table.flags}
        by_arm.setdefault(trial.plan.arm, Counter()).update(counts)
        rows.append(
            LedgerRow(
                trial=trial.plan.trial,
                question=trial.plan.question.value,
                arm=trial.plan.arm,
                level=trial.plan.level,
                intents=table.intents,
                acks=table.acks,
                counts={name: counts[name] for name in sorted(counts, key=_class_order) if counts[name]},
                hashed=table.hashed,
                compared=table.compared,
                failed=table.failed,
            )
        )
    totals = sum(by_arm.values(), Counter[str]())
    return LedgerView(
        rows=tuple(rows),
        by_arm={arm: _ordered(counts) for arm, counts in sorted(by_arm.items())},
        totals=_ordered(totals),
        failed=any(row.failed for row in rows),
    )


def failures(facts: Facts) -> tuple[Failure, ...]:
    """Failed uploads by arm, step, status and code, the most frequent first."""
    counts = Counter(
        (s.strategy, s.failed_step or "cut off", s.failed_status, s.failed_code)
        for samples in facts.uploads.values()
        for s in samples
        if s.failed_at is not None
    )
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    return tuple(
        Failure(arm=arm, step=step, status=status, code=code, count=count)
        for (arm, step, status, code), count in ordered
    )


def _class_order(name: str) -> tuple[int, str]:
    classes = [str(kind) for kind in LedgerClass]
    return (classes.index(name) if name in classes[:2] else len(classes), name)


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts, key=_class_order) if counts[name]}
