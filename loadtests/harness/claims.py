"""Claimed, measured, why: what a run says about the sentences of its question's sources.

A claim names a number or a direction. It holds when the whole interval of what was measured agrees, the
margin given away to the number, a direction passed by a quarter of it; it is refuted when the whole interval
disagrees, or lies within the margin of no difference where one is claimed; else the run cannot decide.
A reason is given only where the run itself has evidence of it (`claim_reasons.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from loadtests.harness.claim_figures import COMPARED, measured_of, value_of
from loadtests.harness.claim_reasons import causes, doubt
from loadtests.harness.intervals import NOTHING
from loadtests.harness.records.plan import Claim, Decides, Plan
from loadtests.harness.records.result import (
    Interval,
    Result,
    Verdict,
)
from loadtests.harness.records.vocabulary import Validity
from loadtests.harness.sentences import is_aa, names_of
from loadtests.harness.stories.ghosts import when_gone
from loadtests.harness.verdict import far_enough, judge
from loadtests.harness.wording import (
    by_way,
    capital,
    in_units,
    listed,
    percent,
    percent_interval,
    ratio,
    size,
    unit_of,
)

SHARES = ("cpu_share", "failed_share", "ghost_share", "refusal_share", "held_share")
RARE = ("failed_share", "ghost_share")  # nothing to compare where the base has none
WORDS: Mapping[str, str] = {
    "uploads_per_s": "uploads per second",
    "cpu_s_per_upload": "processor time of an upload",
    "durable_ms": "median time until an upload is durable",
    "acked_p95_ms": "time within which 95 of 100 uploads are acknowledged",
    "refusal_share": "processor time of a refusal as a share of a served upload's",
    "recovery_s": "time after an overload until what fits is served as in calm",
    "login_p95_ms": "time within which 95 of 100 logins are answered beside uploads",
    "list_p95_ms": "time within which 95 of 100 file lists are answered beside uploads",
    "statements": "SQL statements for an upload",
    "cpu_share": "share of the services' processor time",
    "failed_share": "share of uploads that failed",
    "ghost_share": "share of uploads that were acknowledged and are gone",
    "held_share": "memory that each further client takes in gateway and upload, as a share of its file",
    "downloads_per_s": "downloads per second",
}
UNITS: Mapping[str, str] = {
    **dict.fromkeys(("durable_ms", "acked_p95_ms", "login_p95_ms", "list_p95_ms"), " ms"),
    "recovery_s": " s",
}

NOT_IDENTIFIED = "Not identified."


class Decision(StrEnum):
    HOLDS = "holds"
    REFUTED = "refuted"
    MIXED = "mixed"
    UNDECIDED = "undecided"
    NOT_REACHED = "not reached"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that a claim needs, and what was measured of it; ``text`` says both, ``doubt`` why it decides
    nothing."""

    measured: Interval
    decision: Decision
    text: str
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """One claim with its verdict; ``why`` is empty where the run has no evidence of a reason."""

    claim: Claim
    decision: Decision
    conditions: tuple[Condition, ...]
    why: str

    @property
    def measured(self) -> str:
        """A sentence for each condition."""
        return " ".join(f"{capital(one.text)}." for one in self.conditions)


def ending(plan: Plan, result: Result) -> list[tuple[str, str]]:
    """The lines that an answer ends with, each with its name: claimed, measured, verdict, why."""
    judged = judged_claims(plan, result)
    lines: list[tuple[str, str]] = []
    for one in judged:
        lines.append((f"claimed ({one.claim.source})", one.claim.claim))
        lines.append(("measured", one.measured))
        lines.append(("verdict", one.decision.value))
        if one.why:
            lines.append(("because", one.why))
    if not judged and plan.expected:
        lines.append(("measured", result.headline))
    if lines and plan.expected:
        lines.append(("expected before measuring, not judged", plan.expected))
    if lines and (nothing := nothing_changed(plan, result)):
        lines.append(("to note", nothing))
    why = reason(result)
    if lines and (why or not any(one.why for one in judged)):
        lines.append(("why", why or NOT_IDENTIFIED))
    return lines


def judged_claims(plan: Plan, result: Result) -> tuple[Judged, ...]:
    """Every claim of the plan, in its order."""
    return tuple(_judged(claim, plan, result) for claim in plan.claims)


def _judged(claim: Claim, plan: Plan, result: Result) -> Judged:
    cannot, why = _cannot(claim, plan, result)
    conditions = tuple(_condition(one, plan, result, decides=cannot is None) for one in claim.decides)
    decision = cannot or together([one.decision for one in conditions])
    if cannot is None and decision in (Decision.UNDECIDED, Decision.NOT_REACHED):
        why = " ".join(dict.fromkeys(one.doubt for one in conditions if one.doubt))
    elif cannot is None:
        ran = [
            one
            for one, found in zip(claim.decides, conditions, strict=True)
            if found.decision is not Decision.NOT_RUN
        ]
        why = " ".join(dict.fromkeys(causes(ran, plan, result)))
    return Judged(claim, decision, conditions, why)


def _cannot(claim: Claim, plan: Plan, result: Result) -> tuple[Decision | None, str]:
    """Why this run may not decide the claim, whatever it measured."""
    most_vus = max((arm.vus for arm in plan.arms), default=0)
    if result.validity is Validity.INVALID or result.exit_code in (1, 2):
        return Decision.UNDECIDED, f"The run is invalid: {result.exit_reason.rstrip('.')}."
    if result.profile == "smoke":
        return Decision.UNDECIDED, "A smoke run is too short to decide anything."
    if claim.from_vus is not None and most_vus < claim.from_vus:
        said = f"It speaks of {claim.from_vus} clients and more; here were {most_vus}."
        return Decision.NOT_REACHED, said
    return None, ""


def together(decisions: Sequence[Decision]) -> Decision:
    """Of a claim that needs several things: all must hold, and one that is refuted is enough against it."""
    found = set(decisions)
    if len(found) == 1:
        return decisions[0]
    if Decision.REFUTED in found:
        return Decision.MIXED if Decision.HOLDS in found else Decision.REFUTED
    return Decision.UNDECIDED


def _condition(one: Decides, plan: Plan, result: Result, *, decides: bool) -> Condition:
    what, names = _what(one, plan, result), names_of(result)
    if not {one.arm, one.over} - {None} <= names.keys():
        return Condition(NOTHING, Decision.NOT_RUN, f"{what}: not measured")
    measured, p_holm = measured_of(one, result)
    decision, seen = decide(one, measured, plan.margin, p_holm), _figure(one, measured)
    if (
        measured.value is None
        and one.metric in RARE
        and value_of(one, one.over or one.arm, result).value == 0
    ):
        decision, seen = Decision.NOT_REACHED, "there was none to compare"
    text = f"{what}: claimed {_claimed(one)}, measured {seen}"
    unsure = ""
    if decision is Decision.UNDECIDED:
        unsure = doubt(one, measured, plan.margin, p_holm)
    elif decision is Decision.NOT_REACHED:
        unsure = f"There was none {by_way(one.over or one.arm, names)}, so none could be taken away."
    return Condition(measured, decision, f"{text}: {decision.value}" if decides else text, unsure)


def decide(one: Decides, measured: Interval, margin: float, p_holm: float | None = None) -> Decision:
    """Whether an interval agrees with what is claimed. A number may be missed by the margin."""
    if measured.value is None or measured.low is None or measured.high is None:
        return Decision.UNDECIDED
    if one.shows is not None:
        return _direction(one.shows, measured, margin, p_holm)
    least = float("-inf") if one.least is None else one.least / (1 + margin)
    most = float("inf") if one.most is None else one.most * (1 + margin)
    if least <= measured.low and measured.high <= most:
        return Decision.HOLDS
    return Decision.REFUTED if measured.high < least or measured.low > most else Decision.UNDECIDED


def _direction(shows: str, measured: Interval, margin: float, p_holm: float | None) -> Decision:
    verdict = judge(measured, margin, p_holm)
    clear = far_enough(measured, verdict, margin)
    wanted = {"more": Verdict.MORE, "less": Verdict.LESS, "equal": Verdict.EQUAL}[shows]
    within = (measured.low or 0.0) >= 1 - margin and (measured.high or 0.0) <= 1 + margin
    if wanted is Verdict.EQUAL:
        return Decision.HOLDS if within else Decision.REFUTED if clear else Decision.UNDECIDED
    if verdict is wanted and clear:
        return Decision.HOLDS
    return Decision.REFUTED if within or (clear and verdict is not wanted) else Decision.UNDECIDED


# -- words


def _what(one: Decides, plan: Plan, result: Result) -> str:
    """The figure of a condition, with the size of the files that it was measured with."""
    names, unit = names_of(result), unit_of(plan.arms)
    whose = f" that {one.process} takes" if one.process else ""
    own = [arm.file_size_bytes for arm in plan.arms if arm.name in (one.arm, one.over)]
    sizes = dict.fromkeys([one.file_size] if one.file_size else own)
    files = f" (files of {listed([size(each) for each in sizes])})" if sizes else ""
    at = f" at {percent(one.rate)} of capacity" if one.rate is not None else ""
    at += f" with {one.clients} clients" if one.clients is not None else ""
    base = f" at {percent(one.over_rate)}" if one.over_rate is not None else ""
    base += f" with {one.over_clients}" if one.over_clients is not None else ""
    over = f" over {names.get(one.over, one.over)}{base}" if one.over else ""
    return f"{in_units(WORDS[one.metric], unit)}{whose}{files}, {names.get(one.arm, one.arm)}{at}{over}"


def _claimed(one: Decides) -> str:
    if one.shows is not None:
        return one.shows
    if one.least is not None and one.most is not None:
        return f"{_amount(one, one.least)} to {_amount(one, one.most)}"
    if one.least is not None:
        return f"at least {_amount(one, one.least)}"
    return f"at most {_amount(one, one.most)}"


def _is_share(one: Decides) -> bool:
    return one.metric in SHARES and one.over is None


def _amount(one: Decides, value: float | None) -> str:
    """With its unit: "5 s", "12 %", and over something else "1.2 times"."""
    if value is None or _is_share(one):
        return percent(value)
    return f"{value:g}{_unit(one)}"


def _unit(one: Decides) -> str:
    return UNITS.get(one.metric, "") if one.over is None else " times"


def _figure(one: Decides, measured: Interval) -> str:
    if measured.value is None:
        return "too little to say"
    if _is_share(one):
        return percent_interval(measured)
    exact = measured.low == measured.high == measured.value
    return f"{f'{measured.value:.2f}' if exact else ratio(measured)}{_unit(one)}"


# -- reasons


def reason(result: Result) -> str:
    """When what is gone was acknowledged, and what set the rates, where that was found."""
    arms = result.kills.arms if result.kills else ()
    lost = [f"{capital(arm.arm)}: {when_gone(result.kills, arm.arm)}" for arm in arms if arm.gone]
    return " ".join([*lost, *(one.text for one in result.sentences if one.evidence.startswith("limit."))])


def nothing_changed(plan: Plan, result: Result) -> str:
    """Where the arms of a question make no difference that shows; empty where they do, or nobody can say.

    A run that looked elsewhere too, at sizes, rates, kills or what others wait, may have found it there.
    """
    found = result.compare
    elsewhere = result.sizes or result.offers or result.neighbours or result.kills
    if found is None or elsewhere or result.profile == "smoke" or is_aa(result, found):
        return ""
    ratios = [one for one in found.ratios if one.metric in COMPARED]
    if not ratios or any(one.verdict in (Verdict.MORE, Verdict.LESS) for one in ratios):
        return ""
    unit = unit_of(plan.arms)
    what = in_units(listed([WORDS[metric] for metric in COMPARED]), unit)
    if all(one.verdict is Verdict.EQUAL for one in ratios):
        return (
            f"The arms change nothing that can be measured here: {what} are equal within "
            f"±{percent(plan.margin)}."
        )
    if found.half_width is None:
        return ""
    return (
        f"No difference between the arms was shown, in {what}; one of {percent(2 * found.half_width)} in "
        f"{unit}s per second would most likely have been."
    )
