"""What is said of a fleet: whether its rate rises with it, what the largest one gets, what was resumed, and
what a download costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Fleet, Interval, Result, Sentence
from loadtests.harness.stories import limits as limit_story
from loadtests.harness.wording import (
    by_way,
    cpu_interval,
    known_of_each,
    listed,
    number,
    percent,
    ratio,
    size,
    with_interval,
)

_answer = partial(Sentence, kind="answer", question=PartKind.FLEET)
_detail = partial(Sentence, kind="detail", question=PartKind.FLEET)


def story(result: Result, found: Fleet, names: Mapping[str, str]) -> Iterator[Sentence]:
    """``names`` are what arms are called in the middle of a sentence."""
    few, most = min(cell.clients for cell in found.cells), max(cell.clients for cell in found.cells)
    what = f"one file of {size(found.file_size_bytes)}"
    if result.profile == "smoke":
        downloads = sum(cell.downloads for cell in found.cells)
        text = f"A smoke run is too short for rates: {downloads:,} times {what} was downloaded and verified"
        yield _answer(text=f"{text}, by up to {most} clients at once.", evidence=found.cells[0].id)
        return
    rises = [one for one in found.ratios if one.arm == one.over and one.clients == most]
    if gains := known_of_each([(one.arm, one.ratio) for one in rises], _times_the_rate, names):
        text = f"{most} clients instead of {few} that download {what} bring {listed(gains)}"
        yield _answer(text=f"{text}.", evidence=rises[0].id)
    full = [cell for cell in found.cells if cell.clients == most]
    rates = [
        f"{with_interval(cell.downloads_per_s)} downloads per second "
        f"({number(cell.payload_mb_per_s.value)} MB/s) {by_way(cell.arm, names)}"
        for cell in full
        if cell.downloads_per_s.low is not None
    ]
    if rates:
        text = f"The fleet of {most} gets {listed(rates)}"
        yield _answer(text=f"{text}.", evidence=full[0].id)
    for one in found.ratios:
        if one.arm != one.over and one.clients == one.over_clients == most and one.ratio.low is not None:
            gain = f"{ratio(one.ratio)} times the downloads per second of {names[one.over]}"
            yield _answer(text=f"With {most} clients {names[one.arm]} brings {gain}.", evidence=one.id)
    yield from _resumed(found, full[0].id, names)
    if costs := known_of_each([(one.arm, one.cpu_s_per_download) for one in full], cpu_interval, names):
        text = "In processor time of our services and databases a download costs,"
        yield _detail(text=f"{text} with {most} of them, {listed(costs)}.", evidence=full[0].id)
    yield from _what_set_it(result, most, names)


def _resumed(found: Fleet, evidence: str, names: Mapping[str, str]) -> Iterator[Sentence]:
    """Over all numbers of clients: a share of each arm, and what failed."""
    if found.cut_every is None:
        return
    shares = []
    for arm in dict.fromkeys(cell.arm for cell in found.cells):
        own = [cell for cell in found.cells if cell.arm == arm]
        verified = sum(cell.resumed.n for cell in own)
        resumed = sum(round((cell.resumed.value or 0.0) * cell.resumed.n) for cell in own)
        failed = sum(cell.failed for cell in own)
        if verified:
            shares.append(f"{percent(resumed / verified)} ({failed:,} failed) {by_way(arm, names)}")
    if shares:
        text = (
            f"Of all downloads, each {found.cut_every}th of which was to be cut, those that were cut between "
            "their first byte and their last, resumed by range and whole in the end were"
        )
        yield _answer(text=f"{text} {listed(shares)}.", evidence=evidence)


def _what_set_it(result: Result, most: int, names: Mapping[str, str]) -> Iterator[Sentence]:
    """What set the rate of the largest fleet."""
    levels = {f"{arm} {most} VU": name for arm, name in names.items()}
    own = [one for one in result.limits if one.part == PartKind.FLEET and one.arm in levels]
    yield from limit_story.story(own, levels, PartKind.FLEET)


def _times_the_rate(gain: Interval) -> str:
    return f"{ratio(gain)} times the rate"
