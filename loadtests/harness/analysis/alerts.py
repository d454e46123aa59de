"""Which alerts fired during a run, for the report; an alert judges nothing, it points."""

from __future__ import annotations

from loadtests.harness.analysis.facts import Facts
from loadtests.harness.analysis.model_books import AlertRow, AlertView
from loadtests.harness.records.model import Event

FIRED, WATCHED = "alert", "alerts"


def alerts(facts: Facts) -> AlertView:
    """Rows in the order they began to fire. ``text`` is "" for a bundle from before alerts were kept."""
    rows = tuple(_row(facts, event) for event in facts.events if event.kind == FIRED)
    said = [event.detail for event in facts.events if event.kind == WATCHED]
    if not said:
        return AlertView(rows=rows, text="")
    if not said[-1].get("watched"):
        return AlertView(rows=rows, text=f"nobody watched: {said[-1].get('reason', 'unknown')}")
    if not rows:
        return AlertView(rows=rows, text=f"none of {said[-1].get('rules', '?')} rules fired")
    names = ", ".join(sorted({row.name for row in rows}))
    return AlertView(rows=rows, text=f"{len(rows)} fired: {names}")


def _row(facts: Facts, event: Event) -> AlertRow:
    detail = event.detail
    running = (t.plan.trial for t in facts.trials if t.started_at <= event.at <= t.ended_at)
    return AlertRow(
        at_s=event.at - facts.manifest.started_at,
        trial=next(running, None),
        name=str(detail["name"]),
        severity=str(detail["severity"]),
        where=" ".join(f"{name}={value}" for name, value in detail["where"].items()),
        meaning=str(detail["meaning"]),
        firing_s=float(detail["firing_s"]),
        still=bool(detail["still"]),
    )
