"""What is said of others: how long logins and lists take beside uploads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from loadtests.harness.latency import FEWEST_PERIODS
from loadtests.harness.records.plan import NOBODY, PartKind
from loadtests.harness.records.result import Beside, Latency, Neighbours, Sentence
from loadtests.harness.wording import count, listed, longer, precise, waited


def story(found: Neighbours, names: Mapping[str, str], profile: str) -> Iterator[Sentence]:
    """``names`` are what arms are called in the middle of a sentence."""
    said = waits(found.arms, names)
    text = (
        f"While {precise(found.rate_per_s)} uploads arrive per second, {said}."
        if said
        else f"{too_few(found.arms)}{longer(profile)}."
    )
    yield Sentence(kind="answer", question=PartKind.NEIGHBOURS, text=text, evidence=found.id)


def waits(arms: Sequence[Beside], names: Mapping[str, str]) -> str:
    """95 of 100 logins, and lists, beside each arm; empty where no arm's have an interval."""
    logins = _beside([(arm, arm.login_p95) for arm in arms], names)
    lists = _beside([(arm, arm.list_p95) for arm in arms], names)
    if not logins:
        return ""
    text = f"95 of 100 logins take at most {listed(logins)}"
    return f"{text}; file lists {listed(lists)}" if lists else text


def too_few(arms: Sequence[Beside]) -> str:
    """Why nothing is said, without a full stop."""
    fewest = min((arm.login_p95 for arm in arms), key=lambda one: one.samples)
    return (
        "How long others wait beside uploads cannot be said: beside one of the ways only "
        f"{count(fewest.samples, 'login')} in {count(fewest.ms.n, 'turn')} were measured, and it takes "
        f"{fewest.minimum} in at least {FEWEST_PERIODS}"
    )


def _beside(found: Iterable[tuple[Beside, Latency]], names: Mapping[str, str]) -> list[str]:
    """The arms first, then what is the case without uploads."""
    known = sorted(
        ((arm, wait) for arm, wait in found if wait.ms.low is not None),
        key=lambda one: one[0].arm == NOBODY,
    )
    if all(arm.arm == NOBODY for arm, _ in known):
        return []
    return [
        f"{waited(wait.ms)} {'while nobody uploads' if arm.arm == NOBODY else _uploads(arm.arm, names)}"
        for arm, wait in known
    ]


def _uploads(arm: str, names: Mapping[str, str]) -> str:
    """ "beside uploads direct in parts", "beside uploads of A (FINALISE=inline)"."""
    name = names[arm]
    return f"beside uploads of {name}" if name.startswith(arm) else f"beside uploads {name}"
