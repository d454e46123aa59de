"""k6: the same load from the clients' side, as k6 pushes it while it runs."""

from __future__ import annotations

from grafana.model import Dashboard, Panel, Query, Row, Threshold, Unit
from grafana.parts import NO_PUSH, RED, RUN, lines, spans
from grafana.promql import per_s

UPLOADS = 'scenario="uploads"'


LOAD: tuple[Panel, ...] = (
    lines(
        "Virtual users",
        "Active ones, and those that k6 has made. An open load that reaches its maximum has become a "
        "closed one.",
        Unit.COUNT,
        Query("max by (arm) (k6_vus)", "{{arm}}", empty=NO_PUSH),
        Query("max by (arm) (k6_vus_max)", "{{arm}} maximum", empty=NO_PUSH),
    ),
    lines(
        "Offered and achieved",
        "Iterations that k6 was to start and those that ended, per second. A gap is load that was never "
        "offered: the measured rate is then the generator's.",
        Unit.PER_S,
        Query(
            f"{per_s(f'k6_iterations_total{{{UPLOADS}}}', 'arm')} + on (arm) "
            f"({per_s('k6_dropped_iterations_total', 'arm')} or on (arm) "
            f"0 * {per_s(f'k6_iterations_total{{{UPLOADS}}}', 'arm')})",
            "{{arm}} offered",
            empty=NO_PUSH,
        ),
        Query(per_s(f"k6_iterations_total{{{UPLOADS}}}", "arm"), "{{arm}} achieved", empty=NO_PUSH),
    ),
    lines(
        "Dropped iterations",
        "Arrivals that were due while no virtual user was free. Any of them spoils the trial.",
        Unit.PER_S,
        Query(
            per_s("k6_dropped_iterations_total", "arm", "scenario"),
            "{{arm}} {{scenario}}",
            empty="the generator kept up",
        ),
        limits=(Threshold(0.01, RED),),
    ),
)


SEEN: tuple[Panel, ...] = (
    lines(
        "Time of one upload",
        "From its first request to its last answer. p99 far above p95 at low load is a pause: garbage "
        "collection, a flush, a scrape.",
        Unit.SECONDS,
        *(
            Query(f"max by (arm) (k6_iteration_duration_{p}{{{UPLOADS}}})", f"{{{{arm}}}} {p}", empty=NO_PUSH)
            for p in ("p50", "p95", "p99")
        ),
    ),
    lines(
        "Time by step, p95",
        "Each request of an upload by its step. The step that grows with the load is the one that queues.",
        Unit.SECONDS,
        Query("max by (arm, name) (k6_http_req_duration_p95)", "{{arm}} {{name}}", empty=NO_PUSH),
    ),
    lines(
        "Failed requests",
        "Requests that did not answer 200, by step. k6 sees also those that never reached a service.",
        Unit.REQUESTS_PER_S,
        Query(
            per_s('k6_http_reqs_total{status!="200"}', "name", "status"),
            "{{name}} {{status}}",
            empty="no request failed",
        ),
    ),
    lines(
        "Phases of a request, p95",
        "Waiting for a connection, sending, waiting for the first byte, receiving. `blocked` above 0 "
        "after the start means that connections are not kept.",
        Unit.SECONDS,
        *(
            Query(f"max by (arm) (k6_http_req_{phase}_p95)", f"{{{{arm}}}} {phase}", empty=NO_PUSH)
            for phase in ("blocked", "sending", "waiting", "receiving")
        ),
    ),
    lines(
        "Bytes of the clients",
        "Sent and received by k6, to services and store together. Far above files times uploads: something "
        "was sent again.",
        Unit.BYTES_PER_S,
        Query(per_s("k6_data_sent_total", "arm"), "{{arm}} sent", empty=NO_PUSH),
        Query(per_s("k6_data_received_total", "arm"), "{{arm}} received", empty=NO_PUSH),
    ),
    lines(
        "Requests by step",
        "Requests per second by step and status. The mix belongs to the strategy; another one means that "
        "uploads break off on the way.",
        Unit.REQUESTS_PER_S,
        Query(per_s("k6_http_reqs_total", "arm", "name"), "{{arm}} {{name}}", empty=NO_PUSH),
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
