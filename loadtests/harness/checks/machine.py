"""The checks of the machine: its memory, its disk, and who else used its processors."""

from __future__ import annotations

import math
from collections.abc import Iterator

from loadtests.harness import cost
from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.limits import MEMORY, OTHERS, memory, scenes
from loadtests.harness.checks.check import UNDISTURBED, Answers, caution, title
from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.samples import Warn
from loadtests.harness.records.vocabulary import Severity
from loadtests.harness.testbeds.affinity import OWN_CORES

STALLED = 0.25  # of all processors' time in one turn, spent waiting for a disk
STALLED_ALWAYS = 0.5  # of the turns: there the disk is what is measured
IDLE_CORE = 0.06  # of one core, that stacks whose turn it is not may use
K6_DIFFERENCE = 0.10
ANSWERING = tuple(kind for kind in PartKind if kind is not PartKind.WARM_UP)  # parts that a sentence rests on


def memory_short(facts: Facts, _: Answers) -> Iterator[Warn]:
    for part, scene in scenes(facts):
        found = memory(scene)
        if found:
            yield caution(
                "memory-short",
                found.evidence,
                metric="share of the host's memory",
                limit=MEMORY,
                advice=found.advice,
                part=part.name,
            )


def disk_stalled(facts: Facts, _: Answers) -> Iterator[Warn]:
    """A disk that stands still for seconds, as shared and virtual ones do, is nobody's slowness."""
    if not facts.cores:
        return
    for part in facts.parts(*ANSWERING):
        known = [period for period in facts.periods[part.name] if period.disk_wait_s is not None]
        stalled = [one for one in known if (one.disk_wait_s or 0) > STALLED * one.counted_s * facts.cores]
        if stalled and len(stalled) < STALLED_ALWAYS * len(known):
            worst = max((one.disk_wait_s or 0) / one.counted_s / facts.cores for one in stalled)
            yield caution(
                "disk-stalled",
                f"the disk stood still in {len(stalled)} of {len(known)} turns: the processors had nothing "
                "to do but wait for it; such turns widen every interval",
                metric="largest share of a turn's processor time spent waiting for the disk",
                value=round(worst, 4),
                limit=STALLED,
                advice="see what else uses the disk, or measure again",
                part=part.name,
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
        yield caution(
            "noisy-host",
            f"other programs used {share * 100:.0f} % of the processors",
            metric="share of the host used by other programs",
            value=round(share, 4),
            limit=OTHERS,
            advice="close other programs and run again",
        )


def idle_stack_busy(facts: Facts, _: Answers) -> Iterator[Warn]:
    for part, arm, periods in facts.turns(PartKind.COMPARE, PartKind.SIZES):
        used = sum(cost.spent(period, arm).by_process.get(cost.IDLE_STACK, 0.0) for period in periods)
        cores = used / sum(period.counted_s for period in periods)
        if cores > IDLE_CORE:
            yield caution(
                "idle-arm-busy",
                f"idle stacks used {cores * 100:.0f} % of a core beside {arm.name}",
                metric="cores of idle stacks",
                value=round(cores, 4),
                limit=IDLE_CORE,
                advice="find what runs without requests",
                part=part.name,
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
    found = [
        ratio
        for comparison in answers.comparisons
        for ratio in comparison.ratios
        if ratio.metric == "k6_cpu_s_per_upload"
    ]
    apart = {one.id: abs(math.log(one.ratio.value)) for one in found if one.ratio.value}
    most = max(found, key=lambda ratio: apart.get(ratio.id, 0.0), default=None)
    if most is None or apart.get(most.id, 0.0) <= math.log1p(K6_DIFFERENCE):
        return
    more, less = (most.arm, most.base) if (most.ratio.value or 1.0) > 1 else (most.base, most.arm)
    yield caution(
        "shared-host",
        f"a file takes the load generator itself up to {math.exp(apart[most.id]):.2f} times the processor "
        f"time ({title(facts, more)} against {title(facts, less)}), which the system then lacks",
        metric="k6's CPU per upload by arm",
        value=round(math.exp(apart[most.id]), 4),
        limit=1 + K6_DIFFERENCE,
        advice="compare where k6 has processors of its own",
        part=most.part,
    )
