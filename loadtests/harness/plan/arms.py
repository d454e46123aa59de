"""The arms of a plan: as a command asks for them, and those at a level, a rate, a size, or with a kill."""

from __future__ import annotations

from collections.abc import Mapping

from grafana.colours import ARM_COLOURS
from loadtests.harness.clients.strategies import Strategy
from loadtests.harness.plan.places import stacks_of
from loadtests.harness.records.plan import NOBODY, Arm
from loadtests.harness.words import ArmWords, Words

NOBODY_COLOUR = "#6b7280"
DEFAULT_STRATEGY, DEFAULT_FILE_BYTES = "proxy-chunked", 1024**2
STOCKED_BY = "proxy-single"  # how files get there that arms download
BATCH_FILES = 5  # whose addresses a batch download asks for at once


def arms_of(words: Words, vus: int, strategies: Mapping[str, Strategy]) -> tuple[Arm, ...]:
    """In the order of the words; ``vus`` for those that say none."""
    places = stacks_of(words)
    return _told_apart(
        tuple(
            _arm(name, own, words.every, vus=vus, strategies=strategies, stack=places[name])
            for name, own in words.arms.items()
        )
    )


def _arm(
    name: str, own: ArmWords, every: ArmWords, *, vus: int, strategies: Mapping[str, Strategy], stack: str
) -> Arm:
    chosen = STOCKED_BY if own.download else own.strategy or every.strategy or DEFAULT_STRATEGY
    size = own.file_size_bytes or every.file_size_bytes or DEFAULT_FILE_BYTES
    strategy = strategies[chosen]
    files = strategy.manifest.files if own.download is None else 1
    keep_alive = every.keep_alive if own.keep_alive is None else own.keep_alive
    reads = every.reads if own.reads is None else own.reads
    scraped = every.scraped if own.scraped is None else own.scraped
    return Arm(
        name=name,
        of=name,
        title=_title(name, strategy, own),
        colour=strategy.manifest.colour,
        strategy=chosen,
        download=own.download,
        files=BATCH_FILES if own.download == "batch" else files,
        file_size_bytes=size,
        piece_bytes=strategy.piece_bytes(size),
        vus=own.vus or vus,
        keep_alive=keep_alive is not False,
        reads=0 if own.download else reads or 0,
        scraped=scraped is True,
        stack=stack,
        asked=dict(own.asked),
        target=own.target,
    )


def _title(name: str, strategy: Strategy, own: ArmWords) -> str:
    """An arm in words: one that is its strategy has the strategy's title, others what was typed."""
    if name == own.strategy and set(own.asked) == {"STRATEGY"}:
        return strategy.manifest.title
    if own.revision is not None:
        typed = {key: value for key, value in own.asked.items() if key != "REVISION"}
        return ", ".join([own.revision or "the working tree", *_typed(typed)])
    if own.target:
        return f"the system at {own.target}"
    return ", ".join(_typed(own.asked)) or "as it is"


def _typed(words: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in words.items()]


def _told_apart(arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
    """Arms of one strategy, or that download, get colours of their own: a strategy's colour means that
    strategy."""
    if len({arm.colour for arm in arms}) == len(arms) and not any(arm.download for arm in arms):
        return arms
    return tuple(
        arm.model_copy(update={"colour": ARM_COLOURS[at % len(ARM_COLOURS)]}) for at, arm in enumerate(arms)
    )


def at_level(arm: Arm, vus: int) -> Arm:
    return arm.model_copy(update={"name": f"{arm.name} {vus} VU", "of": arm.name, "vus": vus})


def at_rate(arm: Arm, share: float, in_flight: int) -> Arm:
    name = f"{arm.name} at {share * 100:g} %"
    return arm.model_copy(update={"name": name, "of": arm.name, "vus": in_flight, "of_capacity": share})


def with_kill(arm: Arm) -> Arm:
    return arm.model_copy(update={"name": f"{arm.name} with a kill", "of": arm.name})


def of_size(arm: Arm, size: int, vus: int, strategies: Mapping[str, Strategy]) -> Arm:
    piece = strategies[arm.strategy].piece_bytes(size) if arm.strategy else size
    name = f"{arm.name} {in_words(size)}"
    return arm.model_copy(
        update={"name": name, "of": arm.name, "vus": vus, "file_size_bytes": size, "piece_bytes": piece}
    )


def in_words(size_bytes: int) -> str:
    """A file size as people write it: ``64 KiB``, ``1.5 MiB``."""
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:g} {name}"
    return f"{size_bytes} B"


def nobody(like: Arm) -> Arm:
    nobody = {"name": NOBODY, "of": NOBODY, "title": "nobody", "colour": NOBODY_COLOUR}
    return like.model_copy(update=nobody | {"strategy": None, "vus": 0, "asked": {}, "target": None})
