"""Tables for whoever has to choose a way: which is the fastest where, what each costs, what it makes
possible, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from loadtests.harness.analysis.best_ways import best_ways
from loadtests.harness.comparison import scaled
from loadtests.harness.plan.prices import EXAMPLE
from loadtests.harness.records.result import Cost, Costs, Decision, Result
from loadtests.harness.records.vocabulary import Validity
from loadtests.harness.records.ways import ABILITIES, Ability, UnitPrices, Way
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.table import Table
from loadtests.harness.wording import MISSING, capital, listed, number, precise, size, with_interval

TITLE = "Which way to choose?"
DAY_H = 24.0
SIDE_BY_SIDE = 3  # ways that fit a terminal as columns
MEASURED, COUNTED = "measured", "measured; the clients' own given"
TITLES = {"million": "A million uploads", "terabyte": "A terabyte (10^12 bytes) of files"}


class _Row(NamedTuple):
    """One figure of a cost."""

    name: str
    source: str
    say: Callable[[Cost], str]
    short: bool = True  # a terminal shows it too
    head: str = ""  # as a column of the terminal's table of many ways; none where it has none there


_ROWS = (
    _Row(
        "processors, core-hours",
        MEASURED,
        lambda one: with_interval(one.core_hours),
        head="processors\ncore-hours",
    ),
    _Row(
        "cores, if all come within a day",
        MEASURED,
        lambda one: with_interval(scaled(one.core_hours, 1 / DAY_H)),
    ),
    _Row(
        "the store's processors, core-hours",
        MEASURED,
        lambda one: with_interval(one.store_core_hours),
        short=False,
    ),
    _Row("memory, GiB-hours", MEASURED, lambda one: precise(one.memory_gib_hours), head="memory\nGiB-hours"),
    _Row("through the gateway, GB", MEASURED, lambda one: precise(one.gateway_gb), head="gateway\nGB"),
    _Row("store requests", COUNTED, lambda one: number(one.store_requests), head="store\nrequests"),
    _Row("SQL statements", MEASURED, lambda one: number(one.statements), short=False),
)


def decision_tables(result: Result) -> tuple[Table, ...]:
    """For people: the map, what the ways cost and, where they are different ways, what they make possible."""
    arms, found = Arms.of(result), result.decision
    made = [_map(arms, result)]
    if found is not None:
        made += [_costs(arms, found, one) for one in found.costs]
        made += [_abilities(found.ways)] if found.ways else []
    return tuple(table for table in made if table.rows)


def short_decision(result: Result) -> Table | None:
    """The few rows of a million uploads that fit a terminal, cell by cell as in the report."""
    found = result.decision
    million = next((one for one in found.costs if one.of == "million"), None) if found else None
    if found is None or million is None:
        return None
    whole = _costs(Arms.of(result), found, million)
    left_out = {row.name for row in _ROWS if not row.short}
    files = listed([size(one) for one in found.file_sizes], "or")
    files += f", sent by {found.clients} slow clients at once" if found.clients else ""
    possible = ", and what each way makes possible" if found.ways else ""
    shown = replace(
        whole,
        caption=f"Files of {files}; our services and databases. In the report: every figure, which are "
        f"measured and which given, the same for a terabyte{possible}.",
        columns=_without_source(whole.columns),
        rows=tuple(_without_source(row) for row in whole.rows if row[0] not in left_out),
        first=1,
    )
    return shown if len(million.costs) <= SIDE_BY_SIDE else _turned(shown, found.prices)


def _turned(table: Table, prices: UnitPrices | None) -> Table:
    """A row for each way: as columns, many of them leave no figure whole."""
    heads = {row.name: row.head for row in _ROWS if row.head}
    if prices is not None:
        heads[_sum_in(prices)] = f"cost\n{prices.currency}"
    kept = [row for row in table.rows if row[0] in heads]
    return replace(
        table,
        columns=("way", *(heads[row[0]] for row in kept)),
        rows=tuple((way, *(row[at] for row in kept)) for at, way in enumerate(table.columns[1:], 1)),
    )


def _without_source(cells: tuple[str, ...]) -> tuple[str, ...]:
    return cells[0], *cells[2:]


def _map(arms: Arms, result: Result) -> Table:
    """Of several file sizes or distances. A run that may name no winner has none."""
    cells = {} if result.profile == "smoke" or result.validity is Validity.INVALID else best_ways(result)
    titles = {way.arm: way.title for way in (result.decision.ways if result.decision else ())}
    distances = sorted({rtt_ms for _, rtt_ms in cells})

    def said(cell: tuple[int, int]) -> str:
        arm = cells.get(cell)
        return "~" if arm is None else titles.get(arm.of, arms.name(arm.of))

    rows = tuple(
        (
            size(file_size),
            *(said((file_size, rtt_ms)) if (file_size, rtt_ms) in cells else "" for rtt_ms in distances),
        )
        for file_size in sorted({file_size for file_size, _ in cells})
    )
    columns = ("file", *(f"{rtt_ms} ms round trip" for rtt_ms in distances))
    return Table(
        "map",
        "The fastest way by file size and round trip",
        "In uploads per second, as this run measured; ~: no way was shown to be faster than all others.",
        columns,
        rows if len(cells) > 1 else (),
        first=len(columns),
    )


def reasons(result: Result) -> Table | None:
    """Why a way makes something possible or not, and what shows it; equal reasons once."""
    ways = result.decision.ways if result.decision else ()
    rows: dict[tuple[str, Ability], list[str]] = {}
    for name, words in ABILITIES.items():
        for title, way in _by_strategy(ways).items():
            rows.setdefault((words, _ability(way, name)), []).append(title)
    if not rows:
        return None
    return Table(
        "reasons",
        "Why, and what shows it",
        "Properties of the ways, given and not measured. Each names a test of this repository, or the code, "
        "that shows it.",
        ("to", "which way", "possible", "why", "shown by"),
        tuple(
            (words, listed(titles), _yes(ability), capital(ability.why) + ".", _place(ability))
            for (words, ability), titles in rows.items()
        ),
        first=5,
    )


def _costs(arms: Arms, found: Decision, of: Costs) -> Table:
    rows = [
        (row.name, row.source, *(row.say(one) for one in of.costs))
        for row in _ROWS
        if any(row.say(one) != MISSING for one in of.costs)
    ]
    if found.prices is not None:
        sums = [MISSING if one.money is None else with_interval(one.money) for one in of.costs]
        rows.append((_sum_in(found.prices), "measured, times given prices", *sums))
    return Table(
        f"cost-{of.of}",
        TITLES[of.of],
        " ".join(_caption(found, of)),
        ("what it takes", "figures", *(arms.name(one.arm) for one in of.costs)),
        tuple(rows),
        first=2,
    )


def _sum_in(prices: UnitPrices) -> str:
    return f"cost, {prices.currency}"


def _caption(found: Decision, of: Costs) -> Iterator[str]:
    """Said once, at the first table; what is only of one stands there."""
    files = listed([size(one) for one in found.file_sizes], "or")
    if of.of != "million":
        yield f"The same for 10^12 bytes in files of {files}."
        return
    if found.clients is None:
        yield (
            f"Files of {files}. Processors and memory are those of our services and their databases; logins "
            "and the load generator are left out. Memory is the most they held, for as long as the uploads "
            "take at the rate measured here."
        )
    else:
        yield (
            f"Files of {files}, sent by {found.clients} slow clients at once. Processors and memory are "
            "those of our services and their databases; what these did for the logins and lists beside the "
            "uploads is in them, alike for every way, and the load generator is left out. Memory is the "
            "most they held, for as long as the uploads take at the rate measured here, which the lines set: "
            "with fewer clients at once, what the processes hold anyway is shared by fewer uploads."
        )
    if found.prices is None:
        yield f"No prices were given; PRICES={EXAMPLE} adds the sum in money."
    else:
        yield _of_prices(found.prices)


def _of_prices(prices: UnitPrices) -> str:
    each: Mapping[str, float] = {
        "a core-hour": prices.core_hour,
        "a core-hour of the store": prices.store_core_hour,
        "a GiB-hour": prices.gib_hour,
        "a GB through the gateway": prices.gateway_gb,
        "a million store requests": prices.million_store_requests,
        "a million statements": prices.million_statements,
    }
    said = ", ".join(f"{what} {price:g}" for what, price in each.items())
    return f"Prices were given, of {prices.date.isoformat()} ({prices.source}): in {prices.currency} {said}."


def _abilities(ways: Sequence[Way]) -> Table:
    columns = _by_strategy(ways)
    return Table(
        "abilities",
        "What each way makes possible",
        "Given by how the ways work, not measured.",
        ("to", *columns),
        tuple(
            (words, *(_yes(_ability(way, name)) for way in columns.values()))
            for name, words in ABILITIES.items()
        ),
    )


def _by_strategy(ways: Sequence[Way]) -> dict[str, Way]:
    """One for each strategy, by its title: arms may share one."""
    return {way.title: way for way in ways}


def _ability(way: Way, name: str) -> Ability:
    found: Ability = getattr(way.abilities, name)
    return found


def _place(ability: Ability) -> str:
    path, _, name = ability.proof.partition("::")
    return f"{name} in {path}"


def _yes(ability: Ability) -> str:
    return "yes" if ability.able else "no"
