"""GoVault's sentences, restated, each with its number, ours, a verdict and why. Pure.

A ratio of the two methods is taken level by level, where both ramps ran to their end, and the levels repeat
each other: the interval is over levels. What is said of waits leaves out the ramps in which more than a few
requests failed: there a p95 is a time limit, and both methods have the same one. What is a share of one ramp
has an exact binomial interval, which takes its requests as independent; they are not, so such a sentence is
refuted only where the claimed share is missed by a factor of two.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loadtests.harness.claims import Decision, decide, together
from loadtests.harness.govault.records import Row, Step, Told
from loadtests.harness.govault.rows import CUT_OFF, FAILED, LOST, NO_ROUND, NO_UPLOAD
from loadtests.harness.govault.source import FILE_BYTES, STEPS
from loadtests.harness.intervals import FEWEST_UNITS, mean_of, mean_ratio, slope_of
from loadtests.harness.latency import STEPS as NEIGHBOURS
from loadtests.harness.records.plan import Decides
from loadtests.harness.records.result import Interval
from loadtests.harness.testbeds.testbed import SERVICES
from loadtests.harness.verdict import FEWEST_TO_JUDGE
from loadtests.harness.wording import (
    count,
    listed,
    percent,
    percent_interval,
    ratio,
    size,
    with_interval,
)

MARGIN = 0.10
FAR = 2.0  # factor by which a share of one ramp must miss a claimed one
FULL_SCALE = 0.999
ANSWERED = 0.95  # of the requests behind a p95; where more fail, it is that of failures
FEWEST_ACKS = 300  # of which none is lost: then at most one of 100 is, with 95 % confidence
ANSWERED_RAMPS = (
    f"A ramp counts where at least {percent(ANSWERED)} of each kind of request were answered without an"
    " error."
)


@dataclass(frozen=True, slots=True)
class Said:
    """What this run says of a sentence."""

    ours: str
    decision: Decision
    why: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """All that sentences are judged by. ``password_hash`` is the auth service's."""

    rows: Sequence[Row]
    scale: float
    password_hash: str | None

    def row(self, level: int, method: str) -> Row | None:
        """A ramp of one of the source's levels; nothing where the levels are scaled or it did not end."""
        found = (one for one in self.rows if (one.level, one.method) == (level, method) and one.whole)
        return next(found, None) if self.scale > FULL_SCALE else None

    def pairs(self) -> Iterator[tuple[Row, Row]]:
        """Proxy and direct of every level at which both ended."""
        whole = {(one.level, one.method): one for one in self.rows if one.whole}
        for level in sorted({level for level, _ in whole}):
            if (level, "proxy") in whole and (level, "direct") in whole:
                yield whole[level, "proxy"], whole[level, "direct"]

    def direct_over_proxy(self, pick: Callable[[Row], float | None]) -> Interval:
        """The geometric mean over levels."""
        values = [(pick(proxy), pick(direct)) for proxy, direct in self.pairs()]
        return mean_ratio([math.log(direct / proxy) for proxy, direct in values if proxy and direct])


def told(study: Study) -> tuple[Told, ...]:
    """Every sentence, judged."""
    found = []
    for claim, theirs, judged in SENTENCES:
        said = judged(study)
        found.append(Told(claim=claim, theirs=theirs, ours=said.ours, decision=said.decision, why=said.why))
    return tuple(found)


def not_run() -> tuple[Told, ...]:
    """Every sentence while no run is on record."""
    return tuple(
        Told(claim=claim, theirs=theirs, ours="", decision=Decision.NOT_RUN, why="")
        for claim, theirs, _ in SENTENCES
    )


def _against(measured: Interval, *, least: float | None = None, shows: str | None = None) -> Decision:
    """By the rule of the prepared questions; nothing is decided over fewer levels than it takes blocks."""
    if measured.n < FEWEST_TO_JUDGE:
        return Decision.UNDECIDED
    wanted = Decides.model_validate(
        {"metric": "uploads_per_s", "arm": "direct", "over": "proxy", "least": least, "shows": shows}
    )
    return decide(wanted, measured, MARGIN)


def _over_levels(measured: Interval) -> str:
    return f"{ratio(measured)} times over {count(measured.n, 'level')}"


def _too_few(levels: int) -> str:
    return f"Both methods ended with enough requests at {count(levels, 'level')}; it takes {FEWEST_TO_JUDGE}."


# -- sentences


def throughput(study: Study) -> Said:
    requests = study.direct_over_proxy(lambda row: row.rps)
    files = study.direct_over_proxy(lambda row: row.files_per_s)
    if requests.value is None or files.value is None:
        return Said("no level at which both ended", Decision.NOT_REACHED)
    ours = f"requests per second {_over_levels(requests)}; files per second {_over_levels(files)}"
    decision = together([_against(requests, least=1.46), _against(files, least=1.46)])
    if decision is Decision.UNDECIDED and requests.n < FEWEST_TO_JUDGE:
        return Said(ours, decision, _too_few(requests.n))
    asked = {method: len(steps) for method, steps in STEPS.items()}
    why = (
        f"A file takes {asked['direct']} requests direct in parts and {asked['proxy']} through the server:"
        " requests per second do not say files per second."
    )
    return Said(ours, decision, why)


def proxy_breaks(study: Study) -> Said:
    proxy, direct = study.row(850, "proxy"), study.row(850, "direct")
    if proxy is None or direct is None:
        return Said("not measured at 850 clients", Decision.NOT_REACHED, _unreached(study, 850))
    through, past = percent_interval(proxy.errors), percent_interval(direct.errors)
    ours = f"{through} through the server, {past} direct in parts"
    why = " ".join((_failures([proxy, direct]), *_logins_lost(proxy, direct)))
    return Said(ours, _more_errors(proxy.errors, direct.errors, 0.14), why)


def _logins_lost(proxy: Row, direct: Row) -> Iterator[str]:
    """Logins are a larger part of the requests through the server, so equal losses of them look unequal."""
    through, past = _lost_logins(proxy), _lost_logins(direct)
    if through or past:
        yield (
            f"Of the logins {percent(through)} failed through the server and {percent(past)} direct in parts;"
            f" a login is one of {len(STEPS['proxy'])} requests through the server and one of"
            f" {len(STEPS['direct'])} direct in parts."
        )


def _lost_logins(row: Row) -> float:
    login = _step(row, "login")
    return 1 - login.ok / login.tried if login.tried else 0.0


def _more_errors(proxy: Interval, direct: Interval, claimed: float) -> Decision:
    if None in (proxy.low, proxy.high, direct.low, direct.high):
        return Decision.UNDECIDED
    if (proxy.high or 0.0) < claimed / FAR or (direct.low or 0.0) > FAR * (proxy.high or 0.0):
        return Decision.REFUTED
    clear = (proxy.low or 0.0) > FAR * (direct.high or 0.0)
    if clear and (proxy.low or 0.0) > claimed / FAR:
        return Decision.HOLDS
    # Direct requests are said not to fail: they do where they come near to what is said of the server.
    return Decision.REFUTED if (direct.low or 0.0) > claimed / FAR else Decision.UNDECIDED


def quicker(study: Study) -> Said:
    measured = study.direct_over_proxy(_p95_of_all)
    if measured.value is None:
        return Said("no level at which both ended and were answered", Decision.NOT_REACHED)
    ours = f"p95 over all requests, direct in parts over through the server: {_over_levels(measured)}"
    decision = _against(measured, shows="less")
    if measured.n < FEWEST_TO_JUDGE:
        return Said(ours, decision, _few_answered(study, measured.n))
    return Said(
        ours,
        decision,
        "The p95 is over all requests, and the two methods mix different ones: a slow login weighs one of"
        f" {len(STEPS['proxy'])} requests through the server and one of {len(STEPS['direct'])} direct in"
        " parts.",
    )


def _p95_of_all(row: Row) -> float | None:
    return row.p95.ms.value if row.requests - row.failed >= ANSWERED * row.requests else None


def neighbours(study: Study) -> Said:
    steps = {name: study.direct_over_proxy(_p95_of(name)) for name in NEIGHBOURS}
    if any(one.value is None for one in steps.values()):
        return Said("too few answered logins or lists at the levels that ended", Decision.NOT_REACHED)
    ours = "; ".join(
        f"p95 of {name}, direct in parts over through the server: {_over_levels(one)}"
        for name, one in steps.items()
    )
    decision = together([_against(one, shows="less") for one in steps.values()])
    fewest = min(one.n for one in steps.values())
    return Said(ours, decision, _few_answered(study, fewest) if fewest < FEWEST_TO_JUDGE else "")


def _p95_of(name: str) -> Callable[[Row], float | None]:
    def pick(row: Row) -> float | None:
        one = _step(row, name)
        return one.p95.ms.value if _answered(one) else None

    return pick


def _answered(step: Step) -> bool:
    """Whether its p95 is one of answers."""
    return step.ok >= ANSWERED * step.tried


def _few_answered(study: Study, levels: int) -> str:
    """Why so few levels are left, where failures are the reason."""
    left_out = levels < sum(1 for _ in study.pairs())
    why = (
        f" A level counts where at least {percent(ANSWERED)} of the requests were answered without an error."
    )
    return _too_few(levels) + (why if left_out else "")


def ghosts(study: Study) -> Said:
    row = study.row(850, "proxy")
    if row is None:
        return Said("not measured at 850 clients", Decision.NOT_REACHED, _unreached(study, 850))
    with_file = row.users - row.users_without
    ended = "an unknown number of" if row.iterations is None else f"{row.iterations:,}"
    ours = (
        f"{ended} iterations, {row.acked:,} acknowledged, {row.verified:,} files verified, {row.lost:,} lost;"
        f" {with_file:,} of {row.users:,} users have a file"
    )
    why = (
        "Iterations are rounds and folders are users: a user makes several rounds, so the two numbers differ"
        " without any loss. The ledger looks for every single upload."
    )
    if row.lost:
        return Said(ours, Decision.HOLDS, why)
    return Said(ours, Decision.REFUTED if row.acked >= FEWEST_ACKS else Decision.UNDECIDED, why)


def starved(study: Study) -> Said:
    row = study.row(850, "proxy")
    if row is None:
        return Said("not measured at 850 clients", Decision.NOT_REACHED, _unreached(study, 850))
    if not row.users_without:
        return Said(f"each of {row.users:,} users has a file", Decision.NOT_REACHED, "Nobody was left out.")
    idle = row.without_why.get(NO_ROUND, 0)
    if row.users_without == idle:
        with_file = f"{row.users - idle:,} of {row.users:,} users have a file"
        return Said(
            f"{with_file}; {idle:,} {NO_ROUND}", Decision.NOT_REACHED, "Nobody who began was left out."
        )
    ours = listed([f"{n:,} {why}" for why, n in row.without_why.items()])
    waited = sum(row.without_why.get(why, 0) for why in (NO_UPLOAD, CUT_OFF))
    others = sum(row.without_why.get(why, 0) for why in (FAILED, LOST))
    decision = Decision.HOLDS if not others else Decision.MIXED if waited else Decision.REFUTED
    return Said(
        ours,
        decision,
        "Starved are those who waited until the ramp was over; others failed. Who never began a round decides"
        " nothing.",
    )


def head_of_line(study: Study) -> Said:
    """Which part of the gap between median and p95 is left inside each kind of request."""
    whole = [row for row in study.rows if row.whole]
    shares = [share for row in whole if (share := _left_inside(row)) is not None]
    if not shares:
        return Said(
            "no ramp that ended with enough answered requests",
            Decision.NOT_REACHED,
            ANSWERED_RAMPS if whole else "",
        )
    found = mean_of(shares)
    ours = (
        f"{percent_interval(found)} of the gap is left inside the kinds of requests,"
        f" over {count(found.n, 'ramp')}"
    )
    if found.n < FEWEST_TO_JUDGE or found.low is None or found.high is None:
        too_few = f"It takes {FEWEST_TO_JUDGE} ramps."
        return Said(
            ours, Decision.UNDECIDED, f"{too_few} {ANSWERED_RAMPS}" if found.n < len(whole) else too_few
        )
    why = "The rest is between kinds: a login takes longer than a list, whoever waits behind whom."
    if found.low > 0.75:
        return Said(ours, Decision.HOLDS, why)
    if found.high < 0.25:
        return Said(ours, Decision.REFUTED, why)
    return Said(ours, Decision.MIXED if found.low >= 0.25 and found.high <= 0.75 else Decision.UNDECIDED, why)


def _left_inside(row: Row) -> float | None:
    """Nothing where one of the p95s is of failures."""
    if not all(_answered(one) for one in row.steps) or _p95_of_all(row) is None:
        return None
    gap = _log_gap(row.median.ms.value, row.p95.ms.value)
    inside = [(_log_gap(one.median.ms.value, one.p95.ms.value), one.tried) for one in row.steps]
    known = [(own, tried) for own, tried in inside if own is not None]
    if not gap or len(known) < len(inside):
        return None
    return sum(own * tried for own, tried in known) / sum(tried for _, tried in known) / gap


def _log_gap(median: float | None, p95: float | None) -> float | None:
    return math.log(p95 / median) if median and p95 else None


def password_hash(study: Study) -> Said:
    shares = [share for row in study.rows if row.whole and (share := _auth_share(row)) is not None]
    if not shares:
        return Said("processors were not looked at", Decision.NOT_REACHED)
    found = mean_of(shares)
    taken = f"auth takes {percent_interval(found)} of the four services' processor time"
    ours = f"{taken} with {study.password_hash}"
    if not (study.password_hash or "").startswith("bcrypt"):
        return Said(
            ours, Decision.NOT_REACHED, "The testbed hashes otherwise; make ask Q=hash compares hashes."
        )
    if found.low is None or found.high is None:
        return Said(ours, Decision.UNDECIDED)
    least, most = 0.7 / (1 + MARGIN), 0.8 * (1 + MARGIN)
    if least <= found.low and found.high <= most:
        return Said(ours, Decision.HOLDS)
    outside = found.high < least or found.low > most
    return Said(ours, Decision.REFUTED if outside else Decision.UNDECIDED)


def _auth_share(row: Row) -> float | None:
    used = {name: row.cpu_share.get(name) for name in SERVICES}
    total = sum(share for share in used.values() if share is not None)
    return None if None in used.values() or not total else (used["auth"] or 0.0) / total


def generator_memory(study: Study) -> Said:
    """The slope of k6's memory over its clients, by least squares over all ramps."""
    points = [(one.vus, one.k6_peak_bytes) for one in study.rows if one.whole and one.k6_peak_bytes]
    if len({vus for vus, _ in points}) < FEWEST_UNITS:
        return Said("too few levels", Decision.NOT_REACHED)
    slope = slope_of([float(vus) for vus, _ in points], [float(held) for _, held in points])
    ours = f"k6 holds {with_interval(slope, size)} more for each client, whose file has {size(FILE_BYTES)}"
    if slope.low is None or slope.high is None:
        return Said(ours, Decision.UNDECIDED)
    why = "Its script makes the file in every client; a shared one would not grow with them."
    if slope.low > FILE_BYTES:
        return Said(ours, Decision.HOLDS, why)
    return Said(ours, Decision.REFUTED if slope.high < FILE_BYTES else Decision.UNDECIDED, why)


def connections(study: Study) -> Said:
    """Whether what failed from 850 clients on failed to connect, or in its connection."""
    rows = [one for one in (study.row(level, "proxy") for level in (850, 925, 1000)) if one is not None]
    if not rows:
        return Said("not measured at 850 clients", Decision.NOT_REACHED, _unreached(study, 850))
    failures = _summed(one.failures for one in rows)
    total, broken = sum(failures.values()), sum(n for what, n in failures.items() if "transport-" in what)
    if not total:
        asked = sum(one.requests for one in rows)
        return Said(f"none of {asked:,} requests failed", Decision.NOT_REACHED, "Nothing failed.")
    ours = f"{broken:,} of {total:,} failures are of the connection ({_first(failures)})"
    share = broken / total
    decision = Decision.HOLDS if share > 0.75 else Decision.REFUTED if share < 0.25 else Decision.MIXED
    return Said(
        ours, decision, "k6's own codes: below 1400 there was no answer at all, 1050 is its own time limit."
    )


SENTENCES: tuple[tuple[str, str, Callable[[Study], Said]], ...] = (
    ("Direct uploads have 46 % more throughput.", "208 against 142 requests/s at 200 clients", throughput),
    (
        "Through the server, requests fail under load where direct ones do not.",
        "14 % against 0.73 % of the requests at 850 clients",
        proxy_breaks,
    ),
    ("Direct uploads make requests quicker.", "p95 0.78 s against 1.49 s at 200 clients", quicker),
    ("Direct uploads keep the other endpoints fast.", "no number", neighbours),
    (
        "Iterations without a folder are ghosts: uploads that were reported as done and are gone.",
        "13,425 iterations, 624 user folders at 850 clients",
        ghosts,
    ),
    ("Users without a folder were starved by the others.", "226 of 850 users", starved),
    (
        "The gap between median and p95 is requests that wait behind a slow one.",
        "59 ms against 1.49 s at 200 clients",
        head_of_line,
    ),
    (
        "The hashing of passwords takes most of the processors.",
        "70 to 80 % with bcrypt, from 500 clients",
        password_hash,
    ),
    (
        "The load generator's memory grows with its clients and their files.",
        "14 GB at 925 clients",
        generator_memory,
    ),
    ("What fails at 850 clients and more, fails for want of connections.", "no number", connections),
)  # fmt: skip


# -- helpers


def _unreached(study: Study, level: int) -> str:
    if study.scale <= FULL_SCALE:
        return f"SCALE={study.scale:g}: no ramp has {level} clients."
    return f"The ramp to {level} clients did not end; the table says why."


def _step(row: Row, name: str) -> Step:
    return next(one for one in row.steps if one.step == name)


def _failures(rows: Sequence[Row]) -> str:
    found = _summed(one.failures for one in rows)
    return f"Failed: {_first(found)}." if found else "No request failed."


def _summed(counts: Iterator[Mapping[str, int]]) -> dict[str, int]:
    found = Counter[str]()
    for own in counts:
        found.update(own)
    return dict(found.most_common())


def _first(failures: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} x {what}" for what, n in list(failures.items())[:3])
