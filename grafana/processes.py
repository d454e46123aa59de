"""Processor time, memory and files of each process, by ``process``.

Our services and the store count themselves; process-exporter counts everybody, by looking from outside.
Where both know a process its own figure is taken: it is exact on machines with several testbeds too.
"""

from __future__ import annotations

from grafana.promql import rate


def _by_process(services: str, everybody: str, store: str) -> str:
    ours = f'sum by (process) (label_join({services}, "process", "", "service"))'
    watched = f'sum by (process) (label_join({everybody}, "process", "", "groupname"))'
    minio = f'sum by (process) (label_replace({store}, "process", "minio", "", ""))'
    return f"({ours} or {watched} or {minio})"


CPU = _by_process(
    rate('process_cpu_seconds_total{job="vaultbench"}'),
    rate("namedprocess_namegroup_cpu_seconds_total"),
    rate("minio_node_process_cpu_total_seconds"),
)
# The price of an upload: without the generator, without whoever watches, and without logins.
SYSTEM_CPU = _by_process(
    rate('process_cpu_seconds_total{job="vaultbench", service!="auth"}'),
    rate('namedprocess_namegroup_cpu_seconds_total{groupname=~"pg-upload|pg-files|minio"}'),
    rate("minio_node_process_cpu_total_seconds"),
)
# Resident sizes of a database's processes, added up, would count the pages that they share once for each. The
# harness counts those once; without a run nobody does.
MEMORY = "({} or {})".format(
    _by_process(
        'process_resident_memory_bytes{job="vaultbench"}',
        'namedprocess_namegroup_memory_bytes{memtype="resident", groupname!~"pg-.*"}',
        "minio_node_process_resident_memory_bytes",
    ),
    'sum by (process) (testbed_memory_bytes{process=~"pg-.*"})',
)
FDS = _by_process(
    'process_open_fds{job="vaultbench"}',
    "namedprocess_namegroup_open_filedesc",
    "minio_node_file_descriptor_open_total",
)
