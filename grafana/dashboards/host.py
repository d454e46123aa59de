"""Host and processes: who uses the machine, and whether the event loops keep up."""

from __future__ import annotations

from grafana.model import Dashboard, Panel, Query, Row, Threshold, Unit
from grafana.parts import RED, RUN, SERVICE, YELLOW, lines, percentile, spans
from grafana.processes import CPU, FDS, MEMORY
from grafana.promql import per_s, rate

MINE = '{service=~"$service"}'
BUSY = (Threshold(0.8, YELLOW), Threshold(0.9, RED))
LATE = (Threshold(0.01, YELLOW), Threshold(0.1, RED))


PROCESSES: tuple[Panel, ...] = (
    lines(
        "CPU by process",
        "Cores in use. A Python process is at its end at 1, long before the machine is; then only a "
        "second instance helps.",
        Unit.RATIO,
        Query(CPU, "{{process}}"),
        stacked=True,
    ),
    lines(
        "CPU of each Python process",
        "Cores in use by one event loop. Yellow from 80 %, red from 90 % of its one core.",
        Unit.SHARE,
        Query(f"sum by (service) ({rate(f'process_cpu_seconds_total{MINE}')})", "{{service}}"),
        limits=BUSY,
    ),
    lines(
        "Memory by process",
        "Resident memory. It should level off; a straight rise under constant load is a leak, or bodies "
        "that are held.",
        Unit.BYTES,
        Query(MEMORY, "{{process}}"),
    ),
    lines(
        "Open file descriptors",
        "Connections and files. They should fall when the load ends; those that stay are forgotten.",
        Unit.COUNT,
        Query(FDS, "{{process}}"),
    ),
    lines(
        "Garbage collections",
        "Runs of Python's collector by generation. Many of generation 2 cost pauses that the loop lag shows.",
        Unit.PER_S,
        Query(
            per_s('python_gc_collections_total{service=~"$service"}', "service", "generation"),
            "{{service}} gen {{generation}}",
        ),
    ),
    lines(
        "Disk of the store",
        "Bytes that the store wrote to and read from disk. Writes far above the bytes received: files "
        "are written more than once.",
        Unit.BYTES_PER_S,
        Query(per_s("minio_node_io_write_bytes"), "written"),
        Query(per_s("minio_node_io_read_bytes"), "read"),
    ),
)


LOOPS: tuple[Panel, ...] = (
    percentile(
        "Event loop lag",
        "How late a timer fired: every request of that process waits as long. Yellow from 10 ms, red "
        "from 100 ms: something computes where it should wait.",
        "event_loop_lag_seconds",
        "service",
        q=0.99,
        selector=MINE,
        limits=LATE,
    ),
    lines(
        "Tasks",
        "Tasks of the event loop. They follow the requests in flight; a staircase is tasks that never end.",
        Unit.COUNT,
        Query(f"sum by (service) (asyncio_tasks{MINE})", "{{service}}"),
    ),
    lines(
        "Requests in flight",
        "Inside each service now. The one that stays full while the others empty is the one that holds.",
        Unit.COUNT,
        Query(f"sum by (service) (http_in_flight_requests{MINE})", "{{service}}"),
    ),
    lines(
        "Scrapes that worked",
        "1 while Prometheus reaches a process, 0 when not. A gap in other panels with a 0 here is a "
        "process that was down or too busy to answer.",
        Unit.COUNT,
        Query("min by (service, job) (up)", "{{job}} {{service}}"),
        maximum=1,
    ),
    lines(
        "Time of a scrape",
        "How long a process took to write its metrics. It grows with the loop lag: the page is written "
        "on the same loop.",
        Unit.SECONDS,
        Query("max by (service, job) (scrape_duration_seconds)", "{{job}} {{service}}"),
    ),
    lines(
        "Series of a scrape",
        "Samples on a process's page. Level once every route was used; a steady rise is a label without "
        "bounds.",
        Unit.COUNT,
        Query("max by (service, job) (scrape_samples_scraped)", "{{job}} {{service}}"),
    ),
)


def dashboard() -> Dashboard:
    return Dashboard(
        uid="vaultbench-host",
        title="Host and processes",
        answers="Which process uses the machine, and whether one of them is at its end before the others.",
        rows=(Row("Processes", PROCESSES), Row("Event loops", LOOPS)),
        variables=(SERVICE, RUN),
        annotations=spans(),
    )
