"""Where the processor time and memory of each process come from; one expression each, by ``process``."""

from __future__ import annotations

from grafana.promql import rate


def _by_process(own: str, minio: str) -> str:
    """Figures of our services and of the store, under one label."""
    ours = f'label_replace({own}, "process", "$1", "service", "(.+)")'
    store = f'label_replace({minio}, "process", "minio", "", "")'
    return f"sum by (process) ({ours} or {store})"


CPU = _by_process(
    rate('process_cpu_seconds_total{service!=""}'), rate("minio_node_process_cpu_total_seconds")
)
MEMORY = _by_process('process_resident_memory_bytes{service!=""}', "minio_node_process_resident_memory_bytes")
FDS = _by_process('process_open_fds{service!=""}', "minio_node_file_descriptor_open_total")
