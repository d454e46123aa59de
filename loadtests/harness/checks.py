"""The checks of a run: each is a function of the facts that yields warnings with their evidence."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from loadtests.harness import cost
from loadtests.harness.facts import Facts
from loadtests.harness.intervals import ratio_of_sums
from loadtests.harness.latency import merged
from loadtests.harness.limits import (
    K6_CEILING,
    K6_SHARE,
    MEMORY,
    OTHERS,
    REFUSED,
    load_generator,
    memory,
    rate_limiter,
    scenes,
)
from loadtests.harness.network import Link
from loadtests.harness.periods import Period, due_at
from loadtests.harness.records.plan import Arm, Part, PartKind
from loadtests.harness.records.result import Comparison, Price, Ratio, Saturation
from loadtests.harness.records.samples import LedgerTable, Warn
from loadtests.harness.records.vocabulary import DOWNLOADED, LedgerClass, Severity
from loadtests.harness.verdict import FEWEST_TO_JUDGE
from loadtests.harness.wording import UNITS, arm_names, count, listed, size, unit_of

STALLED = 0.25  # of all processors' time in one turn, spent waiting for a disk
STALLED_ALWAYS = 0.5  # of the turns: there the disk is what is measured
IDLE_CORE = 0.06  # of one core, that stacks whose turn it is not may use
CARRY_OVER = 0.02
OFFERED = 0.99
FAILED = 0.01
SLIP = 0.05
MISCOUNT = 0.02
K6_DIFFERENCE = 0.10
OWN_CORES = 4  # with fewer, k6 shares its cores with what it measures
FEWEST_UPLOADS = 30
FEWEST_ARRIVALS = 20
LINES_FILLED = 0.7  # of what slow lines allow; the rest is what a server needs for each upload anyway
EARLY_ACK = "G-10"
UNDISTURBED = tuple(kind for kind in PartKind if kind is not PartKind.KILL)  # parts in which nobody is killed
_FAILING = (
    LedgerClass.LOST,
    LedgerClass.CORRUPT,
    LedgerClass.ORPHAN_ROW,
    LedgerClass.DUPLICATE,
    "G-04",
    "G-09",
    "G-11",
)
_LESS_LOAD = "ask for less load, or run k6 on processors of its own"


@dataclass(frozen=True, slots=True)
class Answers:
    """What was found so far, as far as checks need it."""

    comparisons: tuple[Comparison, ...]
    saturation: tuple[Saturation, ...]
    prices: tuple[Price, ...]


Check = Callable[[Facts, Answers], Iterable[Warn]]


def ledger(facts: Facts, _: Answers) -> Iterator[Warn]:
    for table in facts.ledgers:
        unknown = table.intents - sum(table.classes.values())
        if table.failed:
            yield _invalid(
                "ledger-mismatch",
                f"audit {table.audit} failed: {_classes(table)}",
                metric="uploads by class",
                value=1,
                limit=0,
                advice="read the offending rows in the ledger",
            )
        if unknown:
            yield _invalid(
                "ledger-mismatch",
                f"{unknown} intents of audit {table.audit} have no class",
                metric="intents without a class",
                value=unknown,
                limit=0,
                advice="read the ledger",
            )
        apart = table.stored_bytes - table.verified_bytes
        if apart:
            yield _invalid(
                "bytes-mismatch",
                f"the store holds {apart:+d} bytes against the verified uploads",
                metric="bytes stored less bytes verified",
                value=apart,
                limit=0,
                advice="read the ledger",
            )


def _classes(table: LedgerTable) -> str:
    counts = {**table.classes, **table.flags}
    named = [f"{counts[str(name)]} x {name}" for name in _FAILING if counts.get(str(name))]
    return ", ".join(named) or "no class named"


def ledger_notes(facts: Facts, _: Answers) -> Iterator[Warn]:
    """What an audit found that spoils no answer."""
    pending = sum(table.classes.get(LedgerClass.PENDING, 0) for table in facts.ledgers)
    if pending:
        yield _caution(
            "settle-cut",
            f"{pending} uploads still progressed when settling ended",
            metric="pending uploads",
            value=pending,
            limit=0,
            advice="use a profile that settles longer",
        )
    files = max((table.baseline_files for table in facts.ledgers), default=0)
    if files:
        yield _caution(
            "dirty-start",
            f"{files} files of other users were there before",
            metric="files of other users",
            value=files,
            limit=0,
            advice="delete them with CLEAN=1",
        )
    early = sum(table.flags.get(EARLY_ACK, 0) for table in facts.ledgers)
    if early:
        yield Warn(
            code="early-ack",
            severity=Severity.INFO,
            metric="uploads acknowledged early",
            value=early,
            message=f"{early} uploads were acknowledged before they were durable",
        )


def ledger_missing(facts: Facts, _: Answers) -> Iterator[Warn]:
    audited = {name for table in facts.ledgers for name in table.stretches}
    missing = [stretch.stretch for stretch in facts.stretches if stretch.stretch not in audited]
    if missing:
        yield _invalid(
            "missing-samples",
            f"nobody audited {', '.join(missing[:5])}",
            metric="stretches without an audit",
            value=len(missing),
            limit=0,
            advice="keep the bundle whole",
        )


def processes_missing(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Without the processor time of our services or of k6 there is no price."""
    for part, arm, periods in _turns(facts, PartKind.COMPARE, PartKind.SIZES):
        lacking = sum(
            cost.spent(period, arm).ours is None or cost.GENERATOR not in period.cpu_s for period in periods
        )
        if lacking and facts.unseen(arm.name):
            yield Warn(
                code="no-price",
                severity=Severity.INFO,
                message=f"what an upload costs {arm.name} is not known",
                metric="periods without processor time",
                value=lacking,
                limit=0,
                advice="name its processes: PIDS=file, with `name pid` in each line",
                part=part,
            )
        elif lacking:
            yield _caution(
                "missing-samples",
                f"{lacking} periods of {arm.name} lack processor time",
                metric="periods without processor time",
                value=lacking,
                limit=0,
                advice="make doctor",
                part=part,
            )


def restarted(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Another start time inside a stretch is another process."""
    for stretch in facts.stretches:
        inside = [look for look in facts.looks if stretch.began_at <= look.at <= stretch.ended_at]
        names = sorted(
            {
                name
                for before, after in pairwise(inside)
                for name, life in after.lives.items()
                if before.lives.get(name, life) != life
            }
        )
        if names:
            yield _invalid(
                "restart-during-run",
                f"restarted in {stretch.stretch}: {', '.join(names)}",
                metric="restarted processes",
                value=len(names),
                limit=0,
                advice="read the log of the process",
                part=stretch.part,
            )


def generator_failed(facts: Facts, _: Answers) -> Iterator[Warn]:
    if facts.load is not None and facts.load.exit_code and not facts.manifest.interrupted:
        code = facts.load.exit_code
        yield _invalid(
            "generator-failed",
            f"k6 ended with code {code}",
            metric="exit code of k6",
            value=code,
            limit=0,
            advice="read k6's log",
        )


def generator_limited(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Where k6 was at its end, it may be what was measured: that voids the comparison."""
    for part, scene in scenes(facts):
        found = load_generator(scene)
        if found:
            severity = Severity.INVALID if part.kind is PartKind.COMPARE else Severity.CAUTION
            yield _warn(
                severity,
                "generator-limited",
                f"k6 may be what was measured ({scene.arm.name}): {found.evidence}",
                metric=f"share of k6's cores, or of its ceiling (limit {K6_CEILING:g})",
                limit=K6_SHARE,
                advice=_LESS_LOAD,
                part=part.name,
            )


def limiter_in_force(facts: Facts, _: Answers) -> Iterator[Warn]:
    """What is refused is not measured, and arms that send more requests are refused sooner."""
    for part, scene in scenes(facts):
        found = rate_limiter(scene)
        if found:
            yield _caution(
                "rate-limited",
                f"{found.what} set the numbers {_way(facts, scene.arm)}: {found.evidence}",
                metric="share of uploads answered 429",
                limit=REFUSED,
                advice=found.advice,
                part=part.name,
            )


def memory_short(facts: Facts, _: Answers) -> Iterator[Warn]:
    for part, scene in scenes(facts):
        found = memory(scene)
        if found:
            yield _caution(
                "memory-short",
                found.evidence,
                metric="share of the host's memory",
                limit=MEMORY,
                advice=found.advice,
                part=part.name,
            )


def idle_stack_busy(facts: Facts, _: Answers) -> Iterator[Warn]:
    for part, arm, periods in _turns(facts, PartKind.COMPARE, PartKind.SIZES):
        used = sum(cost.spent(period, arm).by_process.get(cost.IDLE_STACK, 0.0) for period in periods)
        cores = used / sum(period.counted_s for period in periods)
        if cores > IDLE_CORE:
            yield _caution(
                "idle-arm-busy",
                f"idle stacks used {cores * 100:.0f} % of a core beside {arm.name}",
                metric="cores of idle stacks",
                value=round(cores, 4),
                limit=IDLE_CORE,
                advice="find what runs without requests",
                part=part,
            )


def slower_than_lines(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Slow clients whose lines do not set the pace wait for the system: what they hold is then not theirs."""
    link = Link(facts.plan.rtt_ms, facts.plan.bandwidth_mbit)
    for part, arm, periods in _turns(facts, PartKind.CROWD):
        alone_s = link.transfer_s(arm.file_size_bytes)
        did_per_s = cost.uploads_in(periods) / sum(period.counted_s for period in periods)
        share = did_per_s * alone_s / arm.vus
        if alone_s and share < LINES_FILLED:
            yield _caution(
                "slower-than-lines",
                f"{did_per_s:.0f} uploads/s {_way(facts, arm)}, where the lines of {arm.vus} clients allow "
                f"{arm.vus / alone_s:.0f}: they waited for the machine as well",
                metric="uploads/s over what the lines allow",
                value=round(share, 4),
                limit=LINES_FILLED,
                advice="close other programs, or use a machine with more processors",
                part=part,
            )


def uploads_failed(facts: Facts, _: Answers) -> Iterator[Warn]:
    for part, arm, periods in _turns(facts, *UNDISTURBED):
        failed = sum(period.failed for period in periods)
        begun = failed + sum(len(period.durable_s) for period in periods)
        if begun and failed / begun > FAILED:
            yield _caution(
                "upload-errors",
                f"{failed} of {begun} {unit_of([arm])}s of {arm.name} failed",
                metric=f"share of failed {unit_of([arm])}s",
                value=round(failed / begun, 4),
                limit=FAILED,
                advice="read the failures by step in the ledger",
                part=part,
            )


def other_bytes(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Downloads are in no audit: whoever received them compared them."""
    wrong = sum(one.ledger is LedgerClass.CORRUPT for one in facts.uploads if DOWNLOADED in one.flags)
    if wrong:
        yield _invalid(
            "bytes-mismatch",
            f"{wrong} downloads had other bytes than were uploaded",
            metric="downloads with other bytes",
            value=wrong,
            limit=0,
            advice="read the download lines of the console file in the bundle's k6 folder",
        )


def few_uploads(facts: Facts, _: Answers) -> Iterator[Warn]:
    for part, arm, periods in _turns(facts, PartKind.COMPARE, PartKind.SIZES, PartKind.FLEET):
        uploads = sum(period.touched for period in periods)
        if uploads < FEWEST_UPLOADS:
            yield _caution(
                "low-samples",
                f"only {uploads} {unit_of([arm])}s were counted {_way(facts, arm)}; below {FEWEST_UPLOADS} a "
                "rate is a guess",
                metric=f"{unit_of([arm])}s",
                value=uploads,
                limit=FEWEST_UPLOADS,
                advice="use a smaller file or PROFILE=full",
                part=part,
            )


def noisy_host(facts: Facts, _: Answers) -> Iterator[Warn]:
    periods = [
        period
        for part in facts.parts(*UNDISTURBED)  # what comes back after a kill is another process, not watched
        for period in facts.periods[part.name]
        if period.host_busy_s is not None and not facts.unseen(period.arm)
    ]
    seconds = sum(period.counted_s for period in periods)
    if not seconds or not facts.cores:
        return
    others = sum((period.host_busy_s or 0.0) - sum(period.cpu_s.values()) for period in periods)
    share = others / seconds / facts.cores
    if share > OTHERS:
        yield _caution(
            "noisy-host",
            f"other programs used {share * 100:.0f} % of the processors",
            metric="share of the host used by other programs",
            value=round(share, 4),
            limit=OTHERS,
            advice="close other programs and run again",
        )


def disk_stalled(facts: Facts, _: Answers) -> Iterator[Warn]:
    """A disk that stands still for seconds, as shared and virtual ones do, is nobody's slowness."""
    if not facts.cores:
        return
    for part, own in facts.periods.items():
        known = [period for period in own if period.disk_wait_s is not None]
        stalled = [one for one in known if (one.disk_wait_s or 0) > STALLED * one.counted_s * facts.cores]
        if stalled and len(stalled) < STALLED_ALWAYS * len(known):
            worst = max((one.disk_wait_s or 0) / one.counted_s / facts.cores for one in stalled)
            yield _caution(
                "disk-stalled",
                f"the disk stood still in {len(stalled)} of {len(known)} turns: the processors had nothing "
                "to do but wait for it; such turns widen every interval",
                metric="largest share of a turn's processor time spent waiting for the disk",
                value=round(worst, 4),
                limit=STALLED,
                advice="see what else uses the disk, or measure again",
                part=part,
            )


def offered_missed(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Beside open arrivals: fewer begun than were due means that k6 fell behind."""
    for part in facts.parts(PartKind.NEIGHBOURS, PartKind.CROWD):
        own = facts.periods[part.name]
        begun = Counter(
            step.step for step in facts.steps if _due_in(step.scheduled_at or step.started_at, own)
        )
        seconds = sum(period.counted_s for period in own)
        for step, rate in (("login", part.login_rate_per_s), ("list", part.list_rate_per_s)):
            share = (begun[step] + len(own)) / (rate * seconds) if rate and seconds else 1.0
            if share < OFFERED:
                yield _caution(
                    "offered-rate-missed",
                    f"only {begun[step]} of {rate * seconds:.0f} {step} requests were begun",
                    metric=f"begun over offered {step} requests",
                    value=round(share, 4),
                    limit=OFFERED,
                    advice=_LESS_LOAD,
                    part=part.name,
                )


def _due_in(at: float, periods: Sequence[Period]) -> bool:
    return any(period.begin <= at < period.end for period in periods)


def slipped(facts: Facts, _: Answers) -> Iterator[Warn]:
    """An arrival that k6 begins late is its own queue, not the system's."""
    late = np.array(
        [one.intent_at - due_at(one) for one in facts.uploads if one.scheduled_at is not None]
        + [one.started_at - one.scheduled_at for one in facts.steps if one.scheduled_at is not None]
    )
    open_parts = facts.parts(PartKind.NEIGHBOURS)
    waits = merged(period.acked_s for part in open_parts for period in facts.periods[part.name])
    if len(late) < FEWEST_ARRIVALS or not len(waits):
        return
    late_s, usual_s = float(np.quantile(late, 0.99)), float(np.median(waits))
    if late_s / usual_s > SLIP:
        yield _caution(
            "slip",
            f"the load generator was late itself: 1 of 100 arrivals began more than {late_s * 1000:.0f} ms "
            f"after it was due, where an upload takes {usual_s * 1000:.0f} ms; that wait is counted",
            metric="p99 of delays over p50 to acknowledgement",
            value=round(late_s / usual_s, 4),
            limit=SLIP,
            advice=_LESS_LOAD,
        )


def backlog_growing(facts: Facts, _: Answers) -> Iterator[Warn]:
    """Where uploads are acknowledged before they are durable, promises may outrun storing."""
    if not any(table.flags.get(EARLY_ACK) for table in facts.ledgers):
        return
    for part, arm, periods in _turns(facts, PartKind.COMPARE, PartKind.SIZES):
        growth = ratio_of_sums(
            [period.acknowledged - period.became_durable for period in periods],
            [period.counted_s for period in periods],
        )
        if growth.low is not None and growth.low > 0:
            yield _caution(
                "backlog-growing",
                f"{arm.name} acknowledged {growth.value:.1f} uploads/s more than became durable",
                metric="lower end of the backlog's growth per second",
                value=round(growth.low, 4),
                limit=0,
                advice="ask for less load, until promises and stored files keep pace",
                part=part,
            )


def carried_over(_: Facts, answers: Answers) -> Iterator[Warn]:
    for comparison in answers.comparisons:
        for one in comparison.carry_over:
            low, high = one.change.low, one.change.high
            if low is None or high is None or (low < 1 + CARRY_OVER and high > 1 - CARRY_OVER):
                continue
            change = ((one.change.value or 1) - 1) * 100
            yield _caution(
                "carry-over",
                f"{one.arm} after {one.after} changed by {change:+.0f} % within its turns: "
                "what came before was still at work",
                metric="last over first third of the counted part",
                value=round(one.change.value or 1, 4),
                limit=CARRY_OVER,
                advice="use longer periods",
                part=comparison.part,
            )


def not_saturated(facts: Facts, answers: Answers) -> Iterator[Warn]:
    missing = [proof for proof in answers.saturation if not proof.proven and proof.gain.value is not None]
    gaining = [proof for proof in missing if (proof.gain.low or 0.0) > 1]
    for own, code, advice in (
        (gaining, "not-saturated", "raise the VUs, for example VUS={double}"),
        ([proof for proof in missing if proof not in gaining], "saturation-open", "measure longer"),
    ):
        if not own:
            continue
        most = max(own, key=lambda proof: proof.gain.value or 0.0)
        which = listed([_title(facts, proof.arm) for proof in own])
        gain = f"{most.more_vus} of them brought {((most.gain.value or 1.0) - 1) * 100:+.0f} %"
        ruled_out = f"{most.more_vus} of them may bring {most.limit * 100:g} % more or not"
        yield _caution(
            code,
            f"it was not shown that {most.vus} clients fill the system ({which}): "
            f"{gain if own is gaining else ruled_out}",
            metric="gain with more VUs",
            value=round((most.gain.value or 1.0) - 1, 4),
            limit=most.limit,
            advice=advice.format(double=2 * most.vus),
        )


def shared_host(facts: Facts, answers: Answers) -> Iterator[Warn]:
    """On shared cores an arm that costs k6 more leaves less to the system."""
    cores = facts.cores
    if cores is None or cores >= OWN_CORES:
        return
    yield Warn(
        code="shared-host",
        severity=Severity.INFO,
        metric="processors",
        value=cores,
        limit=OWN_CORES,
        message=f"k6 shares {cores:g} processors with the system: absolute rates are lower bounds",
        advice="read the ratios; for absolute rates use a machine with 4 processors",
    )
    found = [ratio for ratio in _all_ratios(answers) if ratio.metric == "k6_cpu_s_per_upload"]
    apart = {one.id: abs(math.log(one.ratio.value)) for one in found if one.ratio.value}
    most = max(found, key=lambda ratio: apart.get(ratio.id, 0.0), default=None)
    if most is None or apart.get(most.id, 0.0) <= math.log1p(K6_DIFFERENCE):
        return
    more, less = (most.arm, most.base) if (most.ratio.value or 1.0) > 1 else (most.base, most.arm)
    yield _caution(
        "shared-host",
        f"a file takes the load generator itself up to {math.exp(apart[most.id]):.2f} times the processor "
        f"time ({_title(facts, more)} against {_title(facts, less)}), which the system then lacks",
        metric="k6's CPU per upload by arm",
        value=round(math.exp(apart[most.id]), 4),
        limit=1 + K6_DIFFERENCE,
        advice="compare where k6 has processors of its own",
        part=most.part,
    )


def _all_ratios(answers: Answers) -> Iterator[Ratio]:
    return (ratio for comparison in answers.comparisons for ratio in comparison.ratios)


def few_blocks(_: Facts, answers: Answers) -> Iterator[Warn]:
    """Of every file size the comparison with the most blocks counts."""
    rates: dict[str, Ratio] = {}
    for comparison in answers.comparisons:
        own = [ratio for ratio in comparison.ratios if ratio.metric == "uploads_per_s"]
        fewest = min(own, key=_units, default=None)
        for name in {size(one.arm.file_size_bytes) for one in comparison.arms}:
            if fewest is not None and (name not in rates or _units(rates[name]) < _units(fewest)):
                rates[name] = fewest
    short = {name: ratio for name, ratio in rates.items() if _units(ratio) < FEWEST_TO_JUDGE}
    if short:
        fewest = min(short.values(), key=_units)
        yield _caution(
            "few-blocks",
            f"too little was measured to name a winner for files of {listed(list(short))}: "
            f"{count(_units(fewest), UNITS[fewest.unit])}, and it takes {FEWEST_TO_JUDGE}",
            metric="blocks, or makings of the stacks",
            value=_units(fewest),
            limit=FEWEST_TO_JUDGE,
            advice="measure longer",
        )


def _units(ratio: Ratio) -> int:
    return ratio.ratio.n


def not_precise(facts: Facts, answers: Answers) -> Iterator[Warn]:
    """Only the main comparison goes on until it is precise."""
    for part in facts.parts(PartKind.COMPARE):
        found = next((one for one in answers.comparisons if one.part == part.name), None)
        if found is None or found.half_width is None or found.precise:
            continue
        yield _caution(
            "not-precise",
            f"the ratios are known to ±{found.half_width * 100:.0f} % only, not to "
            f"±{facts.plan.precision * 100:g} %: {count(found.blocks, 'block of turns')} were measured, and "
            f"it takes about {found.wanted_blocks}",
            metric="half-width",
            value=round(found.half_width, 4),
            limit=facts.plan.precision,
            advice="measure longer",
            part=part.name,
        )


def _title(facts: Facts, arm: str) -> str:
    """An arm of the question, or a level or size of one, in words."""
    parts = {one.name: one for part in facts.plan.parts for one in part.arms}
    of = parts[arm].of if arm in parts else arm
    return arm_names(facts.plan.arms).get(of, of) + arm.removeprefix(of)


def _way(facts: Facts, arm: Arm) -> str:
    """ "direct in parts 32 MiB", "for A (FINALISE=inline)"."""
    name = _title(facts, arm.name)
    return f"for {name}" if name.startswith(arm.of) else name


def miscounted(_: Facts, answers: Answers) -> Iterator[Warn]:
    """The services' own counters against what the code of a strategy asks for."""
    for price in answers.prices:
        for what, measured, expected in (
            ("statements", price.statements, price.statements_expected),
            ("store requests", price.store_requests, price.store_requests_expected),
        ):
            if measured is None or not expected or abs(measured / expected - 1) <= MISCOUNT:
                continue
            yield _caution(
                "count-differs",
                f"{price.arm} took {measured:.2f} {what} for one file, not {expected:g}",
                metric=f"{what} for one file",
                value=round(measured, 4),
                limit=expected,
                advice="look for retries and other traffic",
            )


def rate_above_capacity(facts: Facts, answers: Answers) -> Iterator[Warn]:
    """Others are watched beside uploads below the capacity of every arm."""
    rates = [arm.uploads_per_s.value for one in answers.comparisons[:1] for arm in one.arms]
    capacity = min((rate for rate in rates if rate is not None), default=None)
    for part in facts.parts(PartKind.NEIGHBOURS):
        offered = max((arm.rate_per_s or 0.0 for arm in part.arms), default=0.0)
        if capacity is not None and offered > capacity:
            yield _caution(
                "rate-above-capacity",
                f"{offered:.1f} uploads/s were offered; the slowest arm does {capacity:.1f}",
                metric="offered uploads/s",
                value=offered,
                limit=round(capacity, 3),
                advice="offer less",
                part=part.name,
            )


def not_reached(facts: Facts, _: Answers) -> Iterator[Warn]:
    begun = {part.name for part in facts.parts(*PartKind)}
    missing = [part.name for part in facts.plan.parts if part.name not in begun]
    if missing:
        yield _caution(
            "not-reached",
            f"not measured: {', '.join(missing)}",
            metric="parts not run",
            value=len(missing),
            limit=0,
            advice="run it again to the end",
        )


def _turns(facts: Facts, *kinds: PartKind) -> Iterator[tuple[str, Arm, list[Period]]]:
    """(part, arm, its periods) of every arm that uploads and had a turn."""
    for part in facts.parts(*kinds):
        yield from ((part.name, arm, own) for arm in part.arms if (own := _of(facts, part, arm)))


def _of(facts: Facts, part: Part, arm: Arm) -> list[Period]:
    if arm.strategy is None:
        return []
    return [period for period in facts.periods[part.name] if period.arm == arm.name]


def _warn(
    severity: Severity,
    code: str,
    message: str,
    *,
    metric: str,
    value: float | None = None,
    limit: float,
    advice: str | None,
    part: str | None = None,
) -> Warn:
    return Warn(
        code=code,
        severity=severity,
        message=message,
        metric=metric,
        value=value,
        limit=limit,
        advice=advice,
        part=part,
    )


_invalid, _caution = partial(_warn, Severity.INVALID), partial(_warn, Severity.CAUTION)

CHECKS: tuple[Check, ...] = (
    ledger,
    ledger_missing,
    other_bytes,
    restarted,
    generator_failed,
    generator_limited,
    processes_missing,
    limiter_in_force,
    memory_short,
    idle_stack_busy,
    slower_than_lines,
    carried_over,
    not_saturated,
    few_blocks,
    not_precise,
    uploads_failed,
    few_uploads,
    backlog_growing,
    offered_missed,
    slipped,
    rate_above_capacity,
    miscounted,
    noisy_host,
    disk_stalled,
    shared_host,
    ledger_notes,
    not_reached,
)
