"""Services and databases: each service by itself, its pool, its statements, its store."""

from __future__ import annotations

from grafana.model import Dashboard, Panel, Query, Row, Threshold, Unit
from grafana.parts import (
    MINE,
    NO_EXPORTER,
    NO_STORE_METRICS,
    NOBODY_LOGGED_IN,
    RED,
    RUN,
    SERVICE,
    YELLOW,
    lines,
    percentile,
    spans,
)
from grafana.promql import mean, over, per_s

CALLERS = '{service=~"$service", service!="gateway"}'  # its calls are on its own dashboard
POOL_FULL = (Threshold(0.8, YELLOW), Threshold(0.9, RED))


SERVICES: tuple[Panel, ...] = (
    lines(
        "Requests",
        "Answers per second by service; one upload makes several. A service that falls while the "
        "gateway does not is cut off.",
        Unit.REQUESTS_PER_S,
        Query(per_s(f"http_requests_total{MINE}", "service"), "{{service}}"),
    ),
    lines(
        "Server errors",
        "Answers of 500 and above by service. A line here without one in the gateway was mended by a "
        "second attempt.",
        Unit.REQUESTS_PER_S,
        Query(
            per_s('http_requests_total{service=~"$service", status=~"5.."}', "service", "status"),
            "{{service}} {{status}}",
            empty="no service failed",
        ),
    ),
    percentile(
        "Duration",
        "From request to the end of the answer, by service. Upload contains the time its clients take "
        "to send.",
        "http_request_duration_seconds",
        "service",
        selector=MINE,
    ),
)


CALLS: tuple[Panel, ...] = (
    percentile(
        "Time of calls",
        "From sending to the end of the answer, by caller and called service. Upload asks files to register "
        "what became durable, files asks auth who a share is for. A slow one here makes its caller slow.",
        "upstream_request_seconds",
        "service",
        "upstream",
        selector=CALLERS,
    ),
    lines(
        "What calls were answered",
        "Calls per second by result. `client_fault` is a plain no; `server_fault`, `transport` and `timeout` "
        "are failed, broken or missing answers, and there are none in a healthy system.",
        Unit.REQUESTS_PER_S,
        Query(
            per_s(f"upstream_request_seconds_count{CALLERS}", "service", "upstream", "result"),
            "{{service}} to {{upstream}} {{result}}",
        ),
    ),
    lines(
        "Connections opened, calls sent again",
        "Both near 0 once warm, because connections are kept. A steady rate means that the called service "
        "closes them; only what changed nothing there is sent again.",
        Unit.PER_S,
        Query(
            per_s(f"upstream_connections_opened_total{CALLERS}", "service", "upstream"),
            "{{service}} to {{upstream}} opened",
        ),
        Query(
            per_s(f"upstream_retries_total{CALLERS}", "service", "upstream"),
            "{{service}} to {{upstream}} sent again",
            empty="nothing was sent again",
        ),
    ),
)


DATABASES: tuple[Panel, ...] = (
    lines(
        "Pool in use",
        "Connections in use as a share of those allowed. Yellow from 80 %, red from 90 %: then requests "
        "wait for a connection.",
        Unit.SHARE,
        Query(
            f'sum by (service) (db_pool_connections{{state="in_use", service=~"$service"}}) / '
            f"sum by (service) (db_pool_limit{MINE})",
            "{{service}}",
        ),
        limits=POOL_FULL,
        maximum=1,
    ),
    percentile(
        "Wait for a connection",
        "Before a statement could start. More than a fraction of the statements' own time: the pool is "
        "too small, or statements are too slow.",
        "db_pool_wait_seconds",
        "service",
        selector=MINE,
    ),
    lines(
        "Connections",
        "Open connections by service and state. In use all at once and never idle is a pool at its end.",
        Unit.COUNT,
        Query(f"sum by (service, state) (db_pool_connections{MINE})", "{{service}} {{state}}"),
        stacked=True,
    ),
    lines(
        "Statements",
        "SQL statements per second by name. The mix is fixed by what clients do; one that grows alone is "
        "polling or a retry.",
        Unit.PER_S,
        Query(per_s(f"db_query_seconds_count{MINE}", "statement"), "{{statement}}"),
        stacked=True,
    ),
    percentile(
        "Time of statements",
        "Pool wait apart. All of them slower together: the server is busy; a single one: its table, its "
        "index or a lock.",
        "db_query_seconds",
        "statement",
        selector=MINE,
    ),
    lines(
        "Database time per second",
        "Summed time of all statements: how many are under way on average. Near the cores of the "
        "machine, the database is the limit.",
        Unit.RATIO,
        Query(per_s(f"db_query_seconds_sum{MINE}", "service"), "{{service}}"),
        stacked=True,
    ),
)


OURS = '{datname=~".+_db"}'
SERVERS: tuple[Panel, ...] = (
    lines(
        "Back ends by state",
        "Connections as Postgres sees them. Many `idle in transaction` hold locks and do nothing; `active` "
        "above the cores of the machine means that they wait for each other.",
        Unit.COUNT,
        Query(
            f"sum by (database, state) (pg_stat_activity_count{OURS})",
            "{{database}} {{state}}",
            empty=NO_EXPORTER,
        ),
    ),
    lines(
        "Locks",
        "Locks held or waited for, by mode. Row work takes the weak modes; `accessexclusivelock` under load "
        "is a migration or a truncation that stops everybody.",
        Unit.COUNT,
        Query("sum by (database, mode) (pg_locks_count) > 0", "{{database}} {{mode}}", empty=NO_EXPORTER),
        stacked=True,
    ),
    lines(
        "Commits",
        "Transactions per second by database. Each statement of ours is one. It follows the uploads; without "
        "load only the pollers are left.",
        Unit.PER_S,
        Query(per_s(f"pg_stat_database_xact_commit{OURS}", "database"), "{{database}}", empty=NO_EXPORTER),
    ),
    lines(
        "Rollbacks and deadlocks",
        "Transactions that were taken back. Some belong to conflicts that are answered with 409; a line that "
        "follows the load is work done twice.",
        Unit.PER_S,
        Query(
            per_s(f"pg_stat_database_xact_rollback{OURS}", "database"),
            "{{database}} rollback",
            empty=NO_EXPORTER,
        ),
        Query(
            per_s(f"pg_stat_database_deadlocks{OURS}", "database"), "{{database}} deadlock", empty=NO_EXPORTER
        ),
    ),
    lines(
        "Pages found in the cache",
        "Share of pages that Postgres had in its own memory. Below 99 % under a steady load, the tables no "
        "longer fit.",
        Unit.SHARE,
        Query(
            over(
                per_s(f"pg_stat_database_blks_hit{OURS}", "database"),
                f"{per_s(f'pg_stat_database_blks_hit{OURS}', 'database')} + "
                f"{per_s(f'pg_stat_database_blks_read{OURS}', 'database')}",
            ),
            "{{database}}",
            empty=NO_EXPORTER,
        ),
        maximum=1,
    ),
    lines(
        "Rows written",
        "Inserted, updated and deleted by database. Updates far above inserts are states that change often; "
        "they cost as much as new rows.",
        Unit.PER_S,
        *(
            Query(
                per_s(f"pg_stat_database_tup_{what}{OURS}", "database"),
                f"{{{{database}}}} {what}",
                empty=NO_EXPORTER,
            )
            for what in ("inserted", "updated", "deleted")
        ),
    ),
)


DOWNLOADS: tuple[Panel, ...] = (
    lines(
        "Bytes of downloads",
        "File bytes that the files service sends itself. Downloads through a link to the store are not in "
        "it: their bytes never pass a service.",
        Unit.BYTES_PER_S,
        Query(per_s("files_download_bytes_total"), "sent"),
    ),
    lines(
        "Links to the store",
        "Presigned links given out for downloads. `hit` is one that was signed before and is still good for "
        "long enough, `miss` a new signature.",
        Unit.PER_S,
        Query(per_s("files_presigned_total", "cache"), "{{cache}}"),
    ),
    lines(
        "Files of batch downloads",
        "Files that were asked for many at once, by result. A batch is answered 200 even when files of it "
        "failed: `failed` shows here only.",
        Unit.PER_S,
        Query(per_s('batch_files_total{op="download"}', "result"), "{{result}}"),
    ),
    lines(
        "Looks into the cache of rows",
        "Rows of sessions and files that a service may keep (CACHE), by result. All `miss` under repeated "
        "reads: the cache is too small or rows change too fast. `failed`: Redis did not answer, the database "
        "was asked instead. All at 0 with CACHE=none.",
        Unit.PER_S,
        Query(per_s(f"cache_lookups_total{MINE}", "service", "result"), "{{service}} {{result}}"),
    ),
)


STORE: tuple[Panel, ...] = (
    lines(
        "Store requests by operation",
        "Requests that the services send to the object store. Direct uploads ask for little: their bytes "
        "come from the clients.",
        Unit.REQUESTS_PER_S,
        Query(per_s(f"store_request_seconds_count{MINE}", "op", "result"), "{{op}} {{result}}"),
        stacked=True,
    ),
    percentile(
        "Time of store requests",
        "By operation. One that carries bytes grows with their size; a look at an object should not.",
        "store_request_seconds",
        "op",
        selector=MINE,
    ),
    lines(
        "Requests that the store counts",
        "All requests by their own count of the store, clients' direct PUTs included. Far above the "
        "services' own: clients upload directly.",
        Unit.REQUESTS_PER_S,
        Query(per_s("minio_s3_requests_total", "api"), "{{api}}", empty=NO_STORE_METRICS),
    ),
    lines(
        "Bytes of the store",
        "Received and sent by the object store. Received twice the stored bytes: chunks are stored and "
        "copied again.",
        Unit.BYTES_PER_S,
        Query(per_s("minio_s3_traffic_received_bytes"), "received", empty=NO_STORE_METRICS),
        Query(per_s("minio_s3_traffic_sent_bytes"), "sent", empty=NO_STORE_METRICS),
    ),
    lines(
        "Errors of the store",
        "Answers of 400 and above by operation. 404 of a look at an object may be meant; 5xx never are.",
        Unit.REQUESTS_PER_S,
        Query(per_s("minio_s3_requests_errors_total", "api"), "{{api}}", empty="the store refused nothing"),
    ),
    lines(
        "Logins",
        "By result. `limited` and `overloaded` under a measured load mean that logins are the limit.",
        Unit.PER_S,
        Query(per_s("auth_logins_total", "result"), "{{result}}"),
    ),
    lines(
        "Time of a password hash, mean",
        "One hash, the wait for a thread apart. It is slow on purpose; a rise under load means that hashes "
        "compete for cores.",
        Unit.SECONDS,
        Query(
            mean("auth_password_hash_seconds", "", "scheme", "op"),
            "{{scheme}} {{op}}",
            empty=NOBODY_LOGGED_IN,
        ),
    ),
    lines(
        "Time of one store request, mean",
        "Exact means by operation. Compare with the percentile: a wide gap is a long tail.",
        Unit.SECONDS,
        Query(mean("store_request_seconds", MINE, "op"), "{{op}}"),
    ),
    lines(
        "Store requests of one request",
        "Requests to the store for each answered request of a service. It is a constant of the code; a "
        "rise means retries.",
        Unit.RATIO,
        Query(
            over(
                per_s(f"store_request_seconds_count{MINE}", "service"),
                per_s(f"http_requests_total{MINE}", "service"),
            ),
            "{{service}}",
        ),
    ),
)


def dashboard() -> Dashboard:
    return Dashboard(
        uid="vaultbench-services",
        title="Services and databases",
        answers="Which service is slow, and whether it waits for its database, its pool or the store.",
        rows=(
            Row("Services", SERVICES),
            Row("Calls between services", CALLS),
            Row("Pools and statements", DATABASES),
            Row("Database servers", SERVERS),
            Row("Downloads and caches", DOWNLOADS),
            Row("Object store and logins", STORE),
        ),
        variables=(SERVICE, RUN),
        annotations=spans(),
    )
