"""Makes plausible results without a system, as the analysis would have made them; and bundles around them.

The numbers are arithmetic: a test says what shall be true (ratios, intervals),
and looks at what is said of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from loadtests.harness.analysis.decision import decision
from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.records.plan import NOBODY, Arm, Part, PartKind, Plan
from loadtests.harness.records.result import (
    AfterKill,
    ArmResult,
    Beside,
    CarryOver,
    CommonKnee,
    Comparison,
    Interval,
    Killed,
    Kills,
    Knee,
    Latency,
    LedgerTotal,
    Level,
    Limit,
    Moment,
    Neighbours,
    Offered,
    Offers,
    Price,
    Ratio,
    Result,
    Size,
    Sizes,
    Step,
    Timeline,
    Verdict,
    evidence_id,
)
from loadtests.harness.records.samples import Manifest, Warn
from loadtests.harness.records.vocabulary import Severity, Validity
from loadtests.harness.records.ways import UnitPrices, Way
from loadtests.harness.report.page import ANALYSIS
from loadtests.harness.sentences import told
from loadtests.harness.verdict import far_enough, judge

MIB = 1 << 20
MARGIN, PRECISION = 0.10, 0.05
STARTED_AT = 1_789_000_000.0
PROXY, MULTIPART, SINGLE = "proxy-chunked", "direct-multipart", "direct-single"
TITLES = {PROXY: "Through the server in chunks", MULTIPART: "Direct in parts", SINGLE: "Direct in one PUT"}
COLOURS = {PROXY: "#c2410c", MULTIPART: "#1d4ed8", SINGLE: "#0f766e"}
RATES = {PROXY: 84.0, MULTIPART: 70.0, SINGLE: 97.0}
CPU_MS = {PROXY: 12.0, MULTIPART: 14.0, SINGLE: 9.5}
K6_CPU_MS = {PROXY: 4.0, MULTIPART: 7.0, SINGLE: 4.2}
CLAIM = {
    "source": "A source", "claim": "Direct uploads in parts have 46 % more throughput.",
    "decides": [{"metric": "uploads_per_s", "arm": MULTIPART, "over": PROXY, "least": 1.46}],
}  # fmt: skip
UNIT_PRICES = UnitPrices.model_validate(
    {
        "currency": "EUR", "date": "2026-09-01", "source": "a test", "core_hour": 0.04, "store_core_hour": 0,
        "gib_hour": 0.005, "gateway_gb": 0.01, "million_store_requests": 5, "million_statements": 0,
    }
)  # fmt: skip
RATES_WITHOUT_K6 = {PROXY: 101.5, MULTIPART: 93.5, SINGLE: 122.6}
SHARES = {"gateway": 0.35, "upload": 0.35, "files": 0.1, "pg-upload": 0.12, "pg-files": 0.08}


def arm(name: str, **given: Any) -> Arm:
    values: dict[str, Any] = {
        "name": name,
        "of": name,
        "title": TITLES.get(name, name),
        "colour": COLOURS.get(name, "#7c3aed"),
        "strategy": name if name in TITLES else PROXY,
        "file_size_bytes": MIB,
        "piece_bytes": MIB,
        "vus": 16,
    }
    return Arm.model_validate(values | given)


STRATEGIES = tuple(arm(name) for name in TITLES)


def around(value: float, half: float = 0.03, n: int = 8) -> Interval:
    """An interval whose ends are ``half`` (a share) away."""
    return Interval(n=n, value=value, low=value * (1 - half), high=value * (1 + half))


def latency(q: float, value_ms: float, samples: int = 500) -> Latency:
    return Latency(q=q, samples=samples, minimum=100, ms=around(value_ms, 0.08, samples))


def loaded(own: Arm, part: str = "compare", *, rate: float | None = None, early: bool = False) -> ArmResult:
    """An arm under load. ``early`` acknowledges before it is durable."""
    rate = RATES.get(own.of, 80.0) if rate is None else rate
    ours, k6 = CPU_MS.get(own.of, 12.0) / 1000, K6_CPU_MS.get(own.of, 4.0) / 1000
    p50 = 1000 * max(1, own.vus) / rate
    ack = 0.3 if early else 1.02
    return ArmResult(
        id=evidence_id(part, own.name),
        arm=own,
        uploads=round(rate * 36),
        uploads_per_s=around(rate),
        payload_mb_per_s=around(rate * own.file_size_bytes / 1e6),
        cpu_s_per_upload=around(ours),
        cpu_s_by_process={
            **{name: around(ours * share) for name, share in SHARES.items()},
            "minio": around(0.004),
            "k6": around(k6),
            "rest": around(0.001, 0.4),
        },
        acked_p50=latency(0.5, p50 * ack),
        acked_p95=latency(0.95, p50 * 1.6 * ack),
        durable_p50=latency(0.5, p50),
        durable_p95=latency(0.95, p50 * 1.6),
        failed=0,
        busy_cores=around(1.95, 0.01),
        per_period=tuple(rate * (1 + 0.08 * math.sin(1.7 * turn)) for turn in range(16)),
    )


def ratio(
    base: str, over: str, value: float, *, half: float = 0.04, metric: str = "uploads_per_s", n: int = 8,
    part: str = "compare", unit: str = "block", may_name: bool = True,
) -> Ratio:  # fmt: skip
    """``over`` over ``base``, judged as the analysis judges."""
    interval = around(value, half, n)
    verdict = judge(interval, MARGIN)
    named = may_name and metric == "uploads_per_s" and far_enough(interval, verdict, MARGIN)
    return Ratio.model_validate(
        {
            "id": evidence_id(part, metric, over, "over", base), "part": part, "metric": metric, "base": base,
            "arm": over, "ratio": interval, "p": 0.001, "p_holm": 0.003, "verdict": verdict,
            "winner_named": named, "unit": unit,
            "blocks": [value * (1 + half * math.sin(2.1 * block)) for block in range(n)],
            "within": 0.04 if unit == "instance" else None, "between": 0.03 if unit == "instance" else None,
        }
    )  # fmt: skip


def comparison(
    arms: Sequence[Arm] = STRATEGIES, *, part: str = "compare", name: str | None = None,
    rates: Sequence[Ratio] | None = None, early: Sequence[str] = (), **given: Any,
) -> Comparison:  # fmt: skip
    """Of arms that differ as ``RATES`` and ``CPU_MS`` say, unless ``rates`` holds the ratios."""
    pairs = [(a, b) for at, a in enumerate(arms) for b in arms[at + 1 :]]

    def of(own: Arm, known: Mapping[str, float]) -> float:
        return known.get(own.of, 80.0)

    if rates is None:
        rates = [ratio(a.name, b.name, of(b, RATES) / of(a, RATES), part=part) for a, b in pairs]
    others = [
        ratio(a.name, b.name, of(b, known) / of(a, known), metric=metric, part=part)
        for metric, known in (
            ("cpu_s_per_upload", CPU_MS),
            ("k6_cpu_s_per_upload", K6_CPU_MS),
            ("uploads_per_s_without_k6", RATES_WITHOUT_K6),
        )
        for a, b in pairs
    ]
    values: dict[str, Any] = {
        "id": name or part, "part": part,
        "arms": tuple(loaded(one, name or part, early=one.name in early) for one in arms),
        "ratios": (*rates, *others), "best": _best(arms, rates), "blocks": 8, "wanted_blocks": 8,
        "half_width": 0.04, "precise": True,
        "carry_over": (CarryOver(arm=arms[0].name, after=arms[-1].name, change=around(1.0, 0.01)),),
    }  # fmt: skip
    return Comparison.model_validate(values | given)


def _best(arms: Sequence[Arm], rates: Sequence[Ratio]) -> str | None:
    won: dict[str, int] = {one.name: 0 for one in arms}
    for one in rates:
        if one.winner_named:
            won[one.arm if one.verdict is Verdict.MORE else one.base] += 1
    return next((name for name, count in won.items() if count == len(arms) - 1), None)


def limit(own: str, what: str | None = "all processors", part: str = "compare") -> Limit:
    evidence = "1.9 of 2 cores were busy" if what else None
    return Limit(id=evidence_id("limit", part, own), part=part, arm=own, what=what, evidence=evidence)


def knee(own: str, low: int | None = 4, high: int | None = 12) -> Knee:
    rate = RATES.get(own, 80.0)
    found = tuple(
        Level(vus=vus, uploads_per_s=around(rate * min(1.0, 0.3 + vus / 17)), durable_p95_ms=10.0 + 14 * vus,
              busy_cores=min(1.95, 0.5 + vus / 8))
        for vus in (1, 4, 12, 24, 48)
    )  # fmt: skip
    reached = low is not None and high is not None
    why_not = None if reached else "a gain up to 48, the most tried, is not ruled out"
    return Knee(
        id=evidence_id("knee", own), arm=own, levels=found, low_vus=low, high_vus=high, reached=reached,
        why_not=why_not,
    )  # fmt: skip


def common_knee(low: int | None = 4, high: int | None = 12) -> CommonKnee:
    """Of levels as in ``knee``: gains up to the step from ``low``, none from ``high`` on, else it is open."""
    steps = []
    for vus, more_vus in pairwise((1, 4, 12, 24, 48)):
        matters = True if low and vus <= low else False if high and vus >= high else None
        gain = around({True: 1.4, False: 1.02, None: 1.1}[matters], 0.03, 15)
        steps.append(Step(vus=vus, more_vus=more_vus, gain=gain, matters=matters))
    why_not = None if low or high else "neither a gain of 10 % nor its absence was shown"
    return CommonKnee(id="knee", steps=tuple(steps), limit=0.1, low_vus=low, high_vus=high, why_not=why_not)


def beside(own: str, login_ms: float) -> Beside:
    quiet = own == NOBODY
    return Beside(
        id=evidence_id("neighbours", own), arm=own, rate_per_s=None if quiet else 26.0,
        login_p50=latency(0.5, login_ms / 2), login_p95=latency(0.95, login_ms),
        list_p50=latency(0.5, login_ms / 6), list_p95=latency(0.95, login_ms / 3),
        durable_p95=None if quiet else latency(0.95, 240.0), failed={"login": 0, "list": 0},
    )  # fmt: skip


def offered(own: str, share: float, p95_ms: float, **given: Any) -> Offered:
    values: dict[str, Any] = {
        "id": evidence_id("offers", own, f"{share:g}"), "arm": own, "share": share,
        "offered_per_s": 100 * share, "uploads_per_s": around(100 * min(share, 1.0)), "refused": 0.0,
        "failed": 0.0, "dropped": 0.0, "acked_p95": latency(0.95, p95_ms), "cpu_s_per_upload": around(0.012),
        "busy_cores": around(1.5), "refusal_cpu_s": Interval(n=0, value=None),
    }  # fmt: skip
    return Offered.model_validate(values | given)


def offers(arms: Sequence[Arm] = STRATEGIES) -> Offers:
    """Up to what fits, and three times that: half is refused, at a fifth of an upload's price."""
    cells = [
        cell
        for one in arms
        for cell in (
            offered(one.name, 0.8, 40.0),
            offered(one.name, 3.0, 90.0, refused=0.5, refusal_cpu_s=around(0.0024)),
        )
    ]
    return Offers(id="offers", capacity_per_s=100.0, cells=tuple(cells))


def after_kill(own: str, gone: Sequence[int], acknowledged: int = 600) -> AfterKill:
    """One kill for each number of uploads that it took along; so many were acknowledged in each turn."""
    total, lost = acknowledged * len(gone), sum(gone)
    return AfterKill(
        id=evidence_id("kills", own), arm=own,
        kills=tuple(
            Killed(stretch=f"s{at:03}", acknowledged=acknowledged, gone=one, away_s=1.5 + 0.1 * at)
            for at, one in enumerate(gone)
        ),
        began=total + 40, acknowledged=total, kept=total - lost, unfinished=0, gone=lost, failed=40, late=3,
        orphans=lost, users=16, users_with_file=16, users_short=min(16, lost), users_without_file=0,
        last_gone_s=0.12 if lost else None,
        course=tuple(
            Moment(at_s=at / 4, kept=0 if 0 <= at < 6 else 50, gone=lost if at == -1 else 0)
            for at in range(-12, 12)
        ),
    )  # fmt: skip


def kills(**gone: Sequence[int]) -> Kills:
    """Of the upload service, by arm how many went along with each."""
    return Kills(
        id="kills", service="upload", step_s=0.25,
        arms=tuple(after_kill(name, lost) for name, lost in gone.items()),
    )  # fmt: skip


def sizes(arms: Sequence[Arm] = STRATEGIES) -> Sizes:
    """Direct in one PUT is the fastest up to 1 MiB, through the server from 32 MiB on."""
    found = []
    for place, file_size in enumerate((64 << 10, MIB, 8 * MIB, 32 * MIB)):
        own = [
            one.model_copy(update={"name": f"{one.name} {file_size}", "file_size_bytes": file_size})
            for one in arms
        ]
        factor = (1.2, 1.15, 1.0, 0.85)[place]
        name = evidence_id("sizes", str(file_size))
        rates = [
            ratio(a.name, b.name, factor if b.of == SINGLE else 0.8, part=name)
            for at, a in enumerate(own)
            for b in own[at + 1 :]
        ]
        if place == 3:
            rates = [
                ratio(a.name, b.name, 0.85, part=name) for at, a in enumerate(own) for b in own[at + 1 :]
            ]
        scale = (MIB / file_size) ** 0.75
        compared = comparison(own, part="sizes", name=name, rates=rates)
        loads = tuple(loaded(one, name, rate=RATES.get(one.of, 80.0) * scale) for one in own)
        found.append(Size(file_size_bytes=file_size, comparison=compared.model_copy(update={"arms": loads})))
    return Sizes(id="sizes", sizes=tuple(found), crossovers=((SINGLE, PROXY, MIB, 32 * MIB),))


def ledger(arms: Sequence[Arm] = STRATEGIES, *, early: int = 0, failed: bool = False) -> LedgerTotal:
    counts = {one.name: {"verified": 2500, "G-00": 1} for one in arms}
    return LedgerTotal(
        intents=2501 * len(arms), acks=2500 * len(arms),
        classes={"verified": 2500 * len(arms), "G-00": len(arms)}, by_arm=counts,
        flags={"G-10": early} if early else {}, users=48, users_without_file=0, hashed=200,
        compared=2500 * len(arms) - 200, offending=(), failed=failed,
    )  # fmt: skip


def timeline(arms: Sequence[Arm] = STRATEGIES) -> Timeline:
    at = tuple(float(second) for second in range(72))
    busy = [0.0 if second in (30, 31) else 1.0 for second in range(72)]
    uses = {"gateway": 0.3, "upload": 0.4, "pg-upload": 0.2, "minio": 0.5, "k6": 0.4, "rest": 0.1}
    turns = tuple(
        ("compare", arms[turn % len(arms)].name, 3.0 * turn, 3.0 * turn + 3)
        for turn in range(24)
        if turn != 10
    )
    return Timeline(at_s=at, cores={n: tuple(u * b for b in busy) for n, u in uses.items()}, turns=turns)


def conditions(**given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "started_at": STARTED_AT, "ended_at": STARTED_AT + 430, "command": "make stress",
        "git_revision": "0" * 40, "git_dirty": False, "revisions": {}, "runtime": "native",
        "host": {"cpu_model": "Fabricated CPU", "cores": 2.0, "memory_bytes": 8 << 30},
        "tools": {"k6": "fabricated"}, "words": {}, "rtt_ms": 0.0, "bandwidth_mbit": None,
        "verified_how": "200 objects read back and hashed, size and ETag for the rest",
    }  # fmt: skip
    return values | given


def result(arms: Sequence[Arm] = STRATEGIES, **given: Any) -> Result:
    """A whole run of the prepared question, with its sentences."""
    values: dict[str, Any] = {
        "run": "20260910-033320-proxyordirect-ci", "question": "proxy-or-direct", "asks": "Proxy or direct?",
        "point": PartKind.COMPARE, "profile": "ci", "validity": Validity.VALID, "exit_code": 0,
        "exit_reason": "the audit passed",
        "interrupted": False, "headline": "", "sentences": (), "next_command": None,
        "compare": comparison(arms),
        "knees": tuple(knee(one.name) for one in arms),
        "common_knee": common_knee() if given.get("knees", arms) else None,
        "neighbours": Neighbours(
            id="neighbours", rate_per_s=26.0,
            arms=(beside(NOBODY, 12.0), *(beside(one.name, 25.0 + 5 * at) for at, one in enumerate(arms))),
        ),
        "sizes": sizes(arms) if arms is STRATEGIES else None,
        "prices": tuple(price(one.name) for one in arms), "limits": tuple(limit(one.name) for one in arms),
        "ledger": ledger(arms), "timeline": timeline(arms), "warnings": (), "margin": MARGIN,
        "precision": PRECISION, "seconds": {"preparing": 14.0, "compare": 144.0, "audit": 22.0},
        "conditions": conditions(),
    }  # fmt: skip
    made = Result.model_validate(values | given)
    if len({one.strategy for one in arms}) > 1 and "decision" not in given:
        planned = plan(made, ways=ways(arms), prices=UNIT_PRICES)
        made = made.model_copy(update={"decision": decision(planned, made.compare, made.prices)})
    return told(made)


def ways(arms: Sequence[Arm] = STRATEGIES) -> tuple[Way, ...]:
    """As the plan has them, from the strategies' manifests."""
    strategies = load_strategies()
    return tuple(
        Way(
            arm=one.name,
            strategy=one.strategy,
            title=strategies[one.strategy].manifest.title,
            client_store_requests=strategies[one.strategy].client_store_requests(one.file_size_bytes),
            abilities=strategies[one.strategy].manifest.abilities,
        )
        for one in arms
        if one.strategy
    )


def price(own: str) -> Price:
    return Price(
        id=evidence_id("price", own), arm=own, statements=5.0, statements_expected=5.0, store_requests=1.0,
        store_requests_expected=1.0, gateway_bytes_in=1.0, gateway_bytes_out=0.02, requests=2,
        peak_rss_bytes={"gateway": 80 << 20, "minio": 240 << 20},
    )  # fmt: skip


def warn(code: str = "noisy-host", severity: Severity = Severity.CAUTION, **given: Any) -> Warn:
    values: dict[str, Any] = {"message": "other programs used 31 % of the processors", "metric": "share"}
    return Warn(code=code, severity=severity, **(values | given))


def plan(found: Result, **given: Any) -> Plan:
    arms = tuple(one.arm for one in found.compare.arms) if found.compare else STRATEGIES
    part = Part(
        name="compare", kind=PartKind.COMPARE, arms=arms, period_s=3.0, washout_s=0.7, first_blocks=8,
        most_blocks=11,
    )  # fmt: skip
    values: dict[str, Any] = {
        "run": found.run, "question": found.question, "asks": found.asks, "profile": found.profile, "seed": 7,
        "words": {}, "arms": arms, "parts": (part,), "margin": MARGIN, "precision": PRECISION,
        "budget_s": 480.0, "disk_bytes": 8_000_000_000,
    }  # fmt: skip
    return Plan.model_validate(values | given)


def manifest(found: Result, **given: Any) -> Manifest:
    values: dict[str, Any] = {
        "run": found.run, "question": found.question, "profile": found.profile, "started_at": STARTED_AT,
        "ended_at": STARTED_AT + 430, "git_revision": "0" * 40, "git_dirty": False, "command": "make stress",
        "words": {}, "host": found.conditions["host"], "tools": {"k6": "fabricated", "minio": "fabricated"},
        "settings": {"gateway": {"LOG_LEVEL": "info"}}, "databases": {"upload_db": {"fsync": "on"}},
        "scripts": {"main.js": "0" * 64},
        "seeds": {"order": 7}, "verified_how": "fabricated", "k6_cores": 2.0,
    }  # fmt: skip
    return Manifest.model_validate(values | given)


def bundle(folder: Path, found: Result | None = None, **of_manifest: Any) -> Path:
    """A folder that holds what a report is made of once the analysis has been done."""
    found = found or result()
    writer = BundleWriter(folder / found.run)
    writer.write_plan(plan(found))
    writer.write_manifest(manifest(found, **of_manifest))
    writer.write_warnings(found.warnings)
    writer.write_json(ANALYSIS, found.model_dump(mode="json"))
    return writer.path
