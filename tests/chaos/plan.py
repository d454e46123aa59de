"""What one case does, drawn from one seed: uploads, faults and their moments. Pure; equal seeds, equal cases.

A moment is a place in the clients' own progress (after so many of their requests) and a short pause
behind it, so that it means the same on a fast and on a slow machine.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from services.kit.s3.transport import READ_S, SLOW_READ_S

KIB, MIB = 1024, 1024 * 1024
MAX_CHUNK_BYTES = 10 * MIB
MIN_PART_BYTES = 5 * MIB
MAX_FILE_BYTES = 12 * MIB
MAX_CASE_BYTES = 24 * MIB

NAMES = (
    "report.pdf",
    "a+b c.txt",
    "100% (1)#2;3,4&5=6?.txt",
    'say "hello".txt',
    "it's 'quoted'.txt",
    "\U0001f98a fox \u2013 \u00fcber.txt",
    "%2e%2e%2f%41.txt",
    "cafe\u0301 nai\u0308ve.txt",
    "\u65e5\u672c\u8a9e.txt",
    "semi;filename=evil.exe",
    "folder/in/folder/deep.tar.gz",
    "back\\slash.bin",
    "  space around.bin  ",
    "x" * 251 + ".txt",
    "no-extension",
)


class Strategy(StrEnum):
    PROXY = "proxy-chunked"
    MULTIPART = "direct-multipart"
    SINGLE = "direct-single"
    FILE = "proxy-single"  # one request that holds the whole file


class Kind(StrEnum):
    NONE = "none"  # only what the clients themselves do
    KILL = "kill"  # SIGKILL, and the supervisor starts it again
    PAUSE = "pause"  # SIGSTOP for a while, mostly longer than a lease, then SIGCONT
    STORE = "store"  # the store answers a request wrongly, late or not at all
    HOP = "hop"  # the same between our own processes
    BACKENDS = "backends"  # every connection to one database is ended by the server
    DISK = "disk"  # the spool disk is full


class Action(StrEnum):
    """What a fault proxy does with a request."""

    REFUSE = "refuse"  # 503, and nothing is forwarded
    LOSE = "lose"  # forwarded and carried out, then 503
    RESET = "reset"  # the connection breaks before anything is forwarded
    RESET_BODY = "reset-body"  # it breaks in the middle of the request's body
    RESET_ANSWER = "reset-answer"  # forwarded and carried out, then it breaks
    RESET_HALF = "reset-half"  # it breaks in the middle of the answer's body
    STALL = "stall"  # it waits, sometimes longer than whoever asks, then goes on
    LIE = "lie"  # 200 with an error in it, nothing carried out
    LIE_DONE = "lie-done"  # carried out, and yet 200 with an error in it


@dataclass(frozen=True, slots=True)
class Upload:
    """One file and how its client sends it. Indexes are those of ``slices``."""

    strategy: Strategy
    name: str
    slices: tuple[int, ...]  # bytes of each; none: an empty file
    order: tuple[int, ...]  # in which they are sent; the last of them completes the upload
    again: tuple[int, ...]  # sent a second time after they were accepted
    broken: tuple[int, ...]  # first sent half, then the client hangs up
    replaced: int | None  # sent with other bytes before the right ones
    checksums: bool
    twice: bool  # what completes the upload is sent twice at once
    afterwards: bool  # ... and once more after it was answered
    at_once: int  # slices under way at the same time
    stops_after: int | None  # the client walks away after so many of its requests
    aborts: bool  # ... and says so
    pause_s: float  # before it begins
    mode: str  # of one request that holds the whole file
    seed: int  # of its bytes

    @property
    def size_bytes(self) -> int:
        return sum(self.slices)

    @property
    def steps(self) -> int:
        """About how many requests it takes."""
        per_slice = 2 if self.strategy is Strategy.MULTIPART else 1
        sends = len(self.slices) + len(self.again) + len(self.broken)
        if self.strategy is Strategy.FILE:
            return sends
        return 1 + sends * per_slice + (self.strategy is not Strategy.PROXY)


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    targets: tuple[str, ...] = ()  # parts; a hop and a kind of request; or a kind of request to the store
    action: Action | None = None
    skip: int = 0  # matching requests that are let through first
    count: int = 1  # matching requests that are hit
    after: float = 0.0  # share of the case's requests after which it begins
    pause_s: float = 0.0  # and so much later
    length_s: float = 0.0

    @property
    def may_cost_parts(self) -> bool:
        """Whether the store may forget parts that it was joining, so that an upload has to begin again."""
        standing = self.kind in {Kind.KILL, Kind.PAUSE} and {"upload", "upload-2", "store"} & {*self.targets}
        return self.kind is Kind.STORE or bool(standing)


@dataclass(frozen=True, slots=True)
class Case:
    seed: int
    chunk_store: str
    clock_ahead: bool  # one upload replica lives two minutes in the future
    uploads: tuple[Upload, ...]
    faults: tuple[Fault, ...]

    def within(self, strategies: Collection[Strategy], *, keeps_beginnings: bool = False) -> Case:
        """The same case without what a system cannot take.

        Args:
            keeps_beginnings: of a store that keeps a PUT that broke off. One that arrives late replaces what
                was acknowledged meanwhile, and nobody but the store could prevent it.
        """
        taken = (one for one in self.uploads if one.strategy in strategies)
        return replace(
            self,
            uploads=tuple(
                replace(one, broken=()) if keeps_beginnings and one.strategy is Strategy.SINGLE else one
                for one in taken
            ),
        )

    def told(self) -> dict[str, Any]:
        """The whole plan, for a person."""
        return asdict(self)


# The operations of the store as ``store_proxy`` names them, with those that matter most more often.
STORE_OPS = (
    "put_object", "put_object", "upload_part", "upload_part", "complete_multipart", "complete_multipart",
    "complete_multipart", "create_multipart", "copy_object", "copy_object", "upload_part_copy", "list_parts",
    "get_object", "get_object", "head_object", "delete_object", "delete_objects", "abort_multipart", "any",
    "any",
)  # fmt: skip
LYING_OPS = ("complete_multipart", "complete_multipart", "copy_object", "upload_part_copy")
# Those that the services' store client waits longer for.
SLOW_OPS = frozenset({"complete_multipart", "copy_object", "upload_part_copy"})
# A hop, and the last word of the path.
HOPS = (
    ("upload", "chunk"), ("upload", "chunk"), ("upload", "complete"), ("upload", "session"),
    ("upload", "part"), ("upload", "file"), ("upload", "any"), ("files", "file"), ("files", "file"),
    ("files", "file"), ("files", "any"),
)  # fmt: skip
KILLED = (
    ("upload",), ("upload",), ("upload-2",), ("upload", "upload-2"), ("files",), ("files", "files-2"),
    ("files-2",), ("gateway",), ("gateway-2",), ("gateway", "gateway-2"), ("auth",), ("auth", "auth-2"),
    ("pg-auth",), ("pg-upload",), ("pg-files",), ("store",), ("store",), ("upload", "store"),
    ("upload", "files"), ("pg-upload", "upload-2"),
)  # fmt: skip
PAUSED = (
    ("upload",), ("upload",), ("upload-2",), ("upload", "upload-2"), ("files",), ("files", "files-2"),
    ("files-2",), ("gateway",), ("gateway", "gateway-2"), ("auth", "auth-2"), ("pg-auth",), ("pg-upload",),
    ("pg-files",), ("store",), ("store",),
)  # fmt: skip


def draw(seed: int) -> Case:
    """The case of a seed."""
    rng = random.Random(seed)
    chunk_store = "disk" if rng.random() < 0.3 else "s3"
    clock_ahead = rng.random() < 0.15
    uploads = _uploads(rng)
    number = rng.choices((0, 1, 2, 3), (1, 6, 4, 2))[0]
    faults = tuple(_fault(rng, chunk_store) for _ in range(number))
    return Case(seed, chunk_store, clock_ahead, uploads, faults)


def _uploads(rng: random.Random) -> tuple[Upload, ...]:
    found: list[Upload] = []
    left_bytes = MAX_CASE_BYTES
    for _ in range(rng.randint(2, 7)):
        one = _upload(rng)
        if one.size_bytes <= left_bytes:
            found.append(one)
            left_bytes -= one.size_bytes
    return tuple(found)


def _upload(rng: random.Random) -> Upload:
    strategy = rng.choices(tuple(Strategy), (12, 6, 2, 3))[0]
    slices = _slices(rng, strategy)
    indexes = range(len(slices))
    order = rng.sample(indexes, len(slices)) if rng.random() < 0.6 else list(indexes)
    replaced = None
    if strategy is Strategy.PROXY and len(slices) > 1 and rng.random() < 0.15:
        replaced = order[0]
    stops = rng.random() < 0.15
    return Upload(
        strategy=strategy,
        name=rng.choice(NAMES),
        slices=slices,
        order=tuple(order),
        again=_some(rng, order[:-1]),
        broken=_some(rng, indexes),
        replaced=replaced,
        checksums=rng.random() < 0.6,
        twice=rng.random() < 0.35,
        afterwards=rng.random() < 0.2,
        at_once=rng.choice((1, 1, 2, 4)),
        stops_after=rng.randint(1, max(1, len(slices))) if stops else None,
        aborts=rng.random() < 0.5,
        pause_s=rng.choice((0.0, 0.0, rng.uniform(0, 0.3))),
        mode=rng.choice(("streamed", "streamed", "spooled", "buffered")),
        seed=rng.getrandbits(48),
    )


def _some(rng: random.Random, among: Sequence[int]) -> tuple[int, ...]:
    """Mostly none, else a few."""
    if not among or rng.random() < 0.65:
        return ()
    return tuple(sorted(rng.sample(among, rng.randint(1, min(3, len(among))))))


def _slices(rng: random.Random, strategy: Strategy) -> tuple[int, ...]:
    if rng.random() < 0.03:
        return ()
    if strategy in {Strategy.SINGLE, Strategy.FILE}:
        return (_size(rng),)
    if strategy is Strategy.MULTIPART:
        return _parts(rng)
    return _chunks(rng)


def _size(rng: random.Random) -> int:
    shape = rng.choices(("tiny", "small", "block", "edge", "large"), (2, 3, 3, 3, 2))[0]
    if shape == "tiny":
        return rng.randint(1, 64)
    if shape == "small":
        return rng.randint(65, 300 * KIB)
    if shape == "block":
        return rng.choice((64 * KIB, 256 * KIB, MIB)) + rng.randint(-1, 1)
    if shape == "edge":
        return min(
            MAX_FILE_BYTES,
            rng.choice((MIN_PART_BYTES, MAX_CHUNK_BYTES, MAX_FILE_BYTES)) + rng.randint(-1, 1),
        )
    return rng.randint(MIB, MAX_FILE_BYTES)


def _parts(rng: random.Random) -> tuple[int, ...]:
    """All parts but the last are equal, and at least 5 MiB."""
    size = _size(rng)
    part = rng.choice((MIN_PART_BYTES, MIN_PART_BYTES + 1, rng.randint(MIN_PART_BYTES, MAX_FILE_BYTES)))
    return tuple(min(part, size - at) for at in range(0, size, part))


def _chunks(rng: random.Random) -> tuple[int, ...]:
    """Irregular slices: of one size, cut anywhere or around the edges that the store knows; or some that a
    store can join, among others that it cannot."""
    if rng.random() < 0.3:
        return _mixed(rng)
    size = _size(rng)
    if rng.random() < 0.5:
        wanted = rng.choice((1, 1, 2, 3, 5, 12))
        cuts = sorted({rng.randrange(size) for _ in range(wanted - 1)} | {0})
    else:
        cuts, at = [0], 0
        while len(cuts) < 12:
            at += rng.choice(
                (1, 64 * KIB, MIN_PART_BYTES - 1, MIN_PART_BYTES, MIN_PART_BYTES + 1, MAX_CHUNK_BYTES)
            )
            if at >= size:
                break
            cuts.append(at)
    ends = [*cuts[1:], size]
    whole = [(end - start) for start, end in zip(cuts, ends, strict=True) if end > start]
    return tuple(piece for slice_ in whole for piece in _no_longer(slice_))


def _mixed(rng: random.Random) -> tuple[int, ...]:
    joined = rng.randint(MIN_PART_BYTES, MIN_PART_BYTES + 2 * MIB)
    left = MAX_FILE_BYTES - joined
    slices = [joined]
    while len(slices) < 4:
        slices.append(rng.choice((rng.randint(1, 64), rng.randint(1, 2 * MIB), MIN_PART_BYTES - 1)))
        left -= slices[-1]
        if left <= 0:
            slices.pop()
            break
    rng.shuffle(slices)
    return tuple(slices)


def _no_longer(size: int) -> list[int]:
    return [min(MAX_CHUNK_BYTES, size - at) for at in range(0, size, MAX_CHUNK_BYTES)]


def _fault(rng: random.Random, chunk_store: str) -> Fault:
    kinds = {Kind.KILL: 5, Kind.PAUSE: 3, Kind.STORE: 8, Kind.HOP: 5, Kind.BACKENDS: 2}
    kinds[Kind.DISK] = 4 if chunk_store == "disk" else 1  # whole bodies are spooled with either
    kind = rng.choices(tuple(kinds), tuple(kinds.values()))[0]
    after = rng.choice((rng.random(), rng.uniform(0.6, 0.95)))  # often while files are finished
    pause_s = rng.choice((0.0, rng.uniform(0, 0.03), rng.uniform(0, 0.2)))
    if kind is Kind.STORE:
        return _store_fault(rng)
    if kind is Kind.HOP:
        actions = (
            Action.REFUSE,
            Action.LOSE,
            Action.RESET,
            Action.RESET_BODY,
            Action.RESET_ANSWER,
            Action.RESET_HALF,
            Action.STALL,
        )
        return Fault(
            kind,
            rng.choice(HOPS),
            rng.choice(actions),
            skip=rng.choice((0, 0, 1, rng.randint(0, 6))),
            count=rng.choice((1, 1, 2, 5)),
            length_s=rng.uniform(0.2, 2.5),
        )
    if kind is Kind.KILL:
        return Fault(kind, rng.choice(KILLED), after=after, pause_s=pause_s)
    if kind is Kind.BACKENDS:
        return Fault(
            kind, (rng.choice(("pg-upload", "pg-upload", "pg-files")),), after=after, pause_s=pause_s
        )
    length_s = rng.choice((rng.uniform(0.2, 1.0), rng.uniform(2.2, 4.0)))
    targets = rng.choice(PAUSED) if kind is Kind.PAUSE else ()
    return Fault(kind, targets, after=after, pause_s=pause_s, length_s=length_s)


def _store_fault(rng: random.Random) -> Fault:
    action = rng.choice(tuple(Action))
    op = rng.choice(LYING_OPS if action in {Action.LIE, Action.LIE_DONE} else STORE_OPS)
    skip = rng.choice((0, 0, 1, rng.randint(0, 6)))
    slow = op in SLOW_OPS
    if action is Action.STALL and rng.random() < (0.1 if slow else 0.4):  # each costs what it lasts
        waits_s = SLOW_READ_S if slow else READ_S
        return Fault(Kind.STORE, (op,), action, skip=skip, length_s=waits_s + rng.uniform(1, 4))
    return Fault(
        Kind.STORE,
        (op,),
        action,
        skip=skip,
        count=rng.choice((1, 1, 2, 3, 8)),
        length_s=rng.uniform(0.2, 2.5),
    )
