"""What is said of arrivals that wait for nobody: waits and refusals, and how soon an overload is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Offered, Offers, Recovery, Sentence
from loadtests.harness.wording import by_way, capital, count, cpu_interval, listed, number, percent, waited

_answer = partial(Sentence, kind="answer", question=PartKind.RATES)
_detail = partial(Sentence, kind="detail", question=PartKind.RATES)


def story(found: Offers, names: Mapping[str, str]) -> Iterator[Sentence]:
    """One sentence for each arm: waits and refusals by rate, then what a refusal costs. ``names`` are what
    arms are called in the middle of one."""
    for arm in dict.fromkeys(cell.arm for cell in found.cells):
        own = sorted((cell for cell in found.cells if cell.arm == arm), key=lambda cell: cell.share)
        clauses = [_at_rate(cell) for cell in own if cell.acked_p95.ms.low is not None]
        if not clauses:
            continue
        text = f"{capital(names[arm])}: 95 of 100 are acknowledged within {'; '.join(clauses)}"
        yield _answer(text=f"{text}.{_of_whom(found)}", evidence=own[-1].id)
        dear = own[-1].refusal_cpu_s
        if dear.low is not None:
            text = f"A refusal costs {cpu_interval(dear)} of processor time {by_way(arm, names)}."
            yield _detail(text=text, evidence=own[-1].id)
    for one in found.recoveries:
        yield from _recovery(one, names)


def _of_whom(found: Offers) -> str:
    """What a share is of, where an arm may serve more than it says."""
    if len({cell.arm for cell in found.cells}) == 1:
        return ""
    return f" Capacity is the slowest arm's, {number(found.capacity_per_s)} uploads per second."


def _at_rate(cell: Offered) -> str:
    """ "30.2 ms (28.0 to 33.1) at 80 % of capacity", with what was not served."""
    lost = {"refused": cell.refused, "failed": cell.failed, "not begun": cell.dropped}
    some = [f"{percent(share)} {what}" for what, share in lost.items() if share and share >= 0.005]
    apart = f" ({listed(some)})" if some else ""
    return f"{waited(cell.acked_p95.ms)} at {percent(cell.share)} of capacity{apart}"


def _recovery(one: Recovery, names: Mapping[str, str]) -> Iterator[Sentence]:
    """How soon it is over; nothing where too few turns saw it."""
    what = f"serves {percent(one.share)} of capacity again, within 10 % of its calm rate,"
    after = f"a turn at {percent(one.after_share)}"
    seconds, turns = one.seconds, count(one.seconds.n, "turn")
    if seconds.value is not None and seconds.low is not None and seconds.high is not None:
        soon = f"{seconds.value:.1f} s ({seconds.low:.1f} to {seconds.high:.1f}) after {after}"
        most = f"at most {one.longest_s:.1f} s in {turns}" if one.longest_s is not None else _not_back(one)
        yield _answer(text=f"{capital(names[one.arm])} {what} {soon}, {most}.", evidence=one.id)
    elif one.not_back:
        text = f"Whether {names[one.arm]} {what} soon after {after} was not shown: {_not_back(one)}."
        yield _answer(text=text, evidence=one.id)


def _not_back(one: Recovery) -> str:
    return f"in {one.not_back} of {count(one.seconds.n, 'turn')} of {one.turn_s:g} s it did not"
