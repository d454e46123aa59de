"""Gateway: what clients see of it, what it does with more than fits, and what it waits for."""

from __future__ import annotations

from grafana.dashboards.proxy_direct import ALL_DONE
from grafana.model import Dashboard, Panel, Query, Row, Threshold, Unit
from grafana.parts import NO_PUSH, RED, RUN, SO_FAR, YELLOW, lines, percentile, spans
from grafana.promql import error_of, or_zero, over, per_s, quantile

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
        *(
            Query(over(or_zero(per_s(f"http_requests_total{{{MINE}, {status}}}")), all_answers), legend)
            for legend, status in (("5xx", 'status=~"5.."'), ("429", 'status="429"'))
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


NOT_HEALTH = 'path!~"(/.*)?/(live|ready|health|health/detailed|ping)"'
NOBODY_REFUSED = "nobody was refused"
OFFERED = per_s(f"http_requests_total{{{MINE}, {NOT_HEALTH}}}")
REFUSED = or_zero(per_s(f"admission_rejected_total{{{MINE}}}"))
LIMITED = or_zero(per_s(f"rate_limited_total{{{MINE}}}"))


def _time_of(status: str) -> str:
    """Of requests that belong to uploads, as k6 saw them, by their status."""
    selector = f'role="load", status=~"{status}", name!~"login|list|read"'
    return f"max by (arm) (k6_http_req_duration_p95{{{selector}}})"


OVERLOAD: tuple[Panel, ...] = (
    lines(
        "Offered, admitted and refused",
        "Requests that the gateway answered, health checks apart; those of them that it let in; and those "
        "that admission control or a rate limit turned away. Offered above admitted: more arrives than fits, "
        "and admitted should stay level. It falls where refusing costs so much that less is served.",
        Unit.REQUESTS_PER_S,
        Query(OFFERED, "offered"),
        Query(f"{OFFERED} - {REFUSED} - {LIMITED}", "admitted"),
        Query(f"{REFUSED} + {LIMITED}", "refused"),
    ),
    lines(
        "Uploads ended, acknowledged and durable",
        "Uploads that came to an end at their clients in whatever way, those of them that were acknowledged, "
        "and those that became durable, as the services count them: the goodput. Under overload the first "
        "runs ahead; the goodput should stay where it was.",
        Unit.PER_S,
        Query(per_s("k6_uploads_total"), "ended", empty=NO_PUSH),
        Query(per_s('k6_uploads_total{result="acknowledged"}'), "acknowledged", empty=NO_PUSH),
        Query(per_s(ALL_DONE), "durable"),
    ),
    lines(
        "Time of the admitted and of the refused, p95",
        "Requests of uploads that were answered with 200 or 201, and those that were refused with 429 or "
        "503, by arm. Admission control does its work where the first stay as fast as before, whatever is "
        f"offered, and the second are answered at once. {SO_FAR}",
        Unit.SECONDS,
        Query(_time_of("2.."), "{{arm}}", empty=NO_PUSH),
        Query(_time_of("429|503"), "{{arm}}, refused", empty=NOBODY_REFUSED),
    ),
    lines(
        "Admitted requests",
        "Requests that run and that wait their turn, and how many may do either at once, over all gateway "
        "processes. At the limit the next one is refused.",
        Unit.COUNT,
        Query(f"sum(admission_running{{{MINE}}})", "running"),
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
        "what is admitted stays fast. Each answer says when to try again (`Retry-After`); a line that stays "
        "high while little is offered is clients that do not wait.",
        Unit.PER_S,
        Query(per_s(f"admission_rejected_total{{{MINE}}}", "reason"), "{{reason}}", empty=NOBODY_REFUSED),
    ),
    lines(
        "Refused by rate limits",
        "Answers of 429: the gateway limits addresses and users (by tier), auth limits logins. Wanted under "
        "an attack; under a measured load they mean that the limit was measured, not the system.",
        Unit.PER_S,
        Query(
            per_s("rate_limited_total", "service", "scope", "tier"),
            "{{service}}: {{scope}} {{tier}}",
            empty=NOBODY_REFUSED,
        ),
    ),
    lines(
        "Limits counted without Redis",
        "With RATE_LIMIT_BACKEND=redis all gateway processes share one count. These requests were counted by "
        "one process alone, because Redis did not answer; meanwhile a client may send more than its limit.",
        Unit.REQUESTS_PER_S,
        Query(per_s(f"rate_limit_fallback_total{{{MINE}}}", "reason"), "{{reason}}"),
    ),
)


BREAKERS: tuple[Panel, ...] = (
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
        answers="Which routes are asked for, how fast and how well they are answered, what becomes of more "
        "than fits, and what holds requests up on the way.",
        rows=(
            Row("Requests", REQUESTS),
            Row("Overload", OVERLOAD),
            Row("Breakers and upstreams", (*BREAKERS, *UPSTREAMS)),
        ),
        variables=(RUN,),
        annotations=spans(),
    )
