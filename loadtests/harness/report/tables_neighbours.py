"""The table of logins and lists beside uploads."""

from __future__ import annotations

from loadtests.harness.records.plan import NOBODY
from loadtests.harness.records.result import Beside, Neighbours
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.table import Table, wait
from loadtests.harness.wording import MISSING, number


def neighbours(arms: Arms, found: Neighbours) -> Table:
    return Table(
        "neighbours",
        "Logins and lists beside uploads",
        "Open arrivals; waits count from when a request was due. Successes only; failures are counted apart.",
        ("beside", "uploads/s", "login p50", "login p95", "list p50", "list p95", "durable p95", "failed"),
        tuple(_row(arms, one) for one in found.arms),
        tuple(one.id for one in found.arms),
    )


def _row(arms: Arms, one: Beside) -> tuple[str, ...]:
    name = "nobody" if one.arm == NOBODY else arms.name(one.arm)
    durable = wait(one.durable_p95) if one.durable_p95 else MISSING
    return (
        name, number(one.rate_per_s), wait(one.login_p50), wait(one.login_p95), wait(one.list_p50),
        wait(one.list_p95), durable, failed_steps(one),
    )  # fmt: skip


def failed_steps(one: Beside) -> str:
    """ "2 x login, 1 x list"."""
    return ", ".join(f"{failed} x {step}" for step, failed in one.failed.items() if failed) or "0"
