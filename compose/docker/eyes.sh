# Looking into containers: the way of one upload through their logs, a live view, and alerts.

# Our processes, each with its replicas.
TRACED='^(gateway|auth|upload|files)(-[0-9]+)?$'

# The logs go through files, because they are read twice; the reader is Python in the image that measures.
trace() {
    [ -n "${ID:-}" ] || fail "Whose way? make trace ID=<upload_uuid or request id>"
    load_environment lenient
    [ -n "$(containers all)" ] || fail "nothing runs; make up starts it"
    build_bench
    taken=$(mktemp -d "${TMPDIR:-/tmp}/vaultbench-logs.XXXXXX")
    trap 'rm -rf "$taken"' EXIT
    trap 'exit 130' INT TERM
    chmod 755 "$taken"
    for part in $(in_compose config --services | grep -E "$TRACED"); do
        in_compose logs --no-color --no-log-prefix "$part" >"$taken/$part.log" || fail "no logs of $part"
    done
    # shellcheck disable=SC2046
    docker run --rm --network none --read-only --cap-drop ALL $([ ! -t 1 ] || say -t) \
        -v "$taken:/logs:ro" -v "$HERE:/app/compose:ro" -e ID -e ALL -e NO_COLOR \
        --entrypoint python "$BENCH_IMAGE" -m compose.trace --logs /logs "$@"
}

# The live view, in a container of its own inside the network: it asks the engine and Prometheus.
top() {
    load_environment lenient
    [ -n "$(containers)" ] || fail "nothing runs; make up starts it"
    build_bench
    bench_identity
    network=$(docker network ls -q --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.network=inner)
    # shellcheck disable=SC2046
    exec docker run --rm --init $([ ! -t 0 ] || [ ! -t 1 ] || say -it) --network "$network" \
        --user "$BENCH_USER" --group-add "$DOCKER_GROUP" --read-only --cap-drop ALL --security-opt no-new-privileges \
        -v "$DOCKER_SOCKET:/var/run/docker.sock" -v "$HERE:/app/compose:ro" -e NO_COLOR -e "TZ=$(bench_zone)" \
        --entrypoint python "$BENCH_IMAGE" -m compose.top --project "$PROJECT" --prometheus "http://prometheus:$PROMETHEUS_PORT" "$@"
}

# One line per alert, red when it fires.
alerts() {
    answer=$(in_compose exec -T prometheus wget -q -Y off -O - "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/alerts" 2>/dev/null) || {
        say "alerts    unknown: no answer from Prometheus"
        return 0
    }
    red='' plain=''
    if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then red=$(printf '\033[1;31m') plain=$(printf '\033[0m'); fi
    printf '%s\n' "$answer" | awk '{ gsub(/"labels":/, "\n&"); print }' | awk -v red="$red" -v plain="$plain" '
        function value(key) {
            return match($0, "\"" key "\":\"[^\"]*\"") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 5) : ""
        }
        value("alertname") != "" {
            found = 1
            mark = value("state") == "firing" ? red : ""
            print mark "alerts    " value("state") " " value("alertname") ": " value("summary") (mark == "" ? "" : plain)
        }
        END { if (!found) print "alerts    none" }'
}
