"""Tables of a fleet: downloads by how many clients there are at once, and their ratios."""

from __future__ import annotations

from loadtests.harness.cost import process_order
from loadtests.harness.records.result import Fleet
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.table import Table, by_clients, process_ms, wait
from loadtests.harness.wording import cpu_ms, percent, ratio, with_interval


def summary(arms: Arms, found: Fleet) -> Table:
    """Downloads per second by arm and number of clients."""
    return by_clients(
        arms,
        {(cell.arm, cell.clients): with_interval(cell.downloads_per_s) for cell in found.cells},
        "Verified downloads per second, by clients at once. In brackets 95 % intervals over rounds.",
    )


def fleet(arms: Arms, found: Fleet) -> Table:
    processes = sorted({name for cell in found.cells for name in cell.cpu_s_by_process}, key=process_order)
    return Table(
        "fleet",
        "Fleets",
        "Downloads whose bytes are those that were uploaded. Resumed: cut in the middle, and the rest asked "
        "for by range. CPU is that of our services and databases; busy cores are those of the whole machine.",
        ("arm", "clients", "downloads", "failed", "resumed", "downloads/s", "MB/s", "p50", "p95", "CPU ms",
         "busy cores", *(f"{name} CPU ms" for name in processes)),
        tuple(
            (
                arms.name(one.arm), str(one.clients), f"{one.downloads:,}", f"{one.failed:,}",
                percent(one.resumed.value), with_interval(one.downloads_per_s),
                with_interval(one.payload_mb_per_s), wait(one.took_p50), wait(one.took_p95),
                with_interval(one.cpu_s_per_download, cpu_ms), with_interval(one.busy_cores),
                *(process_ms(one, name) for name in processes),
            )
            for one in found.cells
        ),
        tuple(one.id for one in found.cells),
        spare=("MB/s", "p50", "busy cores", *(f"{name} CPU ms" for name in processes)),
    )  # fmt: skip


def ratios(arms: Arms, found: Fleet) -> Table:
    return Table(
        "fleet-ratios",
        "Ratios of downloads per second",
        "Of turns in the same round, with their 95 % intervals over rounds.",
        ("arm", "clients", "over", "its clients", "ratio", "rounds"),
        tuple(
            (
                arms.name(one.arm), str(one.clients), arms.name(one.over), str(one.over_clients),
                ratio(one.ratio), str(one.ratio.n),
            )
            for one in found.ratios
        ),
        tuple(one.id for one in found.ratios),
        first=4,
    )  # fmt: skip
