"""Tables of slow clients: memory and processor time by how many there are, and what others wait."""

from __future__ import annotations

from loadtests.harness.analysis.crowd import PASSED
from loadtests.harness.latency import FEWEST_PERIODS
from loadtests.harness.records.result import AtOnce, Crowd, Latency
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.table import Table, by_clients, process_ms
from loadtests.harness.report.tables_neighbours import failed_steps
from loadtests.harness.wording import count, cpu_ms, mebibytes, waited, with_interval

MIB = 1024**2


def summary(arms: Arms, found: Crowd) -> Table:
    """Memory by arm and number of clients."""
    return by_clients(
        arms,
        {(cell.arm, cell.clients): mebibytes(cell.most_bytes) for cell in found.cells},
        "Most memory that gateway and upload hold together, by slow clients at once. In brackets 95 % "
        "intervals over turns.",
    )


def crowd(arms: Arms, found: Crowd) -> Table:
    return Table(
        "crowd",
        "Slow clients",
        "Memory is that of gateway and upload together: the most of any look in a turn, and the mean of all "
        "looks. CPU is that of our services and databases. With few clients it is largely what the processes "
        "do anyway: being looked at, and the logins and lists beside the uploads.",
        ("arm", "clients", "most memory", "mean memory", *PASSED, "uploads/s", "CPU ms", "CPU ms/MiB",
         *(f"{name} CPU ms" for name in PASSED)),
        tuple(
            (
                arms.name(one.arm), str(one.clients), mebibytes(one.most_bytes), mebibytes(one.mean_bytes),
                *(mebibytes(one.most_by_process[name]) for name in PASSED),
                with_interval(one.uploads_per_s), with_interval(one.cpu_s_per_upload, cpu_ms),
                cpu_ms(_per_mib(one, found.file_size_bytes)), *(process_ms(one, name) for name in PASSED),
            )
            for one in found.cells
        ),
        tuple(one.id for one in found.cells),
        spare=(*PASSED, "uploads/s", *(f"{name} CPU ms" for name in PASSED)),
    )  # fmt: skip


def _per_mib(one: AtOnce, file_size_bytes: int) -> float | None:
    """CPU-seconds for each MiB that is uploaded."""
    used = one.cpu_s_per_upload.value
    return None if used is None else used * MIB / file_size_bytes


def others(arms: Arms, found: Crowd) -> Table:
    shown = [(one, one.beside) for one in found.cells if one.beside]
    return Table(
        "crowd-others",
        "Logins and lists beside slow clients",
        "Open arrivals, over lines as slow as those of the uploads; waits count from when a request was due. "
        "Successes only; failures are counted apart. No figure without an interval.",
        ("arm", "clients", "login p95", "list p95", "failed"),
        tuple(
            (
                arms.name(one.arm), str(one.clients), _surely(beside.login_p95), _surely(beside.list_p95),
                failed_steps(beside),
            )
            for one, beside in shown
        ),
        tuple(beside.id for _, beside in shown),
    )  # fmt: skip


def _surely(found: Latency) -> str:
    """Nothing without an interval."""
    if found.ms.low is not None:
        return waited(found.ms)
    measured = f"{found.samples} in {count(found.ms.n, 'turn')}"
    return f"not enough ({measured}; it takes {found.minimum} in {FEWEST_PERIODS})"
