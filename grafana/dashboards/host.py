"""Host and processes: who uses the machine, and whether the event loops keep up."""

from __future__ import annotations

from grafana.model import Dashboard, Panel, Query, Row, Threshold, Unit
from grafana.parts import (
    MINE,
    NO_EXPORTER,
    NO_STORE_METRICS,
    RED,
    RUN,
    SERVICE,
    YELLOW,
    lines,
    percentile,
    spans,
)
from grafana.processes import CPU, FDS, MEMORY
from grafana.promql import per_s, rate

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
        "What a process holds in RAM. What the processes of a database share counts once, as in the report; "
        "the harness looks at those, while it runs. It should level off; a straight rise under constant "
        "load is a leak, or bodies that are held.",
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
        Query(per_s("minio_node_io_write_bytes"), "written", empty=NO_STORE_METRICS),
        Query(per_s("minio_node_io_read_bytes"), "read", empty=NO_STORE_METRICS),
    ),
)


WATCHING: tuple[Panel, ...] = (
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

HOST: tuple[Panel, ...] = (
    lines(
        "CPU of the host",
        "Cores by what they do, idling apart. All cores busy: whoever is measured competes with everybody "
        "else. `iowait` is waiting for the disk, `steal` other guests of the machine.",
        Unit.RATIO,
        Query(per_s('node_cpu_seconds_total{mode!="idle"}', "mode"), "{{mode}}", empty=NO_EXPORTER),
        stacked=True,
    ),
    lines(
        "Pressure",
        "Share of time in which something waited for processor, memory or disk. Processor pressure near 1 is "
        "saturation; memory pressure above 0 spoils every measurement.",
        Unit.SHARE,
        *(
            Query(
                f"max({rate(f'node_pressure_{what}_waiting_seconds_total')})",
                what,
                empty="this kernel keeps no pressure figures",
            )
            for what in ("cpu", "memory", "io")
        ),
        limits=BUSY,
        maximum=1,
    ),
    lines(
        "Memory of the host",
        "What is left for new work. A straight fall under constant load ends in the out-of-memory killer.",
        Unit.BYTES,
        Query("max(node_memory_MemAvailable_bytes)", "available", empty=NO_EXPORTER),
        Query("max(node_memory_MemTotal_bytes)", "total", empty=NO_EXPORTER),
    ),
    lines(
        "Disk",
        "Bytes read and written by device. Written far above the stored bytes: journals, spool files and "
        "copies come on top.",
        Unit.BYTES_PER_S,
        Query(
            f"{per_s('node_disk_written_bytes_total', 'device')} > 0", "{{device}} written", empty=NO_EXPORTER
        ),
        Query(
            f"{per_s('node_disk_read_bytes_total', 'device')} > 0",
            "{{device}} read",
            empty="everything was in the page cache",
        ),
    ),
    lines(
        "Disk busy",
        "Share of time in which a device had work. Near 1 the disk is the limit, whatever the CPUs say.",
        Unit.SHARE,
        Query(f"{per_s('node_disk_io_time_seconds_total', 'device')} > 0", "{{device}}", empty=NO_EXPORTER),
        limits=BUSY,
    ),
    lines(
        "Network",
        "Bytes received by interface; `lo` carries everything between the processes of one machine. Proxied "
        "bytes pass it once more than direct ones.",
        Unit.BYTES_PER_S,
        Query(per_s("node_network_receive_bytes_total", "device"), "{{device}}", empty=NO_EXPORTER),
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
        "Queues",
        "How full each bounded queue is. At 1 the next item is refused; a queue that stays half full has a "
        "worker too few.",
        Unit.SHARE,
        Query(
            f"max by (service, queue) (queue_waiting{MINE} / (queue_limit{MINE} > 0))",
            "{{service}} {{queue}}",
        ),
        limits=BUSY,
        maximum=1,
    ),
    lines(
        "Lost lines of the logs",
        "Lines that were not written. Any at all: the disk under the logs is full, or nobody reads the pipe; "
        "requests are served, but their way can no longer be followed.",
        Unit.PER_S,
        Query(per_s(f"log_lines_lost_total{MINE}", "service"), "{{service}}"),
    ),
    lines(
        "Alerts that fire",
        "One line for each alert and service while it fires. What each means is in its own description.",
        Unit.COUNT,
        Query(
            'count by (alertname, service) (ALERTS{alertstate="firing"})',
            "{{alertname}} {{service}}",
            empty="no alert fires",
        ),
    ),
)


def dashboard() -> Dashboard:
    return Dashboard(
        uid="vaultbench-host",
        title="Host and processes",
        answers="Which process uses the machine, and whether one of them is at its end before the others.",
        rows=(
            Row("Processes", PROCESSES),
            Row("Event loops", LOOPS),
            Row("Host", HOST),
            Row("Watching", WATCHING),
        ),
        variables=(SERVICE, RUN),
        annotations=spans(),
    )
