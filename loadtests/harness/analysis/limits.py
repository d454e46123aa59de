"""What set the number: named only with evidence, otherwise not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from loadtests.harness import cost
from loadtests.harness.analysis.facts import Facts
from loadtests.harness.periods import Period
from loadtests.harness.records.plan import Arm, Part, PartKind
from loadtests.harness.records.result import Limit, evidence_id
from loadtests.harness.records.vocabulary import service_of
from loadtests.harness.wording import unit_of

ALL_BUSY = 0.92  # of the host's cores
ONE_CORE = 0.90
K6_SHARE = 0.80  # of the cores that it may use
K6_CEILING = 0.5  # of what it does by itself
MEMORY = 0.90  # of the host's
OTHERS = 0.10  # of the host's cores, used by other programs: worth a word
WAITING = 1.0  # requests without a database connection, on average
REFUSED = 0.01  # of the uploads begun
# One Python process, or one event loop, runs on one core whatever the machine has.
SINGLE_THREADED = ("gateway", "auth", "upload", "files", "nginx", "pgbouncer", "redis")
JUDGED = (PartKind.COMPARE, PartKind.SIZES, PartKind.LEVELS, PartKind.FLEET)


@dataclass(frozen=True, slots=True)
class Scene:
    """All periods of one arm in one part."""

    facts: Facts
    arm: Arm
    periods: Sequence[Period]

    @property
    def seconds(self) -> float:
        return sum(period.counted_s for period in self.periods)

    def cores_of(self, watched: str) -> float:
        return sum(period.cpu_s.get(watched, 0.0) for period in self.periods) / self.seconds

    @property
    def busy_share(self) -> float | None:
        """Of the host's cores; None where nobody looked."""
        known = [p for p in self.periods if p.host_busy_s is not None]
        seconds, cores = sum(p.counted_s for p in known), self.facts.cores
        return sum(p.host_busy_s or 0.0 for p in known) / seconds / cores if seconds and cores else None

    @property
    def rest_cores(self) -> float:
        """Busy with what nobody watches."""
        known = [p for p in self.periods if p.host_busy_s is not None]
        seconds = sum(p.counted_s for p in known)
        rest = sum((p.host_busy_s or 0.0) - sum(p.cpu_s.values()) for p in known)
        return rest / seconds if seconds else 0.0


@dataclass(frozen=True, slots=True)
class Found:
    what: str
    evidence: str
    advice: str | None = None


Finder = Callable[[Scene], Found | None]


def limits(facts: Facts) -> tuple[Limit, ...]:
    """One for each arm of each part that drives the system to its end; ``what`` is None without evidence. An
    arm of which everything failed has no rate that anything could have set."""
    return tuple(
        _limit(part.name, scene)
        for part, scene in scenes(facts)
        if any(period.touched or period.limited for period in scene.periods)
    )


def scenes(facts: Facts) -> Iterator[tuple[Part, Scene]]:
    return ((part, Scene(facts, arm, own)) for part, arm, own in facts.turns(*JUDGED))


def _limit(part: str, scene: Scene) -> Limit:
    found = next((one for finder in FINDERS if (one := finder(scene))), None)
    known = asdict(found) if found else {}
    return Limit(id=evidence_id("limit", part, scene.arm.name), part=part, arm=scene.arm.name, **known)


def rate_limiter(scene: Scene) -> Found | None:
    refused = sum(period.limited for period in scene.periods)
    begun = refused + sum(period.touched for period in scene.periods)
    if not begun or refused / begun <= REFUSED:
        return None
    said = f"{refused} of {begun} {unit_of([scene.arm])}s were answered 429"
    return Found("the rate limiter", said, "set RATE_LIMIT=off, or ask for less load")


def memory(scene: Scene) -> Found | None:
    held = max((sum(period.peak_rss_bytes.values()) for period in scene.periods), default=0)
    size = scene.facts.manifest.host.get("memory_bytes")
    if not size or held / float(size) <= MEMORY:
        return None
    said = f"the processes held {held / 1e9:.1f} of {float(size) / 1e9:.1f} GB"
    return Found("memory", said, "use fewer VUs or smaller files")


def load_generator(scene: Scene) -> Found | None:
    allowed, used = scene.facts.manifest.k6_cores, scene.cores_of(cost.GENERATOR)
    if allowed > 0 and used / allowed > K6_SHARE:
        said = f"k6 used {used:.1f} of the {allowed:g} cores that it may use"
        return Found("the load generator", said, "run k6 on cores of its own, or use fewer VUs")
    ceiling = scene.facts.manifest.ceilings.get(scene.arm.strategy or "")
    rate = cost.uploads_in(scene.periods) / scene.seconds
    if ceiling is None or scene.arm.download or ceiling.file_size_bytes != scene.arm.file_size_bytes:
        return None
    if rate / ceiling.uploads_per_s <= K6_CEILING:
        return None
    said = f"{rate:.0f} uploads/s; k6 by itself does {ceiling.uploads_per_s:.0f}"
    return Found("the load generator", said, "run k6 on cores of its own")


def all_processors(scene: Scene) -> Found | None:
    busy = scene.busy_share
    if busy is None or busy < ALL_BUSY:
        return None
    cores = scene.facts.cores or 0
    others = 0.0 if scene.facts.unseen(scene.arm.name) else scene.rest_cores
    beside = f", {others:.1f} of them with other programs" if others > OTHERS * cores else ""
    return Found("all processors", f"{min(busy, 1) * cores:.1f} of {cores:g} cores were busy{beside}")


def one_core(scene: Scene) -> Found | None:
    """A process that cannot use a second core, while the machine has one to give."""
    busy = scene.busy_share
    names = {name for period in scene.periods for name in period.cpu_s if _single_threaded(name, scene.arm)}
    used = {name: scene.cores_of(name) for name in names}
    fullest = max(used, key=lambda name: used[name], default=None)
    if busy is None or fullest is None or used[fullest] <= ONE_CORE:
        return None
    idle = (1 - busy) * (scene.facts.cores or 0)
    name = fullest.rpartition("/")[2]
    said = f"{name} used {used[fullest] * 100:.0f} % of one core while {idle:.1f} cores were idle"
    return Found(f"one core of {name}", said, "let it run in more processes: make up WORKERS=")


def _single_threaded(watched: str, arm: Arm) -> bool:
    stack, _, process = watched.rpartition("/")
    return stack in ("", arm.stack) and service_of(process) in SINGLE_THREADED


def pool_wait(scene: Scene) -> Found | None:
    totals: dict[str, float] = {}
    looks = [
        look
        for look in scene.facts.looks
        if look.pool_waiting and any(p.begin <= look.at < p.end for p in scene.periods)
    ]
    for look in looks:
        for name, waiting in look.pool_waiting.items():
            if name.rpartition("/")[0] in ("", scene.arm.stack):
                totals[name] = totals.get(name, 0.0) + waiting / len(looks)
    longest = max(totals, key=lambda name: totals[name], default=None)
    if longest is None or totals[longest] <= WAITING:
        return None
    name = longest.rpartition("/")[2]
    said = f"{totals[longest]:.1f} requests of {name} waited for a database connection at any time"
    return Found(f"the database pool of {name}", said, "raise DB_POOL_MAX")


# The first that has evidence is named: a refusal, or a generator at its end, explains what comes after it.
FINDERS: tuple[Finder, ...] = (rate_limiter, memory, load_generator, all_processors, one_core, pool_wait)
