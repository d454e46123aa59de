"""What one upload costs: processor time by process, SQL statements, store requests, bytes, memory.

CPU-seconds per upload of a process are its CPU-seconds over the uploads of the same periods (the utilisation
law). ``cpu_per_upload`` is the only function that says them, so that every report has the same figure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loadtests.harness.intervals import NOTHING, ratio_of_sums
from loadtests.harness.periods import Period
from loadtests.harness.records.plan import Arm, Part, PartKind, Plan, Stretch
from loadtests.harness.records.result import Interval, Price, evidence_id
from loadtests.harness.records.samples import Counted
from loadtests.harness.records.vocabulary import STORES, service_of

SERVICES = ("gateway", "upload", "files")
DATABASES = ("pg-upload", "pg-files")
JOINTS = ("nginx", "pgbouncer", "redis")  # where a setting asks for them
AUTHENTICATION = ("auth", "pg-auth")
AUTHENTICATION_DATABASE = "auth_db"
SHARED = (*DATABASES, "pg-auth", *STORES)
GENERATOR, HARNESS = "k6", "harness"
EXPORTERS = "exporters"
IDLE_STACK = "idle stack"  # processes of stacks whose turn it is not
REST = "rest"  # of the host: what nobody watches
# The order in which tables and charts name processes; others follow by name.
PROCESS_ORDER = (*SERVICES, *DATABASES, *JOINTS, *STORES, *AUTHENTICATION, GENERATOR, HARNESS, IDLE_STACK)
# Equations whose columns are nearly the same say how much all arms needed, but not how much each.
_WELL_POSED = 30.0


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU-seconds of one period, or of several, as the arm's whose turn it was."""

    by_process: Mapping[str, float]  # replicas of a service together
    ours: float | None  # our services and their databases, authentication apart; None if one was not watched


def process_order(name: str) -> tuple[int, str]:
    return (PROCESS_ORDER.index(name) if name in PROCESS_ORDER else len(PROCESS_ORDER), name)


def spent(period: Period, arm: Arm) -> Spent:
    """Processes of the arm's own stack, shared ones, and what is nobody's part in it."""
    by_process: dict[str, float] = defaultdict(float)
    ours, priced = 0.0, False
    for watched, used in period.cpu_s.items():
        name, mine = shown_name(watched, arm, period.cpu_s)
        by_process[name] += used
        ours += used if mine else 0.0
        priced = priced or mine
    if period.host_busy_s is not None:
        by_process[REST] = period.host_busy_s - sum(period.cpu_s.values())
    expected = () if arm.target is not None else (*SERVICES, *DATABASES)
    whole = priced and all(name in by_process for name in expected)
    return Spent(dict(by_process), ours if whole else None)


def shown_name(watched: str, arm: Arm, beside: Container[str] = ()) -> tuple[str, bool]:
    """Under which name a watched process counts when it is the arm's turn, and whether it is "ours".

    Databases and stores that several stacks share are of no stack: they are the arm's unless its own stack
    has such a process ``beside``, or is another implementation.
    """
    stack, _, process = watched.rpartition("/")
    name = service_of(process)
    if stack != arm.stack and (_is_foreign(stack, name, arm) or f"{arm.stack}/{process}" in beside):
        return IDLE_STACK, False
    if name.startswith("exporter-"):
        return EXPORTERS, False
    own = stack == arm.stack and stack != "" and name not in (*AUTHENTICATION, *STORES)
    return name, own or name in (*SERVICES, *DATABASES, *JOINTS)


def _is_foreign(stack: str, name: str, arm: Arm) -> bool:
    """Whether a process of a stack that is not the arm's is no use to it."""
    ours = (*SERVICES, "auth", *(() if arm.target is None else (*SHARED, *JOINTS)))
    return stack != "" or name in ours


def cpu_per_upload(units: Sequence[Sequence[Period]], arm: Arm, process: str | None = None) -> Interval:
    """CPU-seconds for one upload of the arm, of one process or of all that are ours, over blocks."""
    uses = [_used(periods, arm, process) for periods in units]
    known = [
        (used, uploads_in(periods)) for used, periods in zip(uses, units, strict=True) if used is not None
    ]
    if not known:
        return NOTHING
    used, uploads = zip(*known, strict=True)
    return ratio_of_sums(used, uploads)


def cpu_by_process(units: Sequence[Sequence[Period]], arm: Arm) -> dict[str, Interval]:
    """The same for every process that was watched all the time."""
    names = {name for periods in units for period in periods for name in spent(period, arm).by_process}
    return {name: cpu_per_upload(units, arm, name) for name in sorted(names, key=process_order)}


def share_of(process: str, used: Mapping[str, Interval]) -> Interval:
    """What a process takes of the processor time of all in ``used``, itself among them; from ends to ends:
    wider than need be, never too narrow. Nothing where one of them was not watched."""
    own, others = used.get(process, NOTHING), [one for name, one in used.items() if name != process]
    if own.value is None or any(one.value is None for one in others):
        return NOTHING

    def share(mine: float | None, rest: Sequence[float | None]) -> float | None:
        known = [part for part in rest if part is not None]
        return None if mine is None or len(known) < len(rest) else mine / (mine + sum(known))

    return Interval(
        n=own.n,
        value=share(own.value, [other.value for other in others]),
        low=share(own.low, [other.high for other in others]),
        high=share(own.high, [other.low for other in others]),
    )


def share_of_services(process: str, used: Mapping[str, Interval]) -> Interval:
    """The same of the four services alone."""
    return share_of(process, {name: used.get(name, NOTHING) for name in (*SERVICES, "auth")})


def cpu_of(periods: Sequence[Period], arm: Arm, process: str | None = None) -> float | None:
    """CPU-seconds per upload in these periods alone; None without uploads or where nobody looked."""
    used, uploads = _used(periods, arm, process), uploads_in(periods)
    return used / uploads if used is not None and uploads > 0 else None


def rate_without_k6_per_s(periods: Sequence[Period], arm: Arm) -> float | None:
    """Uploads per second that a full machine would do if k6 ran elsewhere: rate x busy / (busy - k6's).

    Processors that are all busy do as many uploads as their time pays for: rate = busy / (rest + k6's), in
    CPU-seconds per second and per upload. Without k6's part the same time pays for busy / rest uploads, if
    the rest of an upload costs what it did. None where nobody looked.
    """
    used, busy = _used(periods, arm, GENERATOR), [period.host_busy_s for period in periods]
    known, seconds = sum(one or 0.0 for one in busy), sum(period.counted_s for period in periods)
    if used is None or None in busy or known <= used or seconds <= 0:
        return None
    return uploads_in(periods) / seconds * known / (known - used)


def uploads_in(periods: Sequence[Period]) -> float:
    return sum(period.uploads for period in periods)


def _used(periods: Sequence[Period], arm: Arm, process: str | None) -> float | None:
    total = 0.0
    for period in periods:
        one = spent(period, arm)
        used = one.ours if process is None else one.by_process.get(process)
        if used is None:
            return None
        total += used
    return total


def prices(plan: Plan, stretches: Sequence[Stretch], counted: Sequence[Counted],
           periods: Mapping[str, Sequence[Period]]) -> tuple[Price, ...]:  # fmt: skip
    """One for each arm of the comparison. ``periods`` are by part."""
    pieces = Pieces(plan, stretches, counted)
    return tuple(_price(plan, arm, pieces, periods) for arm in plan.arms if arm.strategy is not None)


def _price(plan: Plan, arm: Arm, pieces: Pieces, periods: Mapping[str, Sequence[Period]]) -> Price:
    crowds = (one for part in plan.parts if part.kind is PartKind.CROWD for one in part.arms)
    # A crowd has no other turns than those of its levels.
    names = {arm.name, *(one.name for one in crowds if one.of == arm.name)}
    turns = [p for part in plan.parts for p in periods.get(part.name, ()) if p.arm in names]
    gateway_in = pieces.each(arm, lambda one: one.gateway_bytes_in)
    gateway_out = pieces.each(arm, lambda one: one.gateway_bytes_out)
    return Price(
        id=evidence_id("price", arm.name),
        arm=arm.name,
        statements=pieces.each(arm, _statements),
        statements_expected=plan.statements_per_upload.get(arm.name),
        store_requests=pieces.each(arm, _store_requests),
        store_requests_expected=plan.store_requests_per_upload.get(arm.name),
        gateway_bytes_in=None if gateway_in is None else gateway_in / arm.file_size_bytes,
        gateway_bytes_out=None if gateway_out is None else gateway_out / arm.file_size_bytes,
        requests=plan.requests_per_upload.get(arm.name, 0),
        peak_rss_bytes=peak_memory(turns, arm),
    )


def peak_memory(periods: Sequence[Period], arm: Arm) -> dict[str, int]:
    """The most that each service held in any of the arm's periods, replicas together."""
    peaks: dict[str, int] = {}
    for period in periods:
        for name, size in held_bytes(period.peak_rss_bytes, arm).items():
            peaks[name] = max(size, peaks.get(name, 0))
    return {name: peaks[name] for name in sorted(peaks, key=process_order) if name != IDLE_STACK}


def held_bytes(watched: Mapping[str, int], arm: Arm) -> dict[str, int]:
    """Memory by the names that processes have when it is the arm's turn, replicas together."""
    held: dict[str, int] = defaultdict(int)
    for name, size in watched.items():
        held[shown_name(name, arm, watched)[0]] += size
    return dict(held)


def _statements(one: Counted) -> float | None:
    """SQL statements, authentication apart."""
    counts = [n for name, n in one.statements.items() if not name.endswith(AUTHENTICATION_DATABASE)]
    return sum(counts) if one.statements else None


def _store_requests(one: Counted) -> float | None:
    return sum(one.store_requests.values()) if one.store_requests else None


class Pieces:
    """What the services counted over pieces of load, divided among the arms that uploaded in them.

    A piece in which several arms uploaded is one equation with one unknown for each arm. Pieces beside which
    users logged in or listed are left out: their statements are no upload's.
    """

    def __init__(self, plan: Plan, stretches: Sequence[Stretch], counted: Sequence[Counted]) -> None:
        parts = {part.name: part for part in plan.parts}
        part_of = {stretch.stretch: parts[stretch.part] for stretch in stretches if stretch.part in parts}
        arms = {(arm.of, arm.file_size_bytes): arm.name for arm in plan.arms}
        self._rows = [
            (one, uploads)
            for one in counted
            if (uploads := _uploads_by_arm(one, part_of, arms)) and not plan.login_each
        ]

    def each(self, arm: Arm, total: Callable[[Counted], float | None]) -> float | None:
        """How much of something there was for one upload of the arm, whose unknown is found by least squares;
        None where the equations do not tell the arms apart."""
        known = [
            (uploads, counted)
            for one, uploads in self._rows
            if one.stack == arm.stack and (counted := total(one)) is not None
        ]
        names = sorted({name for uploads, _ in known for name in uploads})
        if arm.name not in names:
            return None
        counts = np.array([[uploads.get(name, 0) for name in names] for uploads, _ in known], dtype=float)
        sizes = np.linalg.norm(counts, axis=0)
        scaled = counts / sizes
        if len(known) < len(names) or np.linalg.cond(scaled) > _WELL_POSED:
            return None
        solution = np.linalg.lstsq(scaled, np.array([counted for _, counted in known]), rcond=None)[0] / sizes
        return float(solution[names.index(arm.name)])


def _uploads_by_arm(
    one: Counted, part_of: Mapping[str, Part], arms: Mapping[tuple[str, int], str]
) -> dict[str, int] | None:
    """Verified uploads by the arm of the comparison that they are like; None if others are among them, if
    others did more than upload, or if a kill made many fail in the middle."""
    parts = [part_of[name] for name in one.stretches if name in part_of]
    if len(parts) < len(one.stretches) or any(
        part.login_rate_per_s or part.list_rate_per_s or part.kind is PartKind.KILL for part in parts
    ):
        return None
    kinds = {arm.name: arms.get((arm.of, arm.file_size_bytes)) for part in parts for arm in part.arms}
    found: dict[str, int] = defaultdict(int)
    for name, uploads in one.uploads.items():
        alike = kinds.get(name)
        if uploads and alike is None:
            return None
        if alike is not None and uploads:
            found[alike] += uploads
    return dict(found) or None
