# Everything that compose.yaml names, in the environment: ports, images, memory, secrets, this machine.

GRAFANA_HOME_DASHBOARD=vaultbench-proxy-direct.json

# load_environment [lenient]: `lenient` is for stopping and looking, where a lost .env must not be in the way.
load_environment() {
    [ "${1:-}" = lenient ] || [ "${STORE:-minio}" = minio ] || fail "STORE=$STORE: containers have MinIO; another store runs with RUNTIME=native"
    built_minio=$(sed -n 's/^MINIO_IMAGE=//p' "$HERE/images.env")
    read_ports
    for file in images memory health; do read_values "$HERE/$file.env"; done
    while read -r name _; do
        case $name in '#'* | '') continue ;; esac
        [ "${1:-}" != lenient ] || eval "export $name=\${$name:-none}"
    done <"$HERE/secrets.list"
    CORES=$(docker info --format '{{.NCPU}}' 2>/dev/null || echo 1)
    STORE_CORS_ORIGINS=$WEB_ORIGINS${CORS_ORIGINS:+,$CORS_ORIGINS}
    export CORES STORE_CORS_ORIGINS GRAFANA_HOME_DASHBOARD RUN_DIR ROOT PROJECT
    IN_EFFECT=$(choose_overlays)
    [ "${1:-}" = lenient ] || check_overlay_words
    count_workers
    targets
    for extra in $(overlays); do
        [ ! -f "$HERE/docker/overlay-$extra.sh" ] || . "$HERE/docker/overlay-$extra.sh"
    done
}

# Ports and addresses: those of the testbed that was started, else ports.env, moved by PORT_SHIFT and reached
# where GATEWAY_HOST says. compose/settings.py has the same rules, a test compares.
read_ports() {
    if [ -z "${STARTS:-}" ] && [ -f "$RUN_DIR/overlays" ]; then read_secrets "$RUN_DIR/ports.env"; fi
    [ ! -f "$SECRETS_FILE" ] || read_secrets "$SECRETS_FILE"
    case ${PORT_SHIFT:-0} in *[!0-9]* | 0?* | ??????* | [6-9]????) fail "PORT_SHIFT='$PORT_SHIFT': must be a number, 0 to 50000, such as 1000" ;; esac
    export "PORT_SHIFT=${PORT_SHIFT:-0}"
    for name in $(names_in "$HERE/ports.env" | grep '_PORT$'); do
        eval "value=\${$name:-}"
        [ -n "$value" ] || export "$name=$(($(sed -n "s/^$name=//p" "$HERE/ports.env") + PORT_SHIFT))"
    done
    problems=$(for name in $(names_in "$HERE/ports.env" | grep '_PORT$'); do
        eval "value=\$$name"
        case $value in
        *[!0-9]* | 0* | ??????* | 6553[6-9] | 655[4-9]? | 65[6-9]?? | 6[6-9]??? | [7-9]????) say "$name='$value': must be a port, 1 to 65535" ;;
        esac
    done)
    [ -z "$problems" ] || fail "$problems"
    case ${GATEWAY_HOST:=127.0.0.1} in
    0.0.0.0) GATEWAY_ADDRESS=127.0.0.1 ;;
    :: | '[::]') GATEWAY_HOST='[::]' GATEWAY_ADDRESS='[::1]' ;;
    '['*:*']') GATEWAY_ADDRESS=$GATEWAY_HOST ;;
    *[!0-9a-fA-F.:]*) fail "GATEWAY_HOST='$GATEWAY_HOST': must be an address of this machine, such as 127.0.0.1, ::1, or 0.0.0.0 for every network" ;;
    *:*) GATEWAY_HOST="[$GATEWAY_HOST]" && GATEWAY_ADDRESS=$GATEWAY_HOST ;;
    *) GATEWAY_ADDRESS=$GATEWAY_HOST ;;
    esac
    export GATEWAY_HOST GATEWAY_ADDRESS
    read_values "$HERE/ports.env"
}

# Words that only an overlay reads, and parts that are to be left out.
check_overlay_words() {
    case " $(overlays) ${LIMITS:+asked}" in *" limits "* | *" ") ;; *) fail "LIMITS=$LIMITS: has an effect only with OVERLAYS=limits" ;; esac
    parts=$(sed -n 's/^  \([a-z][a-z0-9-]*\):$/\1/p' "$HERE"/compose*.yaml)
    for part in $(printf '%s' "${WITHOUT:-}" | tr ',' ' '); do
        case " exporters $(printf '%s' "$parts" | tr '\n' ' ') " in *" $part "*) ;; *) fail "WITHOUT=$part: there is no such part; \`exporters\` means all of them" ;; esac
    done
}

# What else Prometheus scrapes: container names inside the network.
targets() {
    MINIO_TARGETS=${MINIO_TARGETS:-"[\"minio:$S3_PORT\"]"}
    HARNESS_TARGETS=${HARNESS_TARGETS:-"[\"bench:$HARNESS_METRICS_PORT\"]"}
    exporter_targets
    RULES_DIR=/etc/prometheus-rules
    export MINIO_TARGETS HARNESS_TARGETS RULES_DIR
}

# Files that containers or people read: Prometheus' configuration, the addresses in effect, and all values,
# for Compose by hand.
write_files() {
    mkdir -p "$RUN_DIR/prometheus-config"
    chmod 755 "$RUN_DIR" "$RUN_DIR/prometheus-config"
    sed -n '/^global:/,$p' "$HERE/prometheus/prometheus.yml" >"$RUN_DIR/prometheus.template"
    filled_in "$RUN_DIR/prometheus.template" >"$RUN_DIR/prometheus-config/prometheus.yml"
    rm "$RUN_DIR/prometheus.template"
    chmod 644 "$RUN_DIR/prometheus-config/prometheus.yml"
    write_exporters
    for name in $(names_in "$HERE/ports.env") $WORKER_NAMES ${OVERLAY_NAMES:-}; do eval "printf '%s=%s\n' $name \"\$$name\""; done >"$RUN_DIR/ports.env"
    for extra in $(overlays); do
        if command -v "write_$extra" >/dev/null 2>&1; then "write_$extra"; fi
    done
    for name in $(settings_of_testbed); do
        eval "[ -z \"\${$name:-}\" ] || printf '%s=%s\n' $name \"\$(quoted \"\$$name\")\""
    done >"$RUN_DIR/settings.env"
    say "$WORKERS" >"$RUN_DIR/workers"
    overlays >"$RUN_DIR/overlays.new"
    mv "$RUN_DIR/overlays.new" "$RUN_DIR/overlays"
    (
        umask 077
        rm -f "$RUN_DIR/compose.env"
        for name in $(names_in "$HERE/ports.env" && names_in "$HERE/images.env" && names_in "$HERE/memory.env" &&
            names_in "$HERE/health.env" && names_of_secrets) \
            CORES STORE_CORS_ORIGINS GRAFANA_HOME_DASHBOARD RUN_DIR $WORKER_NAMES $WORKER_VALUES ${OVERLAY_NAMES:-} ${OVERLAY_VALUES:-}; do
            eval "printf '%s=%s\n' $name \"\$$name\""
        done >"$RUN_DIR/compose.env"
    )
}

# Containers run as other accounts, and read some folders of the checkout where they are. After a clone under
# umask 077 nobody but its owner could.
open_mounted() {
    [ -n "$(find "$ROOT/grafana" "$HERE/pgbouncer" "$HERE/redis" ! -perm -a+r -o -type d ! -perm -a+x)" ] || return 0
    chmod -R a+rX "$ROOT/grafana" "$HERE/pgbouncer" "$HERE/redis" 2>/dev/null ||
        fail "Containers read $ROOT/grafana as other accounts, which its modes forbid, and they cannot be changed here. Its owner can: chmod -R a+rX grafana compose/pgbouncer compose/redis"
}

# The sum of all limits in MiB, of the parts that are started. A run adds MEMORY_BENCH_MB.
memory_budget() {
    sum=0
    for name in $(names_in "$HERE/memory.env" | grep -v '^MEMORY_BENCH_MB$') ${OVERLAY_MEMORY:-}; do
        part=$(printf '%s' "$name" | sed 's/^MEMORY_//; s/_MB$//' | tr 'A-Z_' 'a-z-')
        left_out "$part" || eval "sum=\$((sum + $name))"
    done
    say "$sum"
}
