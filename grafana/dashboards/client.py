"""k6: the same load from the clients' side, as k6 pushes it while it runs."""

from __future__ import annotations

from grafana.model import Dashboard, Panel, Query, Row, Threshold, Unit
from grafana.parts import NO_PUSH, RED, RUN, SO_FAR, lines, spans
from grafana.promql import per_s

LOAD_ONLY = '{role="load"}'  # not what clients ask the harness


LOAD: tuple[Panel, ...] = (
    lines(
        "Uploads of the clients",
        "Uploads that ended per second, by arm. Between the turns of an arm there are none, so its line is "
        "as high as its share of the time; the report has the rates of the turns themselves.",
        Unit.PER_S,
        Query(per_s('k6_uploads_total{result="acknowledged"}', "arm"), "{{arm}}", empty=NO_PUSH),
    ),
    lines(
        "Uploads that failed",
        "Uploads per second that ended in an error or without an answer, by arm. The ledger says of each "
        "what became of it.",
        Unit.PER_S,
        Query(per_s('k6_uploads_total{result="failed"}', "arm"), "{{arm}}", empty="no upload failed"),
        limits=(Threshold(0.01, RED),),
    ),
    lines(
        "Late arrivals, p95",
        "How long after they were due uploads, logins and lists began, where clients arrive at a fixed rate. "
        "Far above a few milliseconds: the generator did not keep up; users would have waited longer than "
        f"it saw. {SO_FAR}",
        Unit.SECONDS,
        Query("max by (arm) (k6_lateness_p95)", "{{arm}}", empty=NO_PUSH),
    ),
)


SEEN: tuple[Panel, ...] = (
    lines(
        "Time of one upload",
        "From its first request to its last answer. p99 far above p95 at low load is a pause: garbage "
        f"collection, a flush, a scrape. {SO_FAR}",
        Unit.SECONDS,
        *(
            Query(f"max by (arm) (k6_upload_time_{p})", f"{{{{arm}}}} {p}", empty=NO_PUSH)
            for p in ("p50", "p95", "p99")
        ),
    ),
    lines(
        "Time by step, p95",
        "Each request of an upload by its step. The step that grows with the load is the one that queues. "
        f"{SO_FAR}",
        Unit.SECONDS,
        Query(f"max by (arm, name) (k6_http_req_duration_p95{LOAD_ONLY})", "{{arm}} {{name}}", empty=NO_PUSH),
    ),
    lines(
        "Failed requests",
        "Requests that were not answered with 200 or 201, by step. k6 sees also those that never reached a "
        "service.",
        Unit.REQUESTS_PER_S,
        Query(
            per_s('k6_http_reqs_total{role="load", status!~"2.."}', "name", "status"),
            "{{name}} {{status}}",
            empty="no request failed",
        ),
    ),
    lines(
        "Phases of a request, p95",
        "Waiting for a connection, sending, waiting for the first byte, receiving. `blocked` above 0 "
        f"after the start means that connections are not kept. {SO_FAR}",
        Unit.SECONDS,
        *(
            Query(f"max by (arm) (k6_http_req_{phase}_p95{LOAD_ONLY})", f"{{{{arm}}}} {phase}", empty=NO_PUSH)
            for phase in ("blocked", "sending", "waiting", "receiving")
        ),
    ),
    lines(
        "Requests by step",
        "Requests per second by step and status. The mix belongs to the strategy; another one means that "
        "uploads break off on the way.",
        Unit.REQUESTS_PER_S,
        Query(per_s(f"k6_http_reqs_total{LOAD_ONLY}", "arm", "name"), "{{arm}} {{name}}", empty=NO_PUSH),
        stacked=True,
    ),
)


def dashboard() -> Dashboard:
    return Dashboard(
        uid="vaultbench-k6",
        title="k6",
        answers="What the clients asked for, what they got, and whether the generator itself kept up.",
        rows=(Row("The load", LOAD), Row("What clients saw", SEEN)),
        variables=(RUN,),
        annotations=spans(),
    )
