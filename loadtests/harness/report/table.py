"""What a table of a report is, as text cells: one source for HTML, Markdown and the shared summary.

``tables_compare`` and its like make the tables of one subject each, ``tables`` has them all; here is what
they share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from loadtests.harness.records.result import ArmResult, AtOnce, Fetched, Latency
from loadtests.harness.report.charts import Arms
from loadtests.harness.wording import MISSING, cpu_ms, waited, with_interval


@dataclass(frozen=True, slots=True)
class Table:
    """``first`` columns hold words, the rest numbers. Every cell is text, ready to print. ``anchors`` are ids
    of the rows, or empty; a row that stands for several has theirs with blanks between. Columns of ``spare``
    are shown on demand."""

    ident: str
    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    anchors: tuple[str, ...] = ()
    first: int = 1
    spare: tuple[str, ...] = ()


def without_equal(table: Table) -> Table:
    """The table without columns that hold one value in every row: those compare nothing, the caption has
    them. The first column names the rows and stays."""
    if len(table.rows) < 2:
        return table
    columns = list(zip(*table.rows, strict=True))
    equal = [place for place, cells in enumerate(columns) if place and len(set(cells)) == 1]
    told = [(table.columns[place], columns[place][0]) for place in equal]
    said = "; ".join(f"{name} {cell}" for name, cell in told if cell not in ("", MISSING))
    shown = _only(table, [place for place in range(len(columns)) if place not in equal])
    return (
        replace(shown, caption=f"{table.caption} The same in every row: {said}.".strip()) if said else shown
    )


def without_spare(table: Table) -> Table:
    """The table without the columns that are shown on demand."""
    return _only(table, [place for place, name in enumerate(table.columns) if name not in table.spare])


def _only(table: Table, kept: Sequence[int]) -> Table:
    return replace(
        table,
        columns=tuple(table.columns[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in table.rows),
        first=sum(place < table.first for place in kept),
    )


def by_clients(arms: Arms, cells: Mapping[tuple[str, int], str], caption: str) -> Table:
    """The summary of a question that has several numbers of clients: a column for each. ``cells`` are by arm
    and number of clients."""
    levels = sorted({clients for _, clients in cells})
    return Table(
        "summary",
        "The arms",
        caption,
        ("arm", *(f"{clients} clients" for clients in levels)),
        tuple(
            (arms.name(arm), *(cells.get((arm, clients), MISSING) for clients in levels))
            for arm in dict.fromkeys(arm for arm, _ in cells)
        ),
    )


def wait(found: Latency) -> str:
    """Where there are too few samples: how many there are."""
    if found.ms.value is None:
        return f"{found.samples} of {found.minimum} samples"
    return waited(found.ms)


def process_ms(one: ArmResult | AtOnce | Fetched, process: str) -> str:
    """CPU milliseconds of one upload or download in a process."""
    found = one.cpu_s_by_process.get(process)
    return MISSING if found is None else with_interval(found, cpu_ms)
