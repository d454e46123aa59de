"""Whether a run may be believed: refused, or valid with what must be said beside it.

What was warned of while the run went on (foreign traffic, a clock that is off, lines of k6 that could not be
read) is in the bundle and counts like what the checks find. Repeated warnings are shown once, with how often.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loadtests.harness.analysis.facts import Facts
from loadtests.harness.checks.check import Answers
from loadtests.harness.checks.every import CHECKS
from loadtests.harness.checks.missing import NOT_MEASURED
from loadtests.harness.records.plan import PartKind, Plan
from loadtests.harness.records.result import Comparison
from loadtests.harness.records.samples import Warn
from loadtests.harness.records.vocabulary import Severity, Validity
from loadtests.harness.wording import listed, percent, ratio

EXIT_OK, EXIT_FAILED, EXIT_INVALID, EXIT_NOT_REACHED, EXIT_LOSS = 0, 1, 2, 3, 4
STRESS, AB = "proxy-or-direct", "ab"  # questions with a command of their own
# How precise the comparison is: no matter where the question's point is another.
OF_PRECISION = frozenset({"few-blocks", "not-precise"})
# What would help, by warning, the most important first; "again" is the run's own command with other words.
NEXT_COMMAND: tuple[tuple[str, str], ...] = (
    ("ledger-mismatch", "make ledger RUN={run}"),
    ("bytes-mismatch", "make ledger RUN={run}"),
    ("restart-during-run", "make logs"),
    ("generator-failed", "make doctor"),
    ("not-ended", "again"),
    ("missing-samples", "make doctor"),
    ("foreign-traffic", "make status"),
    ("all-failed", "make status"),
    (NOT_MEASURED, "make status"),
    ("generator-limited", "again VUS={half}"),
    ("memory-short", "again VUS={half}"),
    ("not-reached", "again"),
    ("rate-limited", "make up RATE_LIMIT=off"),
    ("few-blocks", "again {longer}"),
    ("not-saturated", "again VUS={double}"),
    ("not-precise", "again {longer}"),
    ("saturation-open", "again {longer}"),
    ("dirty-start", "again CLEAN=1"),
    ("noisy-host", "again"),
    ("disk-stalled", "again"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    validity: Validity
    exit_code: int
    reason: str
    next_command: str | None


def warnings_of(facts: Facts, answers: Answers) -> tuple[Warn, ...]:
    """Every warning about the run, the gravest first. What was warned of already is not found again."""
    known = {(warn.code, warn.metric) for warn in facts.recorded}
    precise = facts.plan.point is PartKind.COMPARE and facts.plan.profile != "smoke"
    unasked = frozenset[str]() if precise else OF_PRECISION
    found = [
        warn
        for check in CHECKS
        for warn in check(facts, answers)
        if (warn.code, warn.metric) not in known and warn.code not in unasked
    ]
    order = list(Severity)
    return tuple(sorted(once([*facts.recorded, *found]), key=lambda warn: -order.index(warn.severity)))


def once(warnings: Iterable[Warn]) -> list[Warn]:
    """Warnings of one code and metric as one: the gravest, with how many there were."""
    groups: dict[tuple[str, str | None], list[Warn]] = {}
    for warn in warnings:
        groups.setdefault((warn.code, warn.metric), []).append(warn)
    order = list(Severity)
    merged_warnings = []
    for same in groups.values():
        worst = max(same, key=lambda warn: order.index(warn.severity))
        more = len(same) - 1
        text = worst.message if not more else f"{worst.message} (and {more} more of this kind)"
        merged_warnings.append(worst.model_copy(update={"message": text}))
    return merged_warnings


def outcome(facts: Facts, warnings: Sequence[Warn], comparison: Comparison | None) -> Outcome:
    severities = {warn.severity for warn in warnings}
    invalid = next((warn for warn in warnings if warn.severity is Severity.INVALID), None)
    state = Validity.CAUTIONS if Severity.CAUTION in severities else Validity.VALID
    missed = _not_reached(facts, comparison, warnings)
    if invalid:
        state = Validity.INVALID
    if any(table.failed for table in facts.ledgers):
        code, reason = EXIT_FAILED, "the audit failed"
    elif invalid:
        code, reason = EXIT_INVALID, invalid.message
    elif missed:
        code, reason = EXIT_NOT_REACHED, missed
    elif lost := loss(facts.plan, comparison):
        code, reason = EXIT_LOSS, lost
    else:
        code, reason = EXIT_OK, "the audit passed"
    return Outcome(state, code, reason, next_command(facts, warnings))


def loss(plan: Plan, comparison: Comparison | None) -> str | None:
    """Where the last arm is shown to have lost more against the first than was allowed: the whole interval of
    its rate lies below, or that of its processor time above. None where it is not, or nobody asked."""
    if plan.fail_on_loss is None or comparison is None:
        return None
    allowed, base, arm = plan.fail_on_loss, plan.arms[0].name, plan.arms[-1].name
    found = []
    for one in comparison.ratios:
        low, high = one.ratio.low, one.ratio.high
        if (one.base, one.arm) != (base, arm) or low is None or high is None:
            continue
        if one.metric == "uploads_per_s" and high < 1 - allowed:
            found.append(f"{ratio(one.ratio)} times the uploads per second")
        if one.metric == "cpu_s_per_upload" and low > 1 + allowed:
            found.append(f"{ratio(one.ratio)} times the processor time per upload")
    return f"{arm} lost more than {percent(allowed)} against {base}: {listed(found)}" if found else None


def next_command(facts: Facts, warnings: Iterable[Warn]) -> str | None:
    """The one command that would help most; None where none is known."""
    codes = {warn.code for warn in warnings if warn.severity is not Severity.INFO}
    vus = max((arm.vus for arm in facts.plan.arms), default=0) or 8
    template = next((command for code, command in NEXT_COMMAND if code in codes), None)
    ended = facts.manifest.ended_at is not None and not facts.manifest.interrupted
    if facts.plan.profile == "smoke" and ended and template in {None, "again"}:
        template = "again {longer}"
    if template is None:
        return None
    command = template.format(
        half=max(1, vus // 2), double=2 * vus, run=facts.plan.run, longer=_longer(facts.plan)
    )
    verb, *changed = command.split()
    return again(facts.plan, dict(word.split("=", 1) for word in changed)) if verb == "again" else command


def _longer(plan: Plan) -> str:
    """The word that makes a run measure longer."""
    return {"smoke": "PROFILE=ci", "ci": "PROFILE=full", "full": f"BUDGET_S={2 * plan.budget_s:g}"}[
        plan.profile
    ]


def again(plan: Plan, changed: Mapping[str, str]) -> str:
    """The command that the run was started by, with some words changed."""
    asks = {STRESS: "make stress", AB: "make ab"}.get(plan.question, f"make ask Q={plan.question}")
    words = {**plan.words, **changed}
    return " ".join((asks, *(f"{name}={_quoted(value)}" for name, value in words.items())))


def _quoted(value: str) -> str:
    return f'"{value}"' if set(value) & set(" =") else value


def _not_reached(facts: Facts, comparison: Comparison | None, warnings: Iterable[Warn]) -> str | None:
    if facts.manifest.interrupted:
        return "the run was interrupted"
    if facts.manifest.ended_at is None:
        return "the run was cut off before its end"
    if vain := next((warn for warn in warnings if warn.code == NOT_MEASURED), None):
        return vain.message
    planned = any(part.kind is PartKind.COMPARE for part in facts.plan.parts)
    if facts.plan.profile == "smoke" or not planned:
        return None
    return "the comparison did not run" if comparison is None or not comparison.blocks else None
