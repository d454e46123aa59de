"""Proxy against direct: the first screen answers the question, the second says where the time goes."""

from __future__ import annotations

from grafana import promql
from grafana.colours import INK, PROCESS_COLOURS
from grafana.model import Dashboard, Kind, Panel, Query, Row, Unit
from grafana.parts import BRIEF, NO_PUSH, NOT_MEASURING, RUN, STRATEGY, lines, percentile, spans, stat
from grafana.processes import SYSTEM_CPU
from grafana.promql import per_s, quantile
from grafana.strategies import Shown, strategies

METHOD = '{method=~"$strategy"}'
DONE = 'upload_sessions_total{event="completed", method=~"$strategy"}'
ALL_DONE = 'upload_sessions_total{event="completed"}'
TTD = "upload_time_to_durable_seconds"
# Turns are shorter than the time between two scrapes.
ALL_ARMS = "Of all strategies together, whose turns scrapes cannot tell apart, and with the store."


AS_REPORTED = "Of the comparison in the chosen run, told by the harness: it is the report's figure."
BESIDE_UPLOADS = "users logged in or listed beside the uploads, so that the bytes are not the uploads' alone"


def of_arm(family: str, empty: str = NOT_MEASURING) -> Query:
    """What the harness found of each arm, as it said last."""
    chosen = f'last_over_time({family}{{run=~"$run"}}[$__range])'
    return Query(f"max by (arm) ({chosen})", "{{arm}}", empty=empty, instant=True)


def _stick(one: Shown) -> Query:
    chosen = f'{{method="{one.method}", method=~"$strategy"}}'
    return Query(
        expr=quantile(0.95, TTD, chosen),
        x=per_s(f"{TTD}_sum{chosen}"),
        legend=one.arm,
        colour=one.colour,
        empty="" if one.decides else BRIEF,
    )


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
            'sum by (method) (increase(upload_sessions_total{event=~"failed|aborted", '
            'method=~"$strategy"}[$__range]))',
            "{{method}}",
            instant=True,
        ),
        width=4,
        decimals=0,
    ),
)


CURVES: tuple[Panel, ...] = (
    lines(
        "Goodput",
        "Uploads that became durable per second. A plateau while clients are added is the capacity; a "
        "fall after it is congestion. A span shorter than the look-back of a rate (four scrapes) is "
        "shown lower than it was.",
        Unit.PER_S,
        Query(per_s(DONE, "method"), "{{method}}"),
    ),
    percentile(
        "Time to durable",
        "From the session's creation to durable, by strategy. It should follow the number of clients; "
        "a jump at equal load means that something queues.",
        TTD,
        "method",
        selector=METHOD,
    ),
    Panel(
        title="Latency over concurrency, p95 ± its bucket",
        description="The hockey stick: each dot is one moment, time to durable over the uploads that "
        "were under way (their summed time per second, by Little's law). Flat at first; where it turns "
        "up, more clients only wait. The strategy whose stick bends further right carries more. "
        + promql.error_of(TTD),
        unit=Unit.SECONDS,
        queries=tuple(_stick(one) for one in strategies()),
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
        Query(per_s(f"upload_bytes_total{METHOD}", "method"), "{{method}}"),
        Query(THROUGH_GATEWAY, "gateway", colour=INK),
    ),
    lines(
        "Failures by step",
        "Requests of clients that the gateway answered with an error, by route and status. Any line "
        "belongs to a fault, an overload or a mistake; 499 are clients that left.",
        Unit.REQUESTS_PER_S,
        Query(
            per_s(
                'http_requests_total{service="gateway", path=~"/api/upload/.*", status!~"2..|3.."}',
                "path",
                "status",
            ),
            "{{path}} {{status}}",
            empty="no request failed",
        ),
    ),
)


BEHIND: tuple[Panel, ...] = (
    lines(
        "Time to acknowledgement, p95",
        "How long the client waited for its last answer, as k6 measured it; exact, not from buckets. "
        "Far below the time to durable: uploads are acknowledged before they are safe.",
        Unit.SECONDS,
        Query("max by (arm) (k6_upload_time_p95)", "{{arm}}", empty=NO_PUSH),
    ),
    lines(
        "Uploads under way",
        "Summed time of all uploads per second, which is how many were under way on average. It should "
        "equal the clients of the load; less means that clients waited elsewhere.",
        Unit.COUNT,
        Query(per_s(f"{TTD}_sum{METHOD}", "method"), "{{method}}"),
    ),
    lines(
        "Answers to clients",
        "Bytes that the gateway sent back. Uploads need few of them; a high line is downloads or long lists.",
        Unit.BYTES_PER_S,
        Query(per_s('gateway_bytes_total{direction="out"}'), "gateway", colour=PROCESS_COLOURS["gateway"]),
    ),
    lines(
        "SQL statements of one upload",
        "Statements by database for each durable upload. It is fixed by the strategy: a rise means "
        f"retries or polling that uploads pay for. {FEW}",
        Unit.COUNT,
        Query(
            f"{per_s('db_query_seconds_count', 'service')} / on () group_left () {MANY_DONE}", "{{service}}"
        ),
        stacked=True,
    ),
    lines(
        "Store requests of one upload",
        "Requests that the services send to the object store for each durable upload; those of the "
        "clients are not in it. Fixed by the strategy: a rise means retries. " + FEW,
        Unit.COUNT,
        Query(f"{per_s('store_request_seconds_count', 'op')} / on () group_left () {MANY_DONE}", "{{op}}"),
        stacked=True,
    ),
    lines(
        "Acknowledged before durable",
        "Last chunks that were answered while the file was not safe yet, per second. Every one is a "
        "promise that a crash would break.",
        Unit.PER_S,
        Query(per_s("upload_ack_before_durable_total"), "early"),
    ),
)


def dashboard() -> Dashboard:
    return Dashboard(
        uid="vaultbench-proxy-direct",
        title="Proxy against direct",
        answers="What each strategy stores, how long it takes, what it costs, and from where on more "
        "clients only wait.",
        rows=(
            Row("The answer", (*NUMBERS, *CURVES, *COSTS)),
            Row("Behind it", BEHIND),
        ),
        variables=(STRATEGY, RUN),
        annotations=spans(),
    )
