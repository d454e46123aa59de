# The exporters: what they are told, and where Prometheus finds them.

EXPORTERS="exporter-pg-auth exporter-pg-upload exporter-pg-files exporter-host exporter-processes"

# A list of targets per exporter; an empty one for an exporter that is left out.
exporter_targets() {
    PG_AUTH_TARGETS='[]' PG_UPLOAD_TARGETS='[]' PG_FILES_TARGETS='[]' HOST_TARGETS='[]' PROCESSES_TARGETS='[]'
    for one in $EXPORTERS; do
        ! left_out "$one" || continue
        word=$(printf '%s' "${one#exporter-}" | tr 'a-z-' 'A-Z_')
        eval "${word}_TARGETS=\"[\\\"$one:\$EXPORTER_${word}_PORT\\\"]\""
    done
    # Without being root it reads of others what everybody may: processor time and memory, not files and bytes.
    PROCESSES_HIDDEN='[{"source_labels": ["__name__"], "action": "drop", "regex": "namedprocess_namegroup_(open_filedesc|worst_fd_ratio|read_bytes_total|write_bytes_total)"}]'
    export PG_AUTH_TARGETS PG_UPLOAD_TARGETS PG_FILES_TARGETS HOST_TARGETS PROCESSES_TARGETS PROCESSES_HIDDEN
}

# The folder that two of them read. The links are followed inside the container, where /proc is the engine's
# machine (pid: host) and where the first process has its network.
write_exporters() {
    folder=$RUN_DIR/exporter-config
    mkdir -p "$folder/proc"
    chmod 755 "$folder" "$folder/proc"
    for name in stat meminfo loadavg diskstats pressure; do link "/proc/$name" "$folder/proc/$name"; done
    link /proc/1/net "$folder/proc/net"
    sed -n '/^process_names:/,$p' "$HERE/prometheus/processes.yml" >"$RUN_DIR/processes.template"
    filled_in "$RUN_DIR/processes.template" >"$folder/processes.yml"
    rm "$RUN_DIR/processes.template"
    chmod 644 "$folder/processes.yml"
}

# link TARGET NAME: unless it is there; `ln -f` would follow it.
link() { [ -L "$2" ] || ln -s "$1" "$2"; }
