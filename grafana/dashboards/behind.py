"""Behind the answer: how far the run's questions are, and what each strategy does on the way."""

from __future__ import annotations

from grafana.colours import INK, PROCESS_COLOURS
from grafana.dashboards.proxy_direct import FEW, MANY_DONE
from grafana.model import Dashboard, Panel, Query, Row, Unit
from grafana.parts import METHOD, NO_PUSH, NOT_MEASURING, RUN, SO_FAR, STRATEGY, lines, percentile, spans
from grafana.promql import over, per_s

DONE = 'upload_sessions_total{event="completed", method=~"$strategy"}'
TTD = "upload_time_to_durable_seconds"

OF_RUN = '{run=~"$run"}'
PAIR = "{{arm}} / {{over}}"
ONE_BLOCK = "a spread, and so an interval, takes two blocks or more"
UNTIL_NOW = (
    "Of the comparison as far as it is audited, told by the harness: what the report would say if the run "
    "ended now."
)


def _ratio(metric: str, bound: str) -> str:
    return f'max by (arm, over) (testbed_ratio{{run=~"$run", metric="{metric}", bound="{bound}"}})'


def _ratios(metric: str) -> tuple[Query, ...]:
    """The ratio of each pair of arms, and the ends of its interval."""
    return (
        Query(_ratio(metric, "middle"), PAIR, empty=NOT_MEASURING),
        Query(_ratio(metric, "low"), f"{PAIR} at least", empty=ONE_BLOCK),
        Query(_ratio(metric, "high"), f"{PAIR} at most", empty=ONE_BLOCK),
    )


RATE = "uploads_per_s"
QUESTIONS: tuple[Panel, ...] = (
    lines(
        "Question under way",
        "1 while a question of the run is asked. Between two of them uploads are audited and deleted, or "
        "stacks made anew; a long gap with nothing at 1 is an audit of very many files.",
        Unit.COUNT,
        Query(f"max by (part) (testbed_turn_active{OF_RUN})", "{{part}}", empty=NOT_MEASURING),
        maximum=1,
    ),
    lines(
        "Blocks done of those wanted",
        "Each question of the run, the block under way by its turns. It falls once where the spread of the "
        "first blocks asks for more of them; a line that stands still while its question is asked is a load "
        "that hangs.",
        Unit.SHARE,
        Query(
            over(
                f"max by (part) (testbed_blocks_done{OF_RUN})",
                f"max by (part) (testbed_blocks_wanted{OF_RUN})",
            ),
            "{{part}}",
            empty=NOT_MEASURING,
        ),
        maximum=1,
    ),
    lines(
        "Ratio of uploads per second",
        f"One arm over another with its 95 % interval. {UNTIL_NOW} An interval that holds 1 names no winner; "
        "one that goes on wandering is a machine that changes.",
        Unit.RATIO,
        *_ratios(RATE),
    ),
    lines(
        "Ratio of CPU of one upload",
        "Processor time of gateway, services and databases for one upload, one arm over another with its "
        f"95 % interval. {UNTIL_NOW} Above 1 the first one costs more.",
        Unit.RATIO,
        *_ratios("cpu_s_per_upload"),
    ),
    lines(
        "How sure the ratio is",
        "Half of the interval of the ratio of uploads per second, as a share of the ratio. The run has as "
        "many blocks as the wanted one takes, within its time; far above it, neighbouring turns differ too "
        "much.",
        Unit.SHARE,
        Query(
            f"({_ratio(RATE, 'high')} - {_ratio(RATE, 'low')}) / 2 / {_ratio(RATE, 'middle')}",
            PAIR,
            empty=ONE_BLOCK,
        ),
        Query(f"max(testbed_half_width_wanted{OF_RUN})", "wanted", colour=INK, empty=NOT_MEASURING),
    ),
)

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
        answers="How far the questions of a run are and how sure the answer is; what an upload of each "
        "strategy asks of databases and store, when it is durable, and where uploads fail.",
        rows=(Row("Questions", QUESTIONS), Row("On the way", WAY)),
        variables=(STRATEGY, RUN),
        annotations=spans(),
    )
