"""What is said of kills in mid-load: who lost what, and why counting rounds and folders does not show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import AfterKill, Kills, Sentence
from loadtests.harness.wording import capital, count, listed, milliseconds

_answer = partial(Sentence, kind="answer", question=PartKind.KILL)
_detail = partial(Sentence, kind="detail", question=PartKind.KILL)


def after_kill(found: Kills | None, arm: str) -> AfterKill | None:
    """One arm of the question; None where it was not killed."""
    arms = found.arms if found else ()
    return next((one for one in arms if one.arm == arm and one.kills), None)


def story(found: Kills, names: Mapping[str, str]) -> Iterator[Sentence]:
    """The sentences, most important first. ``names`` are what arms are called in the middle of one."""
    arms = sorted((one for one in found.arms if one.kills), key=lambda one: -one.gone)
    if not arms:
        return
    clauses = [_lost(one, names) for one in arms]
    text = f"With the {found.service} service killed in mid-load, {listed(clauses)}."
    yield _answer(text=text, evidence=arms[0].id)
    for one in arms:
        if one.gone:
            yield _answer(text=f"{capital(_users(one, names))}; {when_gone(found, one.arm)}", evidence=one.id)
        if one.unfinished:
            text = f"{capital(names[one.arm])} left {count(one.unfinished, 'upload')} with the file there and"
            yield _answer(text=f"{text} a status that says for ever that it is not done.", evidence=one.id)
    yield _answer(text=counting_misleads(found, names), evidence=arms[0].id)
    yield from _details(found, arms, names)


def _lost(one: AfterKill, names: Mapping[str, str]) -> str:
    times = count(len(one.kills), "kill")
    if not one.gone:
        return f"{names[one.arm]} lost none of {one.acknowledged:,} in {times}"
    each = sorted(killed.gone for killed in one.kills)
    spread = f" ({each[0]} to {each[-1]} in each)" if len(each) > 1 else ""
    lost = f"{names[one.arm]} lost {one.gone:,} of {one.acknowledged:,} acknowledged uploads"
    return f"{lost} in {times}{spread}"


def _users(one: AfterKill, names: Mapping[str, str]) -> str:
    short = f"{count(one.users_short, 'user')} of {one.users:,}"
    without = f"{one.users_without_file:,}" if one.users_without_file else "none"
    return f"{names[one.arm]} left {short} without a file they were told of, {without} without any file"


def when_gone(found: Kills | None, arm: str) -> str:
    """When those were acknowledged that are gone; empty where none is."""
    one = after_kill(found, arm)
    if one is None or one.last_gone_s is None:
        return ""
    longest = milliseconds(max(1.0, one.last_gone_s * 1000))
    return f"what is gone was acknowledged at most {longest} before the kill."


def counting_misleads(found: Kills, names: Mapping[str, str]) -> str:
    """What rounds of clients less users with a file come to, beside what is gone."""
    arms = [one for one in found.arms if one.kills]
    clauses = [f"{ended(one) - one.users_with_file:,} for {names[one.arm]}" for one in arms]
    gone = [f"{one.gone:,}" for one in arms]
    return (
        f"Rounds that clients ended, less users with a file, would be {listed(clauses)}, where "
        f"{listed(gone)} are gone: that difference counts users who uploaded more than once, and says "
        "nothing of what was lost."
    )


def ended(one: AfterKill) -> int:
    """Rounds that the load generator counts: uploads that ended, well or not."""
    return one.acknowledged + one.failed


def _details(found: Kills, arms: list[AfterKill], names: Mapping[str, str]) -> Iterator[Sentence]:
    away_s = sorted(killed.away_s for one in arms for killed in one.kills if killed.away_s is not None)
    if away_s:
        shortest, longest = (milliseconds(one * 1000) for one in (away_s[0], away_s[-1]))
        text = f"The {found.service} service served again {shortest} to {longest} after it was killed."
        yield _detail(text=text, evidence=arms[0].id)
    late = [f"{one.late:,} of {one.failed:,} for {names[one.arm]}" for one in found.arms if one.late]
    if late:
        text = f"Uploads whose clients saw an error and that are there all the same: {listed(late)}."
        yield _detail(text=text, evidence=arms[0].id)
