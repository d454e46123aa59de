"""What is said of slow clients: memory with the most of them, what each further one takes, what others wait,
and processor time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from loadtests.harness.analysis.crowd import fullest
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import AtOnce, Crowd, Interval, Sentence
from loadtests.harness.stories import others as others_story
from loadtests.harness.wording import (
    cpu_interval,
    known_of_each,
    listed,
    longer,
    mebibytes,
    percent_interval,
    size,
)

_answer = partial(Sentence, kind="answer", question=PartKind.CROWD)
_detail = partial(Sentence, kind="detail", question=PartKind.CROWD)


def story(found: Crowd, names: Mapping[str, str], line: str, profile: str) -> Iterator[Sentence]:
    """``names`` are what arms are called in the middle of a sentence, ``line`` is that of each client."""
    what = f"files of {size(found.file_size_bytes)}{f' over lines of {line} each' if line else ''}"
    full = fullest(found)
    most = full[0].clients
    if profile == "smoke":
        text = f"A smoke run is too short to say what slow clients cost: up to {most} at once sent {what}."
        yield _answer(text=text, evidence=found.cells[0].id)
        return
    if held := known_of_each([(one.arm, one.most_bytes) for one in full], mebibytes, names):
        text = f"While {most} clients at once send {what}, gateway and upload together hold at most"
        yield _answer(text=f"{text} {listed(held)}.", evidence=full[0].id)
    if shares := known_of_each([(one.arm, one.share) for one in found.held], _of_its_file, names):
        text = f"In their memory each further client takes {listed(shares)}"
        yield _answer(text=f"{text}.", evidence=full[-1].id)
    yield from _others(full, names, profile)
    if costs := known_of_each([(one.arm, one.cpu_s_per_upload) for one in full], cpu_interval, names):
        text = "In processor time of our services and databases an upload costs,"
        yield _detail(text=f"{text} with {most} of them, {listed(costs)}.", evidence=full[0].id)


def _others(full: Sequence[AtOnce], names: Mapping[str, str], profile: str) -> Iterator[Sentence]:
    """Beside the most clients; nothing where nobody logged in or listed."""
    beside = [one.beside for one in full if one.beside is not None]
    if not beside:
        return
    said = others_story.waits(beside, names)
    text = (
        f"While {full[0].clients} slow clients upload, {said}."
        if said
        else f"{others_story.too_few(beside)}{longer(profile)}."
    )
    yield _answer(text=text, evidence=beside[0].id)


def _of_its_file(share: Interval) -> str:
    return f"{percent_interval(share)} of its file"
