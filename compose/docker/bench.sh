# Measuring: the harness and k6 in a container beside the others, for the length of one command.

BENCH_USUAL_S=60
SLOWER_NETWORK=-slower-network # behind the name of the image that can make one

# bench COMMAND…: makes the container with Compose and runs it with docker. `compose run` would not do: without
# a terminal it leaves at Ctrl-C and takes the container along, before its audit.
bench() {
    refuse_second
    # `make up` has built it; a changed experiment or strategy is taken in here, from the cache but for itself.
    build_bench
    bench_values "$@"
    mkdir -p "$RUN_DIR"
    { mkdir -p "$RESULTS_DIR" && [ -w "$RESULTS_DIR" ]; } 2>/dev/null ||
        fail "The records of a run go to $RESULTS_DIR, where nothing can be written. Name another folder with VAULTBENCH_RESULTS="
    IN_EFFECT="$(overlays) bench"
    in_compose up --no-start --no-deps bench >"$RUN_DIR/logs/bench.log" 2>&1 || { cat "$RUN_DIR/logs/bench.log" >&2; exit 1; }
    container=$(bench_container all)
    trap 'docker rm -f "$container" >/dev/null' EXIT
    code=0
    if [ "$BENCH_TERMINAL" = true ]; then docker start --attach --interactive "$container" || code=$?
    else follow; fi
    exit "$code"
}

# Without a terminal a signal reaches us and every docker client, and some of those leave at once: they only
# show what is printed. The signal goes to the container, and we wait until it has ended in order.
follow() {
    interrupted='' since=0
    trap 'interrupted=1' INT TERM
    docker start "$container" >/dev/null
    while :; do
        docker logs --follow --since "$since" "$container" || true
        [ -n "$interrupted" ] || break
        since=$(date +%s) interrupted=''
        docker kill --signal INT "$container" >/dev/null 2>&1 || break
    done
    code=$(docker wait "$container")
}

name_of() { docker inspect --format '{{.Name}}' "$1" | cut -c 2-; }

# The container of a run: one that runs, or with `all` also one that only exists.
bench_container() {
    docker ps -q ${1:+-a} --filter "label=com.docker.compose.project=$PROJECT" \
        --filter "label=com.docker.compose.service=bench"
}

# One load at a time. What still runs after its terminal is gone ends with an audit, like after Ctrl-C; what
# ended after its command was killed was removed by nobody.
refuse_second() {
    running=$(bench_container)
    [ -z "$running" ] || fail "Another run is using this system. Wait for it, or stop it with Ctrl-C; where its terminal is gone:
docker stop $(name_of "$running")"
    for left in $(bench_container all); do
        say "removing $(name_of "$left"), which a command left that was killed"
        docker rm "$left" >/dev/null
    done
}

build_bench() {
    stage_certificates
    bench_image bench
    if slows_network; then
        go_image "$TOXIPROXY_IMAGE" toxiproxy "$TOXIPROXY_USUAL_S"
        BENCH_IMAGE=$BENCH_IMAGE$SLOWER_NETWORK
        bench_image slower-network
    fi
    rm -f "$HERE"/extra-ca/extra-*.crt
}

# Whether the words of this command ask for it, before A and B or inside.
slows_network() {
    [ -z "${RTT_MS:-}${BANDWIDTH_MBIT:-}" ] || return 0
    case "${A:-} ${B:-}" in *RTT_MS=* | *BANDWIDTH_MBIT=*) ;; *) return 1 ;; esac
}

# bench_image STAGE
bench_image() {
    image "$BENCH_IMAGE" "$BENCH_USUAL_S" -f compose/Dockerfile.bench --target "$1" \
        --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" --build-arg "K6_IMAGE=$K6_IMAGE" --build-arg "TOXIPROXY_IMAGE=$TOXIPROXY_IMAGE"
}

bench_values() {
    BENCH_COMMAND=$*
    # Live progress on a terminal; plain lines into a pipe or a file.
    BENCH_TERMINAL=false
    if [ -t 0 ] && [ -t 1 ]; then BENCH_TERMINAL=true; fi
    RESULTS_DIR=${VAULTBENCH_RESULTS:-$ROOT/results}
    case $RESULTS_DIR in /*) ;; *) RESULTS_DIR=$ROOT/$RESULTS_DIR ;; esac
    GIT_REVISION=$(git -C "$ROOT" rev-parse HEAD 2>/dev/null) || GIT_REVISION=''
    GIT_DIRTY=''
    [ -z "$GIT_REVISION" ] || [ -z "$(git -C "$ROOT" status --porcelain 2>/dev/null)" ] || GIT_DIRTY=1
    BENCH_ZONE=$(bench_zone)
    bench_prices
    bench_identity
    export BENCH_COMMAND BENCH_TERMINAL RESULTS_DIR MEMORY_BENCH_MB GIT_REVISION GIT_DIRTY BENCH_ZONE BENCH_USER DOCKER_SOCKET DOCKER_GROUP
}

# The container sees the run folder, and not where a person keeps a file.
bench_prices() {
    [ -n "${PRICES:-}" ] || return 0
    mkdir -p "$RUN_DIR"
    cp "$PRICES" "$RUN_DIR/prices.yaml" || fail "PRICES=$PRICES: expected a file such as loadtests/prices/example.yaml"
    export "PRICES=$RUN_DIR/prices.yaml"
}

# Reports belong to the caller, who also needs the group of the engine's socket. Docker Desktop keeps the
# engine in a machine of its own, where its socket is always at the usual place and belongs to root; without
# root, the engine's user is who the container calls root.
bench_identity() {
    BENCH_USER=$(id -u):$(id -g) DOCKER_SOCKET=/var/run/docker.sock DOCKER_GROUP=0
    case $(docker info --format '{{.OperatingSystem}} {{.SecurityOptions}}' 2>/dev/null) in
    *"Docker Desktop"*) return ;;
    *name=rootless*) BENCH_USER=0:0 ;;
    esac
    socket=$(docker_host)
    DOCKER_SOCKET=${socket#unix://}
    DOCKER_GROUP=$(stat -L -c %g "$DOCKER_SOCKET" 2>/dev/null || echo 0)
}

# The local time zone as a rule that needs no file: "+0230" becomes "<+0230>-02:30" (its sign counts west).
bench_zone() {
    date +%z | awk '/^[+-][0-9][0-9][0-9][0-9]$/ {
        sign = substr($0, 1, 1) == "+" ? "-" : "+"
        print "<" $0 ">" sign substr($0, 2, 2) ":" substr($0, 4, 2)
        found = 1
    } END { if (!found) print "UTC0" }'
}
