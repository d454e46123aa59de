"""Why a claim was decided as it was: only what the run itself has evidence of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from loadtests.harness.claim_figures import measured_of, of_arm
from loadtests.harness.cost import DATABASES, JOINTS, SERVICES
from loadtests.harness.records.plan import Decides, Plan
from loadtests.harness.records.result import ArmResult, Interval, Result, Verdict
from loadtests.harness.sentences import names_of
from loadtests.harness.stories import reads
from loadtests.harness.stories.generator import ALL_PROCESSORS
from loadtests.harness.stories.ghosts import counting_misleads, when_gone
from loadtests.harness.verdict import ALPHA, judge
from loadtests.harness.wording import (
    by_way,
    capital,
    in_units,
    listed,
    milliseconds,
    number,
    percent,
    ratio,
    size,
    turned,
    unit_of,
)

OWN = (*SERVICES, *DATABASES, *JOINTS)  # whose time the processor time of an upload is
NAMED = 0.1  # of a difference: a process with less of it is not named


def causes(decides: Sequence[Decides], plan: Plan, result: Result) -> Iterator[str]:
    """What explains the figures that decided, where the run shows it."""
    names = names_of(result)
    for one in decides:
        if one.metric == "uploads_per_s" and one.over is not None:
            yield from _of_a_rate(one, one.over, plan, result, names)
        if one.metric == "statements" and result.compare is not None:
            yield from (said.text for said in reads.story(result, result.compare, names))
        if one.metric == "ghost_share" and result.kills is not None:
            counted = one.least is not None  # so many were said to be gone; else so few
            why = counting_misleads(result.kills, names) if counted else when_gone(result.kills, one.arm)
            if why:
                yield capital(why)


def doubt(one: Decides, measured: Interval, margin: float, p_holm: float | None) -> str:
    """Why an interval decides nothing."""
    if measured.value is None or measured.low is None or measured.high is None:
        return "Too little was measured to say."
    if one.shows is None:
        return (
            f"The interval reaches across what is claimed with its margin of {percent(margin)}: it neither "
            "agrees nor disagrees as a whole."
        )
    if measured.low <= 1 <= measured.high:
        wide = f", and is wider than ±{percent(margin)}" if one.shows == "equal" else ""
        return f"The interval holds 1{wide}: it may be either way."
    if p_holm is not None and p_holm > ALPHA:
        return "Among so many pairs such a difference may be chance."
    return "The interval's near end is too close to 1 to name a difference."


def _of_a_rate(
    one: Decides, other: str, plan: Plan, result: Result, names: Mapping[str, str]
) -> Iterator[str]:
    """Requests where they are what was counted; processor time where that set the rates; else waiting."""
    takes = in_units(
        f"an upload{f' of {size(one.file_size)}' if one.file_size else ''} takes", unit_of(plan.arms)
    )
    asked, asked_other = (plan.requests_per_upload.get(name) or 0.0 for name in (one.arm, other))
    counts = (
        f"{number(asked)} requests {by_way(one.arm, names)} and {number(asked_other)} requests "
        f"{by_way(other, names)}"
    )
    differ = asked != asked_other and min(asked, asked_other) > 0
    if differ and one.least:
        said = in_units("requests per second do not say uploads per second", unit_of(plan.arms))
        yield f"{capital(takes)} {counts}: {said}."
        return
    rate, _ = measured_of(one, result)
    cost, _ = measured_of(one.model_copy(update={"metric": "cpu_s_per_upload"}), result)
    pair = [found for name in (one.arm, other) if (found := of_arm(one, name, result)) is not None]
    if one.rate is not None or len(pair) < 2:
        return
    limited = {limit.arm for limit in result.limits if limit.what == ALL_PROCESSORS}
    bound = {arm.arm.name for arm in pair} <= limited
    faster, dearer = judge(rate, plan.margin), judge(cost, plan.margin)
    if bound and {faster, dearer} == {Verdict.MORE, Verdict.LESS}:
        more, less = pair if dearer is Verdict.MORE else reversed(pair)
        times = ratio(cost if dearer is Verdict.MORE else turned(cost))
        yield (
            f"The processors were the limit, and {takes} {times} times as much of their time "
            f"{by_way(more.arm.of, names)} as {by_way(less.arm.of, names)}: {_added(more, less)}."
        )
    elif bound and faster is dearer is Verdict.EQUAL:
        yield f"{capital(takes)} as much processor time either way: {ratio(cost)} times."
    elif not bound and differ and faster is (Verdict.MORE if asked < asked_other else Verdict.LESS):
        yield f"The processors were not the limit; {takes} {counts}, and each of them waits."


def _added(more: ArmResult, less: ArmResult) -> str:
    """How much more processor time one arm takes, and which processes take it."""
    dear, cheap = (
        {name: found.value or 0.0 for name, found in arm.cpu_s_by_process.items() if name in OWN}
        for arm in (more, less)
    )
    whole = sum(dear.values()) - sum(cheap.values())
    added = sorted(((seconds - cheap.get(name, 0.0), name) for name, seconds in dear.items()), reverse=True)
    where = [
        f"{milliseconds(seconds * 1000)} in {name}" for seconds, name in added if seconds >= NAMED * whole
    ]
    return f"{milliseconds(whole * 1000)} more, {listed(where)}"
