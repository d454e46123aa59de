"""Gateway: what clients see of it, and what it waits for."""

from __future__ import annotations

from grafana.model import Dashboard, Panel, Query, Row, Threshold, Unit
from grafana.parts import RED, RUN, YELLOW, lines, percentile, spans
from grafana.promql import error_of, over, per_s, quantile

MINE = 'service="gateway"'
SLOW = (Threshold(0.2, YELLOW), Threshold(1, RED))
FAILING = (Threshold(0.001, YELLOW), Threshold(0.01, RED))


all_answers = per_s(f"http_requests_total{{{MINE}}}")
REQUESTS: tuple[Panel, ...] = (
    lines(
        "Requests by route",
        "Answers per second. `unmatched` are paths that no route knows; a band of them is a wrong "
        "client or somebody looking around.",
        Unit.REQUESTS_PER_S,
        Query(per_s(f"http_requests_total{{{MINE}}}", "path"), "{{path}}"),
        stacked=True,
    ),
    lines(
        "Share of errors",
        "Answers of 500 and above, and 429, among all answers. Yellow from 0.1 %, red from 1 %: the "
        "limits of the alerts.",
        Unit.SHARE,
        Query(
            over(per_s(f'http_requests_total{{{MINE}, status=~"5.."}}') + " or vector(0)", all_answers), "5xx"
        ),
        Query(
            over(per_s(f'http_requests_total{{{MINE}, status="429"}}') + " or vector(0)", all_answers), "429"
        ),
        limits=FAILING,
    ),
    percentile(
        "Duration by route",
        "From the request's head to the end of the response, so a slow client counts too. Yellow from "
        "200 ms, red from 1 s. Routes that carry bodies are slower by nature; a step in one of the "
        "others is a queue.",
        "http_request_duration_seconds",
        "path",
        selector=f"{{{MINE}}}",
        limits=SLOW,
    ),
    lines(
        "In flight",
        "Requests inside the gateway now. A staircase that does not come down means that something "
        "behind it has stopped answering.",
        Unit.COUNT,
        Query(f"sum(http_in_flight_requests{{{MINE}}})", "in flight"),
    ),
    lines(
        "Bytes of bodies",
        "Through the gateway, on the clients' side. Direct uploads hardly move it; that is their point.",
        Unit.BYTES_PER_S,
        Query(per_s("gateway_bytes_total", "direction"), "{{direction}}"),
    ),
    lines(
        "Clients that left",
        "Requests whose client closed before the answer (499). Some after an interrupted load; a steady "
        "line means that clients give up waiting.",
        Unit.REQUESTS_PER_S,
        Query(
            per_s(f'http_requests_total{{{MINE}, status="499"}}', "path"), "{{path}}", empty="no client left"
        ),
    ),
)

named = "upstream_request_seconds"
UPSTREAMS: tuple[Panel, ...] = (
    percentile(
        "Time of upstreams",
        "From sending to the end of the answer of a service behind the gateway. One line far above the "
        "others names the service to look at.",
        named,
        "upstream",
        selector=f"{{{MINE}}}",
    ),
    lines(
        "What upstreams answered",
        "Requests to the services by result. `transport` and `timeout` are broken or missing answers: "
        "with a healthy system there are none.",
        Unit.REQUESTS_PER_S,
        Query(per_s(f"{named}_count{{{MINE}}}", "upstream", "result"), "{{upstream}} {{result}}"),
    ),
    lines(
        "Connections opened to upstreams",
        "New connections per second. Near 0 once warm, because they are kept; a steady rate means that "
        "each request pays for a new one.",
        Unit.PER_S,
        Query(per_s(f"upstream_connections_opened_total{{{MINE}}}", "upstream"), "{{upstream}}"),
    ),
    lines(
        "Requests sent again",
        "Second attempts, allowed only where nothing was done yet. Any line means that upstreams close "
        "connections under the gateway.",
        Unit.PER_S,
        Query(
            per_s(f"upstream_retries_total{{{MINE}}}", "upstream"),
            "{{upstream}}",
            empty="nothing was sent again",
        ),
    ),
    lines(
        "Refused by rate limits",
        "Answers of 429: the gateway limits addresses and users (by tier), auth limits logins. Wanted under "
        "an attack; under a measured load they mean that the limit was measured, not the system.",
        Unit.PER_S,
        Query(
            per_s("rate_limited_total", "service", "scope", "tier"),
            "{{service}}: {{scope}} {{tier}}",
            empty="nobody was refused",
        ),
    ),
    lines(
        "Limits counted without Redis",
        "With RATE_LIMIT_BACKEND=redis all gateway processes share one count. These requests were counted by "
        "one process alone, because Redis did not answer; meanwhile a client may send more than its limit.",
        Unit.REQUESTS_PER_S,
        Query(per_s(f"rate_limit_fallback_total{{{MINE}}}", "reason"), "{{reason}}"),
    ),
    Panel(
        title="Gateway's own time, p95 ± its bucket",
        description="Of all requests to the upload service: the whole time in the gateway and the part "
        "spent in the service. The gap between both lines is the gateway itself; it should stay thin "
        "under load. " + error_of(named),
        unit=Unit.SECONDS,
        queries=(
            Query(
                quantile(0.95, "http_request_duration_seconds", f'{{{MINE}, path=~"/api/upload/.*"}}'),
                "whole",
            ),
            Query(quantile(0.95, named, f'{{{MINE}, upstream="upload"}}'), "in the service"),
        ),
    ),
)


admission = f"admission_running{{{MINE}}}"
ADMISSION: tuple[Panel, ...] = (
    lines(
        "Admitted requests",
        "Requests that run and that wait their turn, and how many may do either at once, over all gateway "
        "processes. At the limit the next one is refused.",
        Unit.COUNT,
        Query(f"sum({admission})", "running"),
        Query(f"sum(admission_queued{{{MINE}}})", "waiting"),
        Query(f"sum(admission_limit{{{MINE}}})", "limit"),
    ),
    percentile(
        "Wait for a turn",
        "Of requests that did not run at once. Near the deadline of the queue they are refused instead: what "
        "runs is too slow for what arrives.",
        "admission_wait_seconds",
        selector=f"{{{MINE}}}",
        empty="nobody had to wait",
    ),
    lines(
        "Refused by admission control",
        "`full`: no place, neither to run nor to wait. `deadline`: waited too long. Wanted under overload; "
        "what is admitted stays fast.",
        Unit.PER_S,
        Query(
            per_s(f"admission_rejected_total{{{MINE}}}", "reason"), "{{reason}}", empty="nobody was refused"
        ),
    ),
    lines(
        "Breakers",
        "The worst state of all breakers before a service: 0 closed, 1 half-open (a few requests try), 2 open"
        " (requests are refused, the service is asked whether it lives).",
        Unit.COUNT,
        Query("max by (service, upstream) (breaker_state)", "{{service}} to {{upstream}}"),
    ),
    lines(
        "Changes of breakers",
        "How often breakers opened, tried and closed. A breaker that opens again and again stands before a "
        "service that lives and fails.",
        Unit.PER_S,
        Query(
            per_s("breaker_transitions_total", "service", "upstream", "to"),
            "{{service}} to {{upstream}}: {{to}}",
            empty="no breaker moved",
        ),
    ),
)


def dashboard() -> Dashboard:
    return Dashboard(
        uid="vaultbench-gateway",
        title="Gateway",
        answers="Which routes are asked for, how fast and how well they are answered, and what holds "
        "requests up on the way.",
        rows=(
            Row("Requests", REQUESTS),
            Row("Admission and breakers", ADMISSION),
            Row("Limits and upstreams", UPSTREAMS),
        ),
        variables=(RUN,),
        annotations=spans(),
    )
