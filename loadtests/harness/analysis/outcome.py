"""Validity, exit code and the one command that would help next: decided before any verdict is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.harness.analysis import words
from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.guards_trial import validity
from loadtests.harness.analysis.model import Capacity, Sentence
from loadtests.harness.analysis.model_books import LedgerView
from loadtests.harness.records.model import Question, Severity, Validity, Warn

EXIT_OK, EXIT_FAILED, EXIT_INVALID, EXIT_NOT_REACHED = 0, 1, 2, 3
# The warning that matters most first; {half}, {double} are VUs of the comparison, {run} the run's id.
NEXT_COMMAND: tuple[tuple[str, str], ...] = (
    ("ledger-mismatch", "make ledger RUN={run}"),
    ("bytes-mismatch", "make ledger RUN={run}"),
    ("restart-during-run", "make logs"),
    ("generator-failed", "make doctor"),
    ("missing-samples", "make doctor"),
    ("config-differs", "make down up stress"),
    ("think-time-differs", "make stress"),
    ("order-not-interleaved", "make stress"),
    ("payload-not-unique", "make stress"),
    ("generator-limited", "make stress VUS={half}"),
    ("client-work", "make stress VUS={half}"),
    ("offered-rate-missed", "make stress VUS={half}"),
    ("label-mismatch", "make stress PROFILE=full"),
    ("little-mismatch", "make stress PROFILE=full"),
    ("aa-failed", "make doctor"),
    ("not-reached", "make stress"),
    ("script-set-rate", "make stress"),
    ("few-pairs", "make stress PROFILE=ci"),
    ("not-saturated", "make stress VUS={double}"),
    ("dirty-start", "make stress CLEAN=1"),
    ("noisy-host", "make stress"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    validity: Validity
    exit_code: int
    reason: str
    next_command: str | None
    sentences: tuple[Sentence, ...]  # what must be said before any answer


def judge_outcome(
    facts: Facts, warnings: Sequence[Warn], capacity: Capacity | None, books: LedgerView
) -> Outcome:
    deciding = deciding_warnings(facts, warnings)
    state = validity(deciding)
    invalid = first_of([warn for warn in deciding if warn.severity is Severity.INVALID])
    missed = _not_reached(facts, capacity)
    if books.failed:
        code, reason = EXIT_FAILED, "the ledger of at least one trial failed"
    elif state is Validity.INVALID:
        code, reason = EXIT_INVALID, invalid.message if invalid else "the run is invalid"
    elif missed:
        code, reason = EXIT_NOT_REACHED, missed
    else:
        code, reason = EXIT_OK, "the audit of every trial passed"
    worst = first_of([warn for warn in deciding if warn.severity is not Severity.INFO])
    unproven = next(
        (warn for warn in deciding if warn.code == "not-saturated" and warn.value is not None), None
    )
    command = next_command(facts, invalid or unproven or worst)
    return Outcome(state, code, reason, command, _opening(facts, invalid, missed, command))


def deciding_warnings(facts: Facts, warnings: Sequence[Warn]) -> tuple[Warn, ...]:
    """Warnings that bear on the answers. An invalid step of a ramp only ends the ramp: it is reach.

    A trial that was cut off enters no answer, so its warnings void none; a lost upload always counts.
    """
    plans = {trial.plan.trial: trial for trial in facts.trials}
    kept = []
    for warn in warnings:
        trial = plans.get(warn.trial) if warn.trial else None
        aside = trial is not None and (trial.interrupted or trial.plan.question is Question.RAMP)
        if not aside or warn.code in ("ledger-mismatch", "bytes-mismatch"):
            kept.append(warn)
    return tuple(kept)


def first_of(warnings: Sequence[Warn]) -> Warn | None:
    """The warning to act on: by severity of its consequence, then in the order found."""
    order = [code for code, _ in NEXT_COMMAND]
    return min(
        warnings, key=lambda warn: order.index(warn.code) if warn.code in order else len(order), default=None
    )


def next_command(facts: Facts, warn: Warn | None) -> str | None:
    if warn is None:
        return None
    template = dict(NEXT_COMMAND).get(warn.code)
    if template is None:
        return None
    levels = [trial.plan.load.vus for trial in facts.of(Question.CAPACITY) if trial.plan.load.vus]
    vus = max(levels, default=8)
    return template.format(half=max(1, vus // 2), double=2 * vus, run=facts.manifest.run)


def _not_reached(facts: Facts, capacity: Capacity | None) -> str | None:
    """Why the level that decides was not reached. ``smoke`` decides nothing, so it reaches it always."""
    if facts.manifest.interrupted:
        return "the run was interrupted"
    planned = {plan.arm for plan in facts.plan.trials if plan.question is Question.CAPACITY}
    if facts.plan.profile == "smoke" or len(planned) < 2:
        return None
    if capacity is None or not capacity.ratios:
        return "the comparison did not run"
    return next((ratio.refused for ratio in capacity.ratios if ratio.refused), None)


def _opening(
    facts: Facts, invalid: Warn | None, missed: str | None, command: str | None
) -> tuple[Sentence, ...]:
    opening = []
    if invalid:
        where = f" (trial {invalid.trial})" if invalid.trial else ""
        help_text = f" This would help: {command}" if command else ""
        text = f"This run is invalid: {invalid.message}{where}.{help_text}"
        opening.append(Sentence(kind="invalid", text=text, evidence="warnings"))
    if facts.manifest.interrupted:
        done = sum(not trial.interrupted for trial in facts.trials)
        text = f"The run was interrupted after {words.count(done, 'whole trial')}."
        opening.append(Sentence(kind="limit", text=text, evidence="reach"))
    return tuple(opening)
