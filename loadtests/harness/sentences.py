"""What a run found, in plain words, each sentence with the id of what proves it.

Every number is the ``Result``'s and comes with its interval, of which the end nearer to "no difference" is
said first. A winner is named only where the result names one. What set a rate is said only where the result
has evidence for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto

from loadtests.harness.analysis.pairs import more_first, other_of, over_of, pair_of
from loadtests.harness.checks.missing import NOT_MEASURED
from loadtests.harness.cost import GENERATOR
from loadtests.harness.records.plan import Arm, PartKind
from loadtests.harness.records.result import (
    Comparison,
    Interval,
    Latency,
    Ratio,
    Result,
    Sentence,
    Verdict,
)
from loadtests.harness.records.vocabulary import LedgerFlag, Validity
from loadtests.harness.stories import crowd as crowd_story
from loadtests.harness.stories import fleet as fleet_story
from loadtests.harness.stories import generator as generator_story
from loadtests.harness.stories import ghosts as ghost_story
from loadtests.harness.stories import levels as levels_story
from loadtests.harness.stories import limits as limit_story
from loadtests.harness.stories import others as others_story
from loadtests.harness.stories import overload as overload_story
from loadtests.harness.stories import reads as reads_story
from loadtests.harness.stories import shares as share_story
from loadtests.harness.stories import sizes as sizes_story
from loadtests.harness.validity import EXIT_LOSS
from loadtests.harness.verdict import FEWEST_TO_JUDGE, far_enough
from loadtests.harness.wording import (
    UNITS,
    arm_names,
    capital,
    count,
    cpu_interval,
    in_units,
    known_of_each,
    listed,
    listed_arms,
    near_end_first,
    network,
    percent,
    ratio,
    size,
    unit_of,
    waited,
)

_SEVERAL = frozenset({"uploads", "downloads", "clients", "connections"})  # in names of arms
_NOT_ASKED = frozenset({"REVISION"})  # two revisions may hold the same code


def told(result: Result) -> Result:
    """The result with its sentences; the first one is its headline."""
    sentences = tuple(_sentences(result))
    return result.model_copy(update={"sentences": sentences, "headline": sentences[0].text})


def of_question(result: Result, question: PartKind) -> list[Sentence]:
    """The sentences about one question, most important first."""
    return [sentence for sentence in _answers(result) if sentence.question is question]


def names_of(result: Result) -> dict[str, str]:
    """What each arm of the question is called in the middle of a sentence."""
    return arm_names(arms_of(result))


def arms_of(result: Result) -> list[Arm]:
    """Every arm, and those of sizes, that the result speaks of."""
    crowd = result.crowd.arms if result.crowd else ()
    fleet = result.fleet.arms if result.fleet else ()
    return [*(found.arm for comparison in comparisons(result) for found in comparison.arms), *crowd, *fleet]


def comparisons(result: Result) -> list[Comparison]:
    """The main one first."""
    sized = [size.comparison for size in result.sizes.sizes] if result.sizes else []
    return [*([result.compare] if result.compare else []), *sized]


def _sentences(result: Result) -> Iterator[Sentence]:
    if result.validity is Validity.INVALID or result.exit_code in (1, 2):
        what = f". Next: {result.next_command}" if result.next_command else ""
        text = f"This run is invalid: {result.exit_reason}{what}."
        yield Sentence(kind="invalid", question=None, text=text, evidence="warnings")
    answers = list(_answers(result))
    yield from answers
    if not answers:
        text = f"Nothing was compared: {result.exit_reason}."
        yield Sentence(kind="limit", question=None, text=text, evidence="warnings")
    elif result.exit_code == EXIT_LOSS:
        text = f"{result.exit_reason}."
        yield Sentence(
            kind="limit", question=None, text=text, evidence=result.compare.id if result.compare else ""
        )
    elif result.interrupted:
        text = "The run was interrupted; what was measured until then stands above."
        yield Sentence(kind="limit", question=None, text=text, evidence="warnings")


def _answers(result: Result) -> Iterator[Sentence]:
    names = names_of(result)
    if result.kills is not None:
        yield from ghost_story.story(result.kills, names)  # counts, which a smoke run has too
    if result.crowd is not None:
        yield from crowd_story.story(result.crowd, names, network_of(result), result.profile)
    if result.fleet is not None:
        yield from fleet_story.story(result, result.fleet, names)
    if result.offers is not None and result.profile != "smoke":
        yield from overload_story.story(result.offers, names)  # the closed loop before finds out what fits
    sized = [] if result.sizes is None else list(sizes_story.story(result.sizes, names, result.profile))
    first = result.asks_for == "sizes" and result.profile != "smoke"
    if first:
        yield from sized
    if result.compare is not None and result.compare.blocks:
        yield from _comparison(result, result.compare, names)
    yield from _in_vain(result)
    if result.profile == "smoke":
        return
    yield from levels_story.story(result)
    if result.neighbours is not None:
        yield from others_story.story(result.neighbours, names, result.profile)
    if not first:
        yield from sized


def _in_vain(result: Result) -> Iterator[Sentence]:
    """What was not measured in any part, and why."""
    for warn in result.warnings:
        if warn.code == NOT_MEASURED and warn.part is not None:
            kind = PartKind(warn.part.partition("-")[0])  # crowds are called crowd-50, crowd-200
            text = f"{capital(warn.message)}."
            yield Sentence(kind="limit", question=kind, text=text, evidence="warnings")


# -- which is faster, and what does an upload cost


def _comparison(result: Result, found: Comparison, names: Mapping[str, str]) -> Iterator[Sentence]:
    speaks = _speaks_of_speed(result, found)
    shares = [] if result.profile == "smoke" else list(share_story.story(result, found, names))
    yield from shares
    if result.asks_for == "reads" and result.profile != "smoke":
        yield from reads_story.story(result, found, names)
    if speaks:
        first = _first(result, found, names)
        yield first.model_copy(update={"kind": "detail"}) if shares else first
    yield from _early(result, found, names)
    if result.profile == "smoke":
        return
    yield from _cost(found, names, result.margin)
    if speaks:
        without = result.share_of != GENERATOR and not is_aa(result, found)  # said first, or of no use
        yield from generator_story.story(result, found, names, without=without)
    own = [one for one in result.limits if one.part == found.part]
    # Offered rates are shares of what this comparison says fits.
    if speaks or (result.offers is not None and any(one.what for one in own)):
        yield from limit_story.story(own, names, PartKind.COMPARE)


def _speaks_of_speed(result: Result, found: Comparison) -> bool:
    """Where the question's point is another, only a winner is worth a word. Of offered rates a smoke run says
    nothing, so it says how much was uploaded."""
    small = result.profile == "smoke" and result.point is PartKind.RATES
    return result.point is PartKind.COMPARE or small or any(one.winner_named for one in found.ratios)


def _first(result: Result, found: Comparison, names: Mapping[str, str]) -> Sentence:
    # Of an arm that did nothing other sentences speak.
    rates = [one for one in found.ratios if one.metric == "uploads_per_s" and one.ratio.n]
    files = _files(result, found)
    if result.profile == "smoke":
        uploads = sum(arm.uploads for arm in found.arms)
        ways = count(sum(arm.uploads > 0 for arm in found.arms), "arm")
        done = {"upload": "uploaded", "download": "downloaded"}.get(_unit(found), "uploaded or downloaded")
        text = f"A smoke run names no winner: {uploads:,} {files} were {done} and verified by {ways}."
        return _answer(PartKind.COMPARE, text, found.id)
    if not rates:
        text = f"Too little was measured of {files} to compare anything."
        return _answer(PartKind.COMPARE, text, found.id)
    if is_aa(result, found):
        return _answer(PartKind.COMPARE, _aa(rates[0], found, files), rates[0].id)
    if found.best is not None:
        return _answer(PartKind.COMPARE, _winner(found.best, found, rates, names, files), rates[0].id)
    clauses = _clauses(rates, names, result.margin)
    some = len(rates) < len(found.arms) * (len(found.arms) - 1) // 2  # the question compares some pairs only
    equal = {_shows(one, result.margin) for one in rates} == {_Shows.EQUAL}  # which is an answer itself
    begin = f"With {files} here" if some or equal else f"No fastest way was shown for {files} here"
    text = f"{begin}: {'; '.join(clauses)}."
    return _answer(PartKind.COMPARE, text, rates[0].id)


def _winner(
    best: str, found: Comparison, rates: Sequence[Ratio], names: Mapping[str, str], files: str
) -> str:
    own = {other_of(one, best): over_of(one, best) for one in rates if best in pair_of(one)}
    clauses = [f"{near_end_first(over)} as fast as {names[other]}" for other, over in own.items()]
    first = "the fastest" if len(found.arms) > 2 else "the faster"
    what = f"{first} way for {files} here" if ways_only(found) else f"{first} for {files} here"
    return f"{capital(names[best])} {_is(names[best])} {what}: {listed(clauses)}."


def _unit(found: Comparison) -> str:
    return unit_of(one.arm for one in found.arms)


class _Shows(Enum):
    """What the ratio of two arms shows."""

    WINNER = auto()
    DIFFERENCE = auto()  # too near to 1 to name a winner
    EQUAL = auto()
    NOTHING = auto()  # its interval holds 1
    CHANCE = auto()  # it does not, as among several pairs one may not by chance (Holm)
    TOO_FEW = auto()  # blocks or makings to judge
    NO_INTERVAL = auto()
    UNPROVEN = auto()  # no invalid run names a winner


def _shows(one: Ratio, margin: float) -> _Shows:
    low, high = one.ratio.low, one.ratio.high
    if low is None or high is None:
        return _Shows.NO_INTERVAL
    if one.winner_named:
        return _Shows.WINNER
    if one.verdict is Verdict.EQUAL:
        return _Shows.EQUAL
    if one.verdict is not Verdict.NOT_SHOWN:
        return _Shows.UNPROVEN if far_enough(one.ratio, one.verdict, margin) else _Shows.DIFFERENCE
    if low <= 1 <= high:
        return _Shows.NOTHING
    return _Shows.TOO_FEW if one.ratio.n < FEWEST_TO_JUDGE else _Shows.CHANCE


def _clauses(rates: Sequence[Ratio], names: Mapping[str, str], margin: float) -> list[str]:
    """What pairs show: each winner by itself, all else once with every pair that shows it."""
    groups: dict[object, list[Ratio]] = {}
    for one in rates:
        shows = _shows(one, margin)
        groups.setdefault(one.id if shows is _Shows.WINNER else shows, []).append(one)
    return [_clause(own, names, margin, len(rates)) for own in groups.values()]


def _clause(own: Sequence[Ratio], names: Mapping[str, str], margin: float, pairs: int) -> str:
    """Pairs that show the same; of ``pairs`` in all."""
    first, second, over = more_first(own[0])
    shows = _shows(own[0], margin)
    if shows is _Shows.WINNER:
        return f"{names[first]} {_is(names[first])} {near_end_first(over)} as fast as {names[second]}"
    both = f"{names[first]} and {names[second]}"
    if (
        shows is _Shows.EQUAL and len(own) == 1 and both.count(" and ") == 1
    ):  # else nobody sees where one ends
        return f"{both} are equally fast within ±{percent(margin)}, {ratio(over)} times"
    if shows is _Shows.NO_INTERVAL:
        told = [f"{listed_arms(firsts)} from {base}" for base, (firsts, _) in _by_second(own, names).items()]
        return f"{_units(own)} cannot tell {listed(told, 'or')}"
    return f"{_measured(own, names)}, {_end(own, margin, pairs)}"


def _is(name: str) -> str:
    """ "direct in one PUT is", but "uploads in a batch are"."""
    return "are" if _SEVERAL & set(name.split()) else "is"


def _measured(own: Sequence[Ratio], names: Mapping[str, str]) -> str:
    """ "2 and 5 connections measured 0.94 (0.84 to 1.06) and 1.00 (0.90 to 1.11) times as fast as 20
    connections"."""
    clauses: list[str] = []
    for second, (firsts, ratios) in _by_second(own, names).items():
        verb = "" if clauses else "measured "
        over = listed([ratio(one) for one in ratios])
        clauses.append(f"{listed_arms(firsts)} {verb}{over} times as fast as {second}")
    *before, last = clauses
    return f"{', '.join(before)}, and {last}" if before else last


def _by_second(own: Sequence[Ratio], names: Mapping[str, str]) -> dict[str, tuple[list[str], list[Interval]]]:
    """By the arm that others are held against: these, and their ratios over it."""
    found: dict[str, tuple[list[str], list[Interval]]] = {}
    for one in own:
        first, second, over = more_first(one)
        firsts, ratios = found.setdefault(names[second], ([], []))
        firsts.append(names[first])
        ratios.append(over)
    return found


def _end(own: Sequence[Ratio], margin: float, pairs: int) -> str:
    """What pairs that show the same show, said behind their ratios."""
    shows = _shows(own[0], margin)
    if shows is _Shows.DIFFERENCE:
        return "faster by an amount that may be too small to matter"
    if shows is _Shows.EQUAL:
        every = "all " if len(own) > 1 else ""
        return f"{every}equally fast within ±{percent(margin)}"
    if shows is _Shows.CHANCE:
        return f"a difference that among {pairs} pairs may be chance"
    if shows is _Shows.UNPROVEN:
        return "which an invalid run does not prove"
    if shows is _Shows.NOTHING:
        return "which shows no difference"
    return f"too little to judge with {_units(own)}"


def _units(own: Sequence[Ratio]) -> str:
    """Of which the fewest of these ratios are made."""
    fewest = min(own, key=lambda one: one.ratio.n)
    return count(fewest.ratio.n, UNITS[fewest.unit])


def is_aa(result: Result, found: Comparison) -> bool:
    """Whether all arms are the same thing under several names."""
    revisions: Mapping[str, str] = result.conditions.get("revisions") or {}

    def kind(arm: Arm) -> tuple[object, ...]:
        asked = {key: value for key, value in arm.asked.items() if key not in _NOT_ASKED}
        code = revisions.get(arm.name) or arm.asked.get("REVISION")
        return (
            arm.strategy, arm.file_size_bytes, arm.vus, arm.rate_per_s, arm.target, code,
            tuple(sorted(asked.items())),
        )  # fmt: skip

    return len(found.arms) > 1 and len({kind(one.arm) for one in found.arms}) == 1


def _aa(rate: Ratio, found: Comparison, files: str) -> str:
    if found.half_width is None:
        measured = count(rate.ratio.n, UNITS[rate.unit])
        return f"{capital(measured)} of {files} cannot tell what this machine can show (A/A)."
    what = "two stacks of equal code" if rate.unit == "instance" else "two equal arms"
    text = (
        f"This machine can show differences above {percent(found.half_width)} for {files}: "
        f"{what} (A/A) measured {ratio(rate.ratio)} times as fast as each other."
    )
    if rate.verdict in (Verdict.MORE, Verdict.LESS):
        text += (
            " That interval does not hold 1, as one in twenty will not: if it happens again, something else "
            "than the arms differs."
        )
    return text


def _files(result: Result, found: Comparison) -> str:
    """The files and the network, for the first sentence."""
    sizes = dict.fromkeys(size(arm.arm.file_size_bytes) for arm in found.arms)
    text = f"files of {listed(list(sizes), 'or')}"
    slower = network_of(result)
    return f"{text} over a network of {slower}" if slower else text


def network_of(result: Result) -> str:
    """The network that was put before the system for all arms; empty where it is the machine's own."""
    return network(result.conditions.get("rtt_ms"), result.conditions.get("bandwidth_mbit"))


def _early(result: Result, found: Comparison, names: Mapping[str, str]) -> Iterator[Sentence]:
    """Who acknowledges before a crash could no longer lose the file."""
    early = result.ledger.flags.get(LedgerFlag.EARLY_ACK, 0)
    if not early:
        return
    waiting = [arm for arm in found.arms if _later(arm.durable_p50, arm.acked_p50)]
    for arm in waiting:
        text = (
            f"{capital(names[arm.arm.name])} acknowledges before the file is durable: half of the uploads "
            f"are acknowledged within {waited(arm.acked_p50.ms)} and durable within "
            f"{waited(arm.durable_p50.ms)}; a crash in between loses what no stored job goes on with."
        )
        yield _answer(PartKind.COMPARE, text, arm.id)
    if not waiting:
        uploads = f"{count(early, 'upload')} of {result.ledger.intents:,}"
        text = f"{uploads} were acknowledged before they were durable."
        yield _answer(PartKind.COMPARE, text, "ledger")


def _later(durable: Latency, acked: Latency) -> bool:
    return durable.ms.value is not None and acked.ms.value is not None and durable.ms.value > acked.ms.value


def _cost(found: Comparison, names: Mapping[str, str], margin: float) -> Iterator[Sentence]:
    used = [(one.arm.name, one.cpu_s_per_upload) for one in found.arms]
    costs = known_of_each(used, cpu_interval, names)
    if not costs:
        return
    begin = in_units("In processor time of our services and databases an upload costs", _unit(found))
    text = f"{begin} {listed(costs)}"
    ratios = [one for one in found.ratios if one.metric == "cpu_s_per_upload"]
    if len(ratios) == 1:
        text += f"; {_cost_pair(ratios[0], names, margin)}"
    evidence = ratios[0].id if ratios else found.arms[0].id
    yield Sentence(kind="detail", question=PartKind.COMPARE, text=f"{text}.", evidence=evidence)


def ways_only(found: Comparison) -> bool:
    """Whether the arms are strategies and nothing else, which go by their titles."""
    return all(one.arm.name == one.arm.strategy for one in found.arms)


def _cost_pair(one: Ratio, names: Mapping[str, str], margin: float) -> str:
    first, second, over = more_first(one)
    if one.verdict in (Verdict.MORE, Verdict.LESS):
        return f"{names[first]} takes {near_end_first(over)} that of {names[second]}"
    if one.verdict is Verdict.EQUAL:
        return f"the two are equal within ±{percent(margin)}, {ratio(over)} times"
    return f"{ratio(over)} times, {_end([one], margin, pairs=1)}"


def _answer(question: PartKind, text: str, evidence: str) -> Sentence:
    return Sentence(kind="answer", question=question, text=text, evidence=evidence)
