"""Behind the answer: what each strategy does on the way, as the services count it."""

from __future__ import annotations

from grafana.colours import PROCESS_COLOURS
from grafana.dashboards.proxy_direct import DONE, FEW, MANY_DONE, METHOD, TTD
from grafana.model import Dashboard, Panel, Query, Row, Unit
from grafana.parts import NO_PUSH, RUN, SO_FAR, STRATEGY, lines, percentile, spans
from grafana.promql import per_s

WAY: tuple[Panel, ...] = (
    lines(
        "Goodput",
        "Uploads that became durable per second, by strategy. A span shorter than the look-back of a rate "
        "(four scrapes) is shown lower than it was.",
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
    lines(
        "Time to acknowledgement, p95",
        "How long the client waited for its last answer, as k6 measured it. Far below the time to durable: "
        f"uploads are acknowledged before they are safe. {SO_FAR}",
        Unit.SECONDS,
        Query("max by (arm) (k6_upload_time_p95)", "{{arm}}", empty=NO_PUSH),
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
        uid="vaultbench-behind",
        title="Behind the answer",
        answers="What an upload of each strategy asks of databases and store, when it is durable, and where "
        "uploads fail.",
        rows=(Row("On the way", WAY),),
        variables=(STRATEGY, RUN),
        annotations=spans(),
    )
