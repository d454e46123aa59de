"""Every table that a result has the numbers for, and the one that sums it up."""

from __future__ import annotations

from loadtests.harness.records.plan import PartKind
from loadtests.harness.records.result import Result
from loadtests.harness.report import (
    tables_compare,
    tables_crowd,
    tables_evidence,
    tables_fleet,
    tables_kill,
    tables_levels,
    tables_neighbours,
    tables_offers,
    tables_sizes,
)
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.table import Table, without_equal
from loadtests.harness.sentences import arms_of
from loadtests.harness.wording import unit_of


def tables(result: Result) -> dict[str, Table]:
    """Every table that has a row, by its ident, in the order of the report."""
    arms, found = Arms.of(result), result.compare
    made = (
        tables_compare.rates(arms, found) if found else None,
        tables_compare.ratios(arms, result, found) if found else None,
        tables_compare.carry_over(arms, found) if found else None,
        tables_compare.processes(arms, found) if found else None,
        tables_compare.prices(arms, result.prices, unit_of(arms_of(result))),
        tables_compare.limits(arms, result.limits),
        tables_levels.gains(result.common_knee) if result.common_knee else None,
        tables_levels.levels(arms, result.knees),
        tables_neighbours.neighbours(arms, result.neighbours) if result.neighbours else None,
        tables_offers.offers(arms, result.offers) if result.offers else None,
        tables_offers.recoveries(arms, result.offers) if result.offers else None,
        tables_kill.kills(arms, result.kills) if result.kills else None,
        tables_crowd.crowd(arms, result.crowd) if result.crowd else None,
        tables_crowd.others(arms, result.crowd) if result.crowd else None,
        tables_fleet.fleet(arms, result.fleet) if result.fleet else None,
        tables_fleet.ratios(arms, result.fleet) if result.fleet else None,
        tables_sizes.rates(arms, result.sizes) if result.sizes else None,
        tables_sizes.ratios(arms, result.sizes) if result.sizes else None,
        tables_evidence.ledger(arms, result),
        tables_evidence.seconds(result.seconds),
    )
    return {table.ident: without_equal(table) for table in made if table is not None and table.rows}


def summary(result: Result) -> Table | None:
    """The few columns that fit a terminal and a comment: speed, price, wait and ratio by arm; of a crowd
    memory; of a fleet downloads; of offered rates waits and refusals; after kills, what became of uploads."""
    arms, found = Arms.of(result), result.compare
    if result.kills is not None:
        return tables_kill.summary(arms, result.kills)
    if result.crowd is not None:
        return tables_crowd.summary(arms, result.crowd)
    if result.offers is not None and result.point is PartKind.RATES:
        return tables_offers.summary(arms, result.offers)
    if result.fleet is not None:
        return tables_fleet.summary(arms, result.fleet)
    return tables_compare.summary(arms, found) if found is not None and found.blocks else None
