"""What a fleet of clients gets that all download the same file, by how many they are.

A round is the unit: every arm with every number of clients has one turn in it, so that ratios are of turns
that met the same machine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from loadtests.harness import cost
from loadtests.harness.comparison import busy_cores, rate_of, scaled
from loadtests.harness.intervals import of_all
from loadtests.harness.knee import gain
from loadtests.harness.latency import merged, percentile
from loadtests.harness.order import levels_by_arm
from loadtests.harness.periods import Block, units_of
from loadtests.harness.records.plan import Arm, Part, Stretch
from loadtests.harness.records.result import Fetched, Fleet, FleetRatio, evidence_id
from loadtests.harness.records.samples import UploadSample
from loadtests.harness.records.vocabulary import RESUMED


def fleet(
    arms: Sequence[Arm],
    part: Part,
    blocks: Sequence[Block],
    stretches: Iterable[Stretch],
    downloads: Iterable[UploadSample],
) -> Fleet | None:
    """Every arm with every number of clients, arm by arm; None where no round was played.

    ``arms`` are the question's; of ``stretches`` and ``downloads`` those of other parts are left out.
    """
    if not blocks:
        return None
    levels = levels_by_arm(part.arms)
    own = {stretch.stretch for stretch in stretches if stretch.part == part.name}
    verified = [one for one in downloads if one.stretch in own and one.verified]
    return Fleet(
        arms=tuple(arms),
        file_size_bytes=arms[0].file_size_bytes,
        cut_every=arms[0].cut_every,
        cells=tuple(_cell(level, blocks, verified) for arm in arms for level in levels.get(arm.name, ())),
        ratios=tuple(_ratios([levels[arm.name] for arm in arms if arm.name in levels], blocks)),
    )


def _cell(level: Arm, blocks: Sequence[Block], verified: Collection[UploadSample]) -> Fetched:
    units = units_of(blocks, level.name, replicated=False)
    periods = [period for own in units for period in own]
    rate, took = rate_of(units), merged(period.durable_s for period in periods)
    whole = [one for one in verified if one.arm == level.name]
    return Fetched(
        id=evidence_id("fleet", level.name),
        arm=level.of,
        clients=level.vus,
        downloads=sum(period.touched for period in periods),
        downloads_per_s=rate,
        payload_mb_per_s=scaled(rate, level.file_size_bytes / 1e6),
        took_p50=percentile(took, 0.5),
        took_p95=percentile(took, 0.95),
        cpu_s_per_download=cost.cpu_per_upload(units, level),
        cpu_s_by_process=cost.cpu_by_process(units, level),
        resumed=of_all(sum(RESUMED in one.flags for one in whole), len(whole)),
        failed=sum(period.failed for period in periods),
        busy_cores=busy_cores(units),
    )


def _ratios(by_arm: Sequence[Sequence[Arm]], blocks: Sequence[Block]) -> Iterator[FleetRatio]:
    """Every arm with more clients over itself with the fewest; with as many, others over the first arm."""
    for levels in by_arm:
        yield from (_ratio(levels[0], more, blocks) for more in levels[1:])
    for others in by_arm[1:]:
        yield from (_ratio(one, other, blocks) for one, other in zip(by_arm[0], others, strict=True))


def _ratio(below: Arm, above: Arm, blocks: Sequence[Block]) -> FleetRatio:
    return FleetRatio(
        id=evidence_id("fleet", above.name, "over", below.name),
        arm=above.of,
        clients=above.vus,
        over=below.of,
        over_clients=below.vus,
        ratio=gain(blocks, below, above),
    )
