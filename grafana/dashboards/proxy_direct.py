"""Proxy against direct: one screen that answers the question, for the arms of any comparison."""

from __future__ import annotations

from grafana import promql
from grafana.colours import INK
from grafana.model import Dashboard, Kind, Panel, Query, Row, Unit
from grafana.parts import (
    ARM,
    BRIEF,
    NO_PAIR,
    NO_PUSH,
    NOT_MEASURING,
    PAIR_COLOURS,
    RUN,
    lines,
    spans,
    stat,
)
from grafana.processes import SYSTEM_CPU
from grafana.promql import LEVEL, per_s
from grafana.strategies import with_variants

ALL_DONE = 'upload_sessions_total{event="completed"}'
# Turns are shorter than the time between two scrapes.
ALL_ARMS = "Of all strategies together, whose turns scrapes cannot tell apart, and with the store."


AS_REPORTED = "Of the comparison in the chosen run, told by the harness: it is the report's figure."
BESIDE_UPLOADS = "users logged in or listed beside the uploads, so that the bytes are not the uploads' alone"


def of_arm(family: str, empty: str = NOT_MEASURING) -> Query:
    """What the harness found of each arm, as it said last."""
    chosen = f'last_over_time({family}{{run=~"$run", arm=~"$arm"}}[$__range])'
    return Query(f"max by (arm) ({chosen})", "{{arm}}", empty=empty, instant=True)


def _stick(arm: str, colour: str, empty: str) -> Query:
    """A curve needs a name: one for each arm whose name is known beforehand."""
    mine = f', arm=~"{arm}{LEVEL}"}}'
    time, uploads = (per_s(counted[:-1] + mine) for counted in (TIME, UPLOADS))
    return Query(expr=promql.over(time, uploads), x=time, legend=arm, colour=colour, empty=empty)


CHOSEN = f'arm=~"$arm{LEVEL}"'
UPLOADS = f'k6_uploads_total{{result="acknowledged", {CHOSEN}}}'
TIME = f"k6_upload_time_sum{{{CHOSEN}}}"
UNDER_WAY = promql.by_arm(promql.rate(TIME))
# A price needs uploads: between stretches a few of them, or none, would bear what the machine does anyway.
MANY_DONE = f"({per_s(ALL_DONE)} > 0.1 * max_over_time({per_s(ALL_DONE)}[$__range:5s] @ end()))"
FEW = "Moments with less than a tenth of the highest rate are left out."
THROUGH_GATEWAY = per_s('gateway_bytes_total{direction="in"}')
NUMBERS: tuple[Panel, ...] = (
    stat(
        "Uploads per second",
        f"Verified uploads in the counted parts of each arm's turns. {AS_REPORTED}",
        Unit.PER_S,
        of_arm("testbed_arm_uploads_per_second"),
        decimals=1,
    ),
    stat(
        "Median time to durable",
        "From an upload's first request until its file could survive a crash. An arm may win in uploads per "
        f"second and lose here. {AS_REPORTED}",
        Unit.SECONDS,
        of_arm("testbed_arm_time_to_durable_seconds"),
    ),
    stat(
        "CPU of one upload",
        "Processor time of gateway, services and databases for one upload; store, logins, generator and "
        f"watchers apart. {AS_REPORTED}",
        Unit.SECONDS,
        of_arm("testbed_arm_cpu_seconds_per_upload"),
    ),
    stat(
        "Gateway bytes per file byte",
        "Bytes that clients sent through the gateway for each byte of a file: 1 when all of the file "
        f"passes, almost 0 when only the talk about it does. {AS_REPORTED}",
        Unit.RATIO,
        of_arm("testbed_arm_gateway_bytes_per_file_byte", empty=BESIDE_UPLOADS),
        decimals=2,
    ),
    stat(
        "Failed uploads",
        "Uploads that failed or were aborted in the shown span. Anything but 0 questions all "
        "other numbers here.",
        Unit.COUNT,
        Query(
            'sum(increase(upload_sessions_total{event=~"failed|aborted"}[$__range]))',
            "all arms",
            instant=True,
        ),
        width=4,
        decimals=0,
    ),
)


CURVES: tuple[Panel, ...] = (
    lines(
        "Uploads by arm",
        "Uploads that were acknowledged per second. Arms take turns, so each line is as high as its share of "
        "the time; the number above is of the turns themselves. A plateau while clients are added is the "
        "capacity; a fall after it is congestion.",
        Unit.PER_S,
        Query(promql.by_arm(promql.rate(UPLOADS)), "{{arm}}", empty=NO_PUSH),
    ),
    lines(
        "Time of an upload by arm, mean",
        "From its first request to its last answer, as the client saw it: an exact mean of each moment. It "
        "should follow the number of clients; a jump at equal load means that something queues.",
        Unit.SECONDS,
        Query(promql.over(UNDER_WAY, promql.by_arm(promql.rate(UPLOADS))), "{{arm}}", empty=NO_PUSH),
    ),
    Panel(
        title="Time of an upload over uploads at once",
        description="The hockey stick: each dot is one moment, the exact mean time of an upload over the "
        "uploads that were under way (their summed time per second, by Little's law). Flat at first; where "
        "it turns up, more clients only wait. The arm whose stick bends further right carries more. Of "
        "strategies and of A and B; the two panels by arm have those with other names, and the report has "
        "all of them by number of clients.",
        unit=Unit.SECONDS,
        queries=(
            *(_stick(one.arm, one.colour, NO_PUSH if one.decides else BRIEF) for one in with_variants()),
            *(_stick(arm, colour, NO_PAIR) for arm, colour in PAIR_COLOURS.items()),
        ),
        kind=Kind.CURVE,
        x_title="uploads at once",
    ),
)


COSTS: tuple[Panel, ...] = (
    lines(
        "CPU of one upload of all strategies, by process",
        f"Processor time for one durable upload, logins and generator apart. {ALL_ARMS} A band "
        f"that grows with the load is a process that pays more for each upload than before. {FEW}",
        Unit.SECONDS,
        Query(f"{SYSTEM_CPU} / on () group_left () {MANY_DONE}", "{{process}}"),
        stacked=True,
    ),
    lines(
        "File bytes, and bytes through the gateway",
        "Files by strategy, and what clients sent through the gateway. With a proxied strategy both are the "
        "same; with a direct one the gateway stays near 0. Gateway above files: chunks were sent again.",
        Unit.BYTES_PER_S,
        Query(per_s("upload_bytes_total", "method"), "{{method}}"),
        Query(THROUGH_GATEWAY, "gateway", colour=INK),
    ),
    lines(
        "Uploads at once by arm",
        "Summed time of all uploads per second, which is how many were under way on average. All arms "
        "together should equal the clients of the load; less means that clients waited elsewhere.",
        Unit.COUNT,
        Query(UNDER_WAY, "{{arm}}", empty=NO_PUSH),
        stacked=True,
    ),
)


def dashboard() -> Dashboard:
    return Dashboard(
        uid="vaultbench-proxy-direct",
        title="Proxy against direct",
        answers="What each arm of a comparison stores, how long it takes, what it costs, and from where on "
        "more clients only wait.",
        rows=(Row("The answer", (*NUMBERS, *CURVES, *COSTS)),),
        variables=(RUN, ARM),
        annotations=spans(),
    )
