"""From k6's lines, the audited uploads and the looks of one ramp to its row of the table. Pure."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loadtests.harness.govault.records import Ramp, Row, Step
from loadtests.harness.govault.source import STEPS, is_success
from loadtests.harness.intervals import of_all
from loadtests.harness.latency import percentile
from loadtests.harness.records.samples import Look, UploadSample
from loadtests.harness.records.vocabulary import LedgerClass, service_of

OK = 200  # what every check of GoVault's client asks for
# What became of users without a file, the nearest to a file last.
NO_ROUND = "never began a round"
NO_UPLOAD = "never came as far as an upload"
CUT_OFF = "were cut off in their upload when the ramp ended"
FAILED = "saw their upload fail"
LOST = "were told of a file that is not there"


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client, as k6 saw it; ``status`` 0 is no answer."""

    user: int
    step: str
    at: float
    duration_s: float
    status: int
    code: str | None

    @property
    def ended_at(self) -> float:
        return self.at + self.duration_s


@dataclass(slots=True)
class Lines:
    """What the lines of one ramp tell. ``rounds`` are the times at which each client began one."""

    rounds: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    requests: list[Request] = field(default_factory=list)
    intents: int = 0
    acked: int = 0


def read_lines(raw: Iterable[bytes]) -> Lines:
    """Lines that cannot be read are left out: the audit says that they are there."""
    found = Lines()
    for text in raw:
        try:
            _add(json.loads(text), found)
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _add(line: Mapping[str, Any], found: Lines) -> None:
    if line["e"] == "i":
        found.intents += 1
    elif line["e"] == "o":
        found.acked += line["ok"]
    elif line["step"] == "round":
        found.rounds[line["u"]].append(line["t"] / 1000)
    else:
        found.requests.append(
            Request(line["u"], line["step"], line["t"] / 1000, line["d"] / 1000, line["st"], line["c"])
        )


def row_of(
    ramp: Ramp,
    lines: Lines,
    *,
    uploads: Sequence[UploadSample],
    user_ids: Sequence[str],
    looks: Sequence[Look],
    cores: float | None,
) -> Row:
    """The row of a ramp that was run. ``uploads`` and ``looks`` are its own; ``user_ids`` are those of its
    users, in the order of the lines' numbers, as far as an upload names them."""
    begin, end = _bounds(ramp, lines)
    seconds = max(end - begin, 1e-3)
    failed = [one for one in lines.requests if not is_success(one.status)]
    waits = np.array([one.duration_s for one in lines.requests], dtype=np.float64)
    classes = Counter(one.ledger for one in uploads)
    verified = classes[LedgerClass.VERIFIED]
    without = _without(ramp, lines, uploads, user_ids)
    return Row(
        level=ramp.level,
        vus=ramp.vus,
        method=ramp.method,
        reached_vus=len(lines.rounds),
        mean_vus=_mean_vus(lines, end) / seconds,
        seconds=seconds,
        rounds=sum(len(own) for own in lines.rounds.values()),
        iterations=ramp.iterations,
        requests=len(lines.requests),
        failed=len(failed),
        errors=of_all(len(failed), len(lines.requests)),
        rps=len(lines.requests) / seconds,
        median=percentile(waits, 0.5),
        p95=percentile(waits, 0.95),
        intents=lines.intents,
        acked=lines.acked,
        verified=verified,
        files_per_s=verified / seconds,
        lost=classes[LedgerClass.LOST],
        other_classes={
            kind.value: count for kind, count in sorted(classes.items()) if kind is not LedgerClass.VERIFIED
        },
        users=ramp.vus,
        users_without=sum(without.values()),
        without_why=dict(without),
        steps=tuple(_step(name, lines.requests) for name in STEPS[ramp.method]),
        failures=dict(Counter(f"{one.step} {one.code or one.status}" for one in failed).most_common()),
        **_used(looks, cores),
        whole=ramp.whole,
    )


def _bounds(ramp: Ramp, lines: Lines) -> tuple[float, float]:
    begin = ramp.began_at or 0.0
    return begin, max((one.ended_at for one in lines.requests), default=begin)


def _mean_vus(lines: Lines, end: float) -> float:
    """Client-seconds: from a client's first round to its last answer, or to the end of one that got none."""
    last: dict[int, float] = {}
    for one in lines.requests:
        last[one.user] = max(last.get(one.user, 0.0), one.ended_at)
    return sum(last.get(user, end) - begins[0] for user, begins in lines.rounds.items())


def _step(name: str, requests: Sequence[Request]) -> Step:
    own = [one for one in requests if one.step == name]
    waits = np.array([one.duration_s for one in own], dtype=np.float64)
    return Step(
        step=name,
        tried=len(own),
        ok=sum(one.status == OK for one in own),
        median=percentile(waits, 0.5),
        p95=percentile(waits, 0.95),
    )


def _without(
    ramp: Ramp, lines: Lines, uploads: Sequence[UploadSample], user_ids: Sequence[str]
) -> Counter[str]:
    """Users of the ramp without a verified file, by what became of them."""
    own: dict[str, list[UploadSample]] = defaultdict(list)
    for one in uploads:
        own[one.user_id].append(one)
    found: Counter[str] = Counter()
    for number, user in enumerate(user_ids[: ramp.vus]):
        if not any(one.verified for one in own[user]):
            found[_why(number in lines.rounds, own[user])] += 1
    return found


def _why(began: bool, uploads: Sequence[UploadSample]) -> str:
    if not began:
        return NO_ROUND
    if not uploads:
        return NO_UPLOAD
    if any(one.ledger is LedgerClass.LOST for one in uploads):
        return LOST
    return FAILED if any(one.failed_at is not None for one in uploads) else CUT_OFF


def _used(looks: Sequence[Look], cores: float | None) -> dict[str, Any]:
    """Shares of all processors' time between the first look and the last, and the most memory of k6."""
    peaks = [look.rss_bytes["k6"] for look in looks if "k6" in look.rss_bytes]
    used: dict[str, Any] = {"cpu_share": {}, "busy_share": None, "k6_peak_bytes": max(peaks, default=None)}
    if len(looks) < 2 or not cores:
        return used
    first, last = looks[0], looks[-1]
    whole = (last.at - first.at) * cores
    shares: dict[str, float] = defaultdict(float)
    for name, spent in last.cpu_s.items():
        if first.lives.get(name) == last.lives[name]:
            shares[service_of(name)] += (spent - first.cpu_s[name]) / whole
    used["cpu_share"] = dict(shares)
    used["busy_share"] = (last.host_busy_s - first.host_busy_s) / whole
    return used
