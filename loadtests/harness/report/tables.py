"""Tables of a report as text cells: one source for HTML, Markdown and the shared summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loadtests.harness.cost import process_order
from loadtests.harness.crowd import PASSED
from loadtests.harness.ghost_story import ended
from loadtests.harness.latency import FEWEST_PERIODS
from loadtests.harness.records.plan import NOBODY
from loadtests.harness.records.result import (
    ArmResult,
    AtOnce,
    Beside,
    Comparison,
    Crowd,
    Fleet,
    Kills,
    Latency,
    Limit,
    Offers,
    Price,
    Ratio,
    Result,
    Verdict,
)
from loadtests.harness.records.samples import Warn
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.charts_answers import knee_range
from loadtests.harness.sentences import arms_of, meaningful
from loadtests.harness.wording import (
    MISSING,
    count,
    cpu_ms,
    duration,
    in_units,
    mebibytes,
    milliseconds,
    number,
    percent,
    precise,
    ratio,
    size,
    unit_of,
    waited,
    with_interval,
)

_MIB = 1024**2
METRICS = {
    "uploads_per_s": "uploads/s",
    "cpu_s_per_upload": "CPU per upload, ours",
    "k6_cpu_s_per_upload": "CPU per upload, k6",
    "uploads_per_s_without_k6": "uploads/s, as if k6 ran elsewhere",
    "durable_ms": "median time to durable",
}


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


def tables(result: Result) -> dict[str, Table]:
    """Every table that has a row, by its ident, in the order of the report."""
    arms, found = Arms.of(result), result.compare
    compared = [rates(arms, found), ratios(arms, result, found), carry_over(arms, found)] if found else []
    made = (
        *compared,
        processes(arms, found) if found else None,
        prices(arms, result.prices, unit_of(arms_of(result))),
        limits(arms, result),
        saturation(arms, result),
        gains(result),
        levels(arms, result),
        neighbours(arms, result),
        offers(arms, result.offers),
        recoveries(arms, result.offers),
        kills(arms, result.kills),
        crowd(arms, result.crowd),
        beside_crowd(arms, result.crowd),
        fleet(arms, result.fleet),
        fleet_ratios(arms, result.fleet),
        *sizes(arms, result),
        ledger(arms, result),
        seconds(result),
        warnings(result.warnings),
    )
    return {table.ident: without_equal(table) for table in made if table is not None and table.rows}


def without_equal(table: Table) -> Table:
    """The table without columns that hold one value in every row: those compare nothing, the caption has
    them. The first column names the rows and stays."""
    if len(table.rows) < 2:
        return table
    columns = list(zip(*table.rows, strict=True))
    equal = [place for place, cells in enumerate(columns) if place and len(set(cells)) == 1]
    kept = [place for place in range(len(columns)) if place not in equal]
    told = [(table.columns[place], columns[place][0]) for place in equal]
    said = "; ".join(f"{name} {cell}" for name, cell in told if cell not in ("", MISSING))
    return replace(
        table,
        caption=f"{table.caption} The same in every row: {said}.".strip() if said else table.caption,
        columns=tuple(table.columns[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in table.rows),
        first=sum(place < table.first for place in kept),
    )


def summary(result: Result) -> Table | None:
    """The few columns that fit a terminal and a comment: speed, price, wait and ratio by arm; of a crowd
    memory; of a fleet downloads; after kills, what became of the uploads."""
    if result.kills is not None:
        return after_kills(Arms.of(result), result.kills)
    if result.crowd is not None:
        return crowd_summary(Arms.of(result), result.crowd)
    if result.fleet is not None:
        return fleet_summary(Arms.of(result), result.fleet)
    found = result.compare
    if found is None or not found.blocks:
        return None
    arms, base = Arms.of(result), found.arms[0].arm.name
    over = {one.arm: one for one in found.ratios if one.metric == "uploads_per_s" and one.base == base}
    unit = _unit(found)
    return Table(
        "summary",
        "The arms",
        f"Ratio of {unit}s per second: over \"{arms.name(base)}\". CPU: our services and databases, "
        "login and "
        "store apart. In brackets 95 % intervals.",
        ("arm", f"{unit}s/s", f"CPU ms/{unit}", "p95 durable", "ratio"),
        tuple(
            (
                arms.name(one.arm.name), with_interval(one.uploads_per_s),
                with_interval(one.cpu_s_per_upload, cpu_ms), milliseconds(one.durable_p95.ms.value),
                ratio(over[one.arm.name].ratio) if one.arm.name in over else "1",
            )
            for one in found.arms
        ),
    )  # fmt: skip


def _unit(found: Comparison) -> str:
    return unit_of(one.arm for one in found.arms)


def rates(arms: Arms, found: Comparison) -> Table:
    unit = _unit(found)
    return Table(
        "rates",
        "The arms",
        "Rates, prices and percentiles with their 95 % intervals. CPU is that of our services and "
        "databases; the "
        "store, logins and k6 stand apart. Busy cores are those of the whole machine.",
        ("arm", "file", "clients", f"{unit}s", "failed", f"{unit}s/s", "MB/s", "CPU ms", "acknowledged p50",
         "acknowledged p95", "durable p50", "durable p95", "busy cores"),
        tuple(_rates_row(arms, one) for one in found.arms),
        tuple(one.id for one in found.arms),
        spare=(f"{unit}s", "MB/s", "acknowledged p50", "acknowledged p95", "busy cores"),
    )  # fmt: skip


def _rates_row(arms: Arms, one: ArmResult) -> tuple[str, ...]:
    return (
        arms.name(one.arm.name), size(one.arm.file_size_bytes), str(one.arm.vus), f"{one.uploads:,}",
        f"{one.failed:,}", with_interval(one.uploads_per_s), with_interval(one.payload_mb_per_s),
        with_interval(one.cpu_s_per_upload, cpu_ms), _wait(one.acked_p50), _wait(one.acked_p95),
        _wait(one.durable_p50), _wait(one.durable_p95), with_interval(one.busy_cores),
    )  # fmt: skip


def _wait(found: Latency) -> str:
    if found.ms.value is None:
        return f"{found.samples} of {found.minimum} samples"
    return waited(found.ms)


def ratios(arms: Arms, result: Result, found: Comparison) -> Table:
    shown = meaningful(result, found)
    unit = found.ratios[0].unit if found.ratios else "block"
    spread = (
        " Spread within: of blocks of one making of the stacks; between: of makings."
        if unit == "instance"
        else ""
    )
    return Table(
        "ratios",
        "The ratios",
        f"Each of the two arms in the same block, {found.blocks} blocks in all. p is adjusted for all "
        "ratios of a "
        f"metric (Holm). Only rates name a winner.{spread}",
        ("arm", "over", "of", "ratio", "p", "verdict", "winner", f"{unit}s",
         *(("spread within", "between") if unit == "instance" else ())),
        tuple(_ratio_row(arms, one, unit, in_units(METRICS[one.metric], _unit(found))) for one in shown),
        tuple(one.id for one in shown),
        first=3,
    )  # fmt: skip


def _ratio_row(arms: Arms, one: Ratio, unit: str, metric: str) -> tuple[str, ...]:
    spread = (percent(one.within), percent(one.between)) if unit == "instance" else ()
    return (
        arms.name(one.arm), arms.name(one.base), metric, ratio(one.ratio), _p(one.p_holm),
        one.verdict.value, _winner(arms, one), str(one.ratio.n), *spread,
    )  # fmt: skip


def _p(value: float | None) -> str:
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _winner(arms: Arms, one: Ratio) -> str:
    if not one.winner_named:
        return MISSING
    return arms.name(one.arm if one.verdict is Verdict.MORE else one.base)


def carry_over(arms: Arms, found: Comparison) -> Table:
    return Table(
        "carry-over",
        "Carry-over",
        "Uploads in the last third of a turn over those in the first third, by whose turn came before. "
        "Near 1: the "
        "turn before was no longer at work.",
        ("arm", "after", "last over first third"),
        tuple((arms.name(one.arm), arms.name(one.after), ratio(one.change)) for one in found.carry_over),
        first=2,
    )


def processes(arms: Arms, found: Comparison) -> Table:
    """CPU by process, a row for each: arms are few and processes many."""
    names = sorted({name for one in found.arms for name in one.cpu_s_by_process}, key=process_order)
    return Table(
        "processes",
        f"CPU milliseconds of one {_unit(found)}, by process",
        "Of one core, with 95 % intervals. Rest is everything on the machine that was not watched.",
        ("process", *(arms.name(one.arm.name) for one in found.arms)),
        tuple((name, *(_used(one, name) for one in found.arms)) for name in names),
    )


def _used(one: ArmResult | AtOnce, process: str) -> str:
    found = one.cpu_s_by_process.get(process)
    return MISSING if found is None else with_interval(found, cpu_ms)


def prices(arms: Arms, found: Sequence[Price], unit: str) -> Table:
    return Table(
        "counted",
        f"What else one {unit} needs",
        "Counted by the services over all load without logins and lists beside it; in brackets what the code "
        "of the strategy asks for. Gateway bytes are for each byte of the file.",
        ("arm", "requests", "SQL statements", "store requests", "gateway in", "gateway out", "most memory"),
        tuple(
            (
                arms.name(one.arm), number(one.requests), _expected(one.statements, one.statements_expected),
                _expected(one.store_requests, one.store_requests_expected), number(one.gateway_bytes_in),
                number(one.gateway_bytes_out), _most_memory(one),
            )
            for one in found
        ),
        tuple(one.id for one in found),
    )  # fmt: skip


def _expected(value: float | None, expected: float | None) -> str:
    return number(value) + (f" ({number(expected)})" if expected is not None else "")


def _most_memory(one: Price) -> str:
    name = max(one.peak_rss_bytes, key=lambda name: one.peak_rss_bytes[name], default=None)
    return MISSING if name is None else f"{name} {size(one.peak_rss_bytes[name])}"


def limits(arms: Arms, result: Result) -> Table:
    """Equal findings of a part in one row."""
    found: dict[tuple[str, str, str, str], list[Limit]] = {}
    for one in result.limits:
        key = (one.part, one.what or "not identified", one.evidence or MISSING, one.advice or MISSING)
        found.setdefault(key, []).append(one)
    return Table(
        "limits",
        "What set the numbers",
        "Named only with evidence.",
        ("part", "limit", "evidence", "what would help", "arms"),
        tuple((*key, _level_names(arms, [one.arm for one in same])) for key, same in found.items()),
        tuple(" ".join(one.id for one in same) for same in found.values()),
        first=5,
    )


def _level_names(arms: Arms, names: Sequence[str]) -> str:
    """Arms with their levels together: "Direct in parts 12 VU, 24 VU"."""
    by_arm: dict[str, list[str]] = {}
    for name in names:
        by_arm.setdefault(arms.name(name), []).append(name.removeprefix(arms.of_question(name)).strip())
    return "; ".join(f"{arm} {', '.join(filter(None, levels))}".strip() for arm, levels in by_arm.items())


def _level_name(arms: Arms, arm: str) -> str:
    """The arm, with what its level or size adds: "Direct in parts 24 VU"."""
    return arms.name(arm) + arm.removeprefix(arms.of_question(arm))


def saturation(arms: Arms, result: Result) -> Table:
    return Table(
        "saturation",
        "With more clients",
        "Each arm against itself. Saturated where a gain of the limit or more is ruled out.",
        ("arm", "clients", "more clients", "rate with more, over that with fewer", "limit", "saturated"),
        tuple(
            (
                arms.name(one.arm), str(one.vus), str(one.more_vus), ratio(one.gain), f"{1 + one.limit:.2f}",
                "yes" if one.proven else "not shown",
            )
            for one in result.saturation
        ),
        tuple(one.id for one in result.saturation),
    )  # fmt: skip


def gains(result: Result) -> Table:
    """Of all arms together, step by step; what the sentence rests on."""
    found = result.common_knee
    steps = found.steps if found else ()
    limit = percent(found.limit) if found else ""
    shown = {True: "yes", False: "no", None: "not shown"}
    return Table(
        "gains",
        "From one number of clients to the next",
        "Mean gain of all ways, over all rounds of each. It is shown where its whole interval is above the "
        "limit, and ruled out where it is below.",
        ("clients", "instead of", "rate with more, over that with fewer", f"gain of {limit}"),
        tuple((str(one.more_vus), str(one.vus), ratio(one.gain), shown[one.matters]) for one in steps),
        (found.id, *("" for _ in steps[1:])) if found else (),
        first=2,
    )


def levels(arms: Arms, result: Result) -> Table:
    rows, anchors = [], []
    for knee in result.knees:
        for level in knee.levels:
            first = level is knee.levels[0]
            anchors.append(knee.id if first else "")
            rows.append(
                (
                    arms.name(knee.arm), str(level.vus), with_interval(level.uploads_per_s),
                    milliseconds(level.durable_p95_ms), precise(level.busy_cores),
                    knee_range(knee) if first else "",
                )
            )  # fmt: skip
    return Table(
        "levels",
        "Levels",
        "Every arm had every level once in each round. Gains until: by the arm's own turns alone.",
        ("arm", "clients", "uploads/s", "p95 durable", "busy cores", "gains until"),
        tuple(rows),
        tuple(anchors),
    )


def neighbours(arms: Arms, result: Result) -> Table:
    found = result.neighbours
    return Table(
        "neighbours",
        "Logins and lists beside uploads",
        "Open arrivals; waits count from when a request was due. Successes only; failures are counted apart.",
        ("beside", "uploads/s", "login p50", "login p95", "list p50", "list p95", "durable p95", "failed"),
        tuple(_beside_row(arms, one) for one in (found.arms if found else ())),
        tuple(one.id for one in (found.arms if found else ())),
    )


def _beside_row(arms: Arms, one: Beside) -> tuple[str, ...]:
    name = "nobody" if one.arm == NOBODY else arms.name(one.arm)
    durable = _wait(one.durable_p95) if one.durable_p95 else MISSING
    return (
        name, number(one.rate_per_s), _wait(one.login_p50), _wait(one.login_p95), _wait(one.list_p50),
        _wait(one.list_p95), durable, _failed_steps(one),
    )  # fmt: skip


def _failed_steps(one: Beside) -> str:
    return ", ".join(f"{failed} x {step}" for step, failed in one.failed.items() if failed) or "0"


def offers(arms: Arms, found: Offers | None) -> Table:
    cells = found.cells if found else ()
    return Table(
        "offers",
        "Arrivals that wait for nobody",
        "Of what is offered; waits of the acknowledged count from when each was due. Capacity is what the "
        "slowest arm did in the comparison.",
        ("arm", "of capacity", "offered/s", "uploads/s", "p95", "refused", "failed", "not begun", "CPU ms",
         "cores"),
        tuple(
            (
                arms.name(one.arm), percent(one.share), number(one.offered_per_s),
                with_interval(one.uploads_per_s), _wait(one.acked_p95), percent(one.refused),
                percent(one.failed), percent(one.dropped), with_interval(one.cpu_s_per_upload, cpu_ms),
                with_interval(one.busy_cores),
            )
            for one in cells
        ),
        tuple(one.id for one in cells),
    )  # fmt: skip


def recoveries(arms: Arms, found: Offers | None) -> Table:
    shown = found.recoveries if found else ()
    return Table(
        "recovery",
        "After an overload",
        "Seconds after a turn at the highest rate until the lowest one, which comes right behind it, is "
        "served within 10 % of the calm rate: that of the counted parts of the same turns. Looked at second "
        "by second in steps of 0.1 s; the median over turns with its interval, which for six turns is their "
        "range.",
        ("arm", "after", "then", "back after, s", "longest, s", "turns", "not back at their end"),
        tuple(
            (
                arms.name(one.arm), percent(one.after_share), percent(one.share),
                with_interval(one.seconds, _tenths), _tenths(one.longest_s), str(one.seconds.n),
                str(one.not_back),
            )
            for one in shown
        ),
        tuple(one.id for one in shown),
    )  # fmt: skip


def _tenths(seconds: float | None) -> str:
    return MISSING if seconds is None else f"{seconds:.1f}"


def after_kills(arms: Arms, found: Kills) -> Table:
    """What clients were told, and what is there."""
    return Table(
        "summary",
        "After the kills",
        f"Uploads around kills of the {found.service} service. There: as it was sent. Gone: acknowledged to "
        "a client, and not there. Users who lack a file were told of more than they have.",
        ("arm", "began", "acknowledged", "there", "gone", "users", "lack a file", "have none"),
        tuple(
            (
                arms.name(one.arm), f"{one.began:,}", f"{one.acknowledged:,}", f"{one.kept:,}",
                f"{one.gone:,}", f"{one.users:,}", f"{one.users_short:,}", f"{one.users_without_file:,}",
            )
            for one in found.arms
        ),
    )  # fmt: skip


def kills(arms: Arms, found: Kills | None) -> Table:
    shown = found.arms if found else ()
    return Table(
        "kills",
        "Kills, rounds and folders",
        "Rounds are uploads that ended for the client, well or not, as a load generator counts iterations. "
        "Less users with a file (a folder each) they give a number that has nothing to do with what is gone. "
        "There, never ended: the file is there, and its upload says for ever that it has not ended.",
        ("arm", "kills", "rounds", "users with a file", "rounds less these", "gone", "gone by kill",
         "there, never ended", "failed for the client", "of these there", "objects without a row",
         "served again after"),
        tuple(
            (
                arms.name(one.arm), str(len(one.kills)), f"{ended(one):,}", f"{one.users_with_file:,}",
                f"{ended(one) - one.users_with_file:,}", f"{one.gone:,}",
                ", ".join(f"{killed.gone:,}" for killed in one.kills), f"{one.unfinished:,}",
                f"{one.failed:,}", f"{one.late:,}", f"{one.orphans:,}",
                ", ".join(milliseconds(_ms(killed.away_s)) for killed in one.kills),
            )
            for one in shown
        ),
        tuple(one.id for one in shown),
        spare=("gone by kill", "there, never ended", "failed for the client", "of these there",
               "objects without a row", "served again after"),
    )  # fmt: skip


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def crowd_summary(arms: Arms, found: Crowd) -> Table:
    """Memory by arm and number of clients."""
    levels = sorted({cell.clients for cell in found.cells})
    cells = {(cell.arm, cell.clients): cell for cell in found.cells}
    return Table(
        "summary",
        "The arms",
        "Most memory that gateway and upload hold together, by slow clients at once. In brackets 95 % "
        "intervals over turns.",
        ("arm", *(f"{clients} clients" for clients in levels)),
        tuple(
            (
                arms.name(arm),
                *(mebibytes(cells[arm, n].most_bytes) if (arm, n) in cells else MISSING for n in levels),
            )
            for arm in dict.fromkeys(cell.arm for cell in found.cells)
        ),
    )


def crowd(arms: Arms, found: Crowd | None) -> Table:
    cells = found.cells if found else ()
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
                cpu_ms(_per_mib(one, found)), *(_used(one, name) for name in PASSED),
            )
            for one in cells
        ),
        tuple(one.id for one in cells),
        spare=(*PASSED, "uploads/s", *(f"{name} CPU ms" for name in PASSED)),
    )  # fmt: skip


def beside_crowd(arms: Arms, found: Crowd | None) -> Table:
    shown = [(one, one.beside) for one in (found.cells if found else ()) if one.beside]
    return Table(
        "crowd-others",
        "Logins and lists beside slow clients",
        "Open arrivals, over lines as slow as those of the uploads; waits count from when a request was due. "
        "Successes only; failures are counted apart. No figure without an interval.",
        ("arm", "clients", "login p95", "list p95", "failed"),
        tuple(
            (
                arms.name(one.arm), str(one.clients), _surely(beside.login_p95), _surely(beside.list_p95),
                _failed_steps(beside),
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


def _per_mib(one: AtOnce, found: Crowd | None) -> float | None:
    used = one.cpu_s_per_upload.value
    return None if used is None or found is None else used * _MIB / found.file_size_bytes


def fleet_summary(arms: Arms, found: Fleet) -> Table:
    """Downloads per second by arm and number of clients."""
    levels = sorted({cell.clients for cell in found.cells})
    cells = {(cell.arm, cell.clients): cell for cell in found.cells}
    return Table(
        "summary",
        "The arms",
        "Verified downloads per second, by clients at once. In brackets 95 % intervals over rounds.",
        ("arm", *(f"{clients} clients" for clients in levels)),
        tuple(
            (
                arms.name(arm),
                *(
                    with_interval(cells[arm, n].downloads_per_s) if (arm, n) in cells else MISSING
                    for n in levels
                ),
            )
            for arm in dict.fromkeys(cell.arm for cell in found.cells)
        ),
    )


def fleet(arms: Arms, found: Fleet | None) -> Table:
    cells = found.cells if found else ()
    processes = sorted({name for cell in cells for name in cell.cpu_s_by_process}, key=process_order)
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
                with_interval(one.payload_mb_per_s), _wait(one.took_p50), _wait(one.took_p95),
                with_interval(one.cpu_s_per_download, cpu_ms), with_interval(one.busy_cores),
                *(
                    with_interval(one.cpu_s_by_process[name], cpu_ms)
                    if name in one.cpu_s_by_process
                    else MISSING
                    for name in processes
                ),
            )
            for one in cells
        ),
        tuple(one.id for one in cells),
        spare=("MB/s", "p50", "busy cores", *(f"{name} CPU ms" for name in processes)),
    )  # fmt: skip


def fleet_ratios(arms: Arms, found: Fleet | None) -> Table:
    shown = found.ratios if found else ()
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
            for one in shown
        ),
        tuple(one.id for one in shown),
        first=4,
    )  # fmt: skip


def sizes(arms: Arms, result: Result) -> tuple[Table, Table] | tuple[()]:
    if result.sizes is None:
        return ()
    every = [(one.file_size_bytes, one.comparison) for one in result.sizes.sizes]
    rates_by_size = Table(
        "sizes",
        "Rates by file size",
        "Large files have fewer clients.",
        ("file", "arm", "clients", "uploads/s", "MB/s", "CPU ms"),
        tuple(
            (
                size(file_size), arms.name(one.arm.name), str(one.arm.vus), with_interval(one.uploads_per_s),
                with_interval(one.payload_mb_per_s), with_interval(one.cpu_s_per_upload, cpu_ms),
            )
            for file_size, found in every
            for one in found.arms
        ),
        first=2,
    )  # fmt: skip
    by_size = Table(
        "size-ratios",
        "Ratios of uploads per second by file size",
        "As above, for each size by itself.",
        ("file", "arm", "over", "ratio", "verdict", "winner"),
        tuple(
            (
                size(file_size), arms.name(one.arm), arms.name(one.base), ratio(one.ratio), one.verdict.value,
                _winner(arms, one),
            )
            for file_size, found in every
            for one in found.ratios
            if one.metric == "uploads_per_s"
        ),
        first=3,
    )  # fmt: skip
    return rates_by_size, by_size


def ledger(arms: Arms, result: Result) -> Table:
    total = result.ledger
    classes = ["verified", *(name for name in total.classes if name != "verified")]
    rows = [
        (_level_name(arms, arm), *(f"{counts.get(name, 0):,}" for name in classes))
        for arm, counts in total.by_arm.items()
    ]
    flags = "".join(f" {name}: {flagged:,}." for name, flagged in total.flags.items())
    if result.kills is not None:
        never_ended = sum(one.unfinished for one in result.kills.arms)
        flags += (
            " What a planned kill took along (G-02) is a finding and fails no audit; of these uploads "
            f"{never_ended:,} have their file all the same and never ended."
        )
    return Table(
        "ledger",
        "What became of every upload",
        f"{total.intents:,} uploads were intended and {total.acks:,} acknowledged, by {total.users:,} users, "
        f"{total.users_without_file:,} of them without a file. {total.hashed:,} objects were read back "
        "and hashed, "
        f"{total.compared:,} compared by size and ETag. The audit "
        f"{'FAILED' if total.failed else 'passed'}.{flags}",
        ("arm", *classes),
        tuple(rows),
    )


def seconds(result: Result) -> Table:
    return Table(
        "seconds",
        "Where the time went",
        "",
        ("part", "time"),
        tuple((name, duration(value)) for name, value in result.seconds.items()),
    )


def warnings(found: Sequence[Warn]) -> Table:
    return Table(
        "warnings",
        "Warnings",
        "What limits how far this run may be believed, the gravest first.",
        ("code", "severity", "what", "advice"),
        tuple((one.code, one.severity.value, one.message, one.advice or MISSING) for one in found),
        first=4,
    )
