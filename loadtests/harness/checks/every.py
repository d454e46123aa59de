"""Every check, in the order in which warnings are told: the first grave one says why a run is invalid."""

from __future__ import annotations

from loadtests.harness.checks import comparison, ledger, load, machine, missing, system
from loadtests.harness.checks.check import Check

CHECKS: tuple[Check, ...] = (
    ledger.mismatch,
    missing.audits,
    missing.samples,
    ledger.other_bytes,
    system.restarted,
    load.failed,
    load.at_its_end,
    missing.measurements,
    missing.processor_time,
    system.limiter_in_force,
    machine.memory_short,
    machine.idle_stack_busy,
    load.slower_than_lines,
    comparison.carried_over,
    comparison.not_saturated,
    comparison.few_blocks,
    comparison.not_precise,
    system.uploads_failed,
    comparison.few_uploads,
    system.backlog_growing,
    load.fell_behind,
    load.late,
    load.above_capacity,
    system.miscounted,
    machine.noisy_host,
    machine.disk_stalled,
    machine.shared_host,
    ledger.notes,
    missing.parts,
)
