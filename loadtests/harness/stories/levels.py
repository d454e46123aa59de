"""What is said of levels: until how many clients more of them bring more uploads."""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Result, Sentence, Step
from loadtests.harness.wording import longer, near_end_first, percent, ratio


def story(result: Result) -> Iterator[Sentence]:
    """A range, the end of it that is known, or that neither is and why; with the gains that show it."""
    found = result.common_knee
    if found is None:
        return
    steps, low, high = {one.vus: one for one in found.steps}, found.low_vus, found.high_vus
    begin = "Taking all ways together, more clients" if len(result.knees) > 1 else "More clients"
    proofs = [_still_gains(steps[low])] if low is not None else []
    if high is not None:
        where = f"between {low} and {high}" if low is not None else f"at most {high}"
        proofs.append(_gains_less(steps[high], found.limit))
        text = f"{begin} bring more uploads until {where} at once: {', and '.join(proofs)}"
    elif low is not None:
        most = f"with up to {found.steps[-1].more_vus}, the most tried"
        text = f"{begin} bring more uploads beyond {low} at once: {proofs[0]}"
        text += f"; until when was not shown {most}{longer(result.profile)}"
    else:
        text = f"Until how many clients more of them bring more uploads was not found ({found.why_not})"
        text += longer(result.profile)
    yield Sentence(kind="answer", question=PartKind.LEVELS, text=f"{text}.", evidence=found.id)


def _still_gains(step: Step) -> str:
    return f"{step.more_vus} bring {near_end_first(step.gain)} the rate of {step.vus}"


def _gains_less(step: Step, limit: float) -> str:
    shown = f"{ratio(step.gain)} times their rate"
    return f"{step.more_vus} bring less than {percent(limit)} more than {step.vus}, {shown}"
