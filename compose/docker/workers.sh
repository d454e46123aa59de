# How many processes of each service its container runs (services/kit/workers.py), and what follows from that:
# ports, addresses, connections to the databases, memory. compose/scaling.py has the same rules, a test compares.

MOST_WORKERS=32
CONNECTIONS_BESIDE_POOL=5 CONNECTIONS_OF_OTHERS=20 FEWEST_CONNECTIONS=100 MOST_CONNECTIONS=1000 POOLER_CONNECTIONS=40
# Of a database for each further process: as many connections as its pool has.
MEMORY_PER_CONNECTION_MB=4

count_workers() {
    choose_workers
    check_switches
    read_values "$HERE/workers.env"
    WORKER_NAMES='' WORKER_VALUES='' place=0 POOLER_CLIENTS=0
    for service in GATEWAY AUTH UPLOAD FILES; do
        eval "count=\$((CORES / CORES_PER_$service))"
        [ "$WORKERS" = auto ] || count=$WORKERS
        [ "$count" -ge 1 ] || count=1
        [ "$count" -le "$MOST_WORKERS" ] || count=$MOST_WORKERS
        give_ports
        set_value NAMES "${service}_PROCESSES" "$count"
        [ "$service" = GATEWAY ] || give_connections
        place=$((place + 1))
    done
    export POOLER_CLIENTS
    running_of FILES
    if [ "${CACHE:-}" = memory ] && [ "$running" -gt 1 ]; then
        fail "CACHE=memory: $running processes of files run, and none would see what another one changed; CACHE=redis is for several, WORKERS=1 has one of each"
    fi
    [ -n "${memory_counted:-}" ] || count_memory
}

# Settings that decide what runs.
check_switches() {
    one_of RATE_LIMIT_BACKEND memory redis
    one_of CACHE none memory redis
    one_of POOLER none pgbouncer
    DB_POOL=${DB_POOL_MAX:-20}
    case $DB_POOL in
    [1-9] | [1-9][0-9] | [1-9][0-9][0-9] | 1000) ;;
    *) fail "DB_POOL_MAX='$DB_POOL': must be a number, 1 to $MOST_CONNECTIONS" ;;
    esac
}

# one_of NAME VALUE…: the setting has one of these values, or none.
one_of() {
    of=$1
    eval "given=\${$of:-}"
    shift
    [ -z "$given" ] || case " $* " in *" $given "*) ;; *) fail "$of='$given': must be one of $(printf '%s' "$*" | sed 's/ /, /g')" ;; esac
}

# running_of SERVICE: sets `running`; with the scaled overlay each of its processes has a container.
running_of() {
    eval "running=\$${1}_PROCESSES"
    case " $(overlays) $1" in *" scaled "*AUTH) ;; *" scaled "*) running=2 ;; esac
}

# Sets WORKERS: what was asked for, else that of the running testbed, else auto.
choose_workers() {
    [ -n "${WORKERS:-}" ] || [ ! -f "$RUN_DIR/workers" ] || WORKERS=$(cat "$RUN_DIR/workers")
    WORKERS=${WORKERS:-auto}
    case $WORKERS in
    auto) ;;
    [1-9] | [1-9][0-9]) [ "$WORKERS" -le "$MOST_WORKERS" ] || refuse_workers ;;
    *) refuse_workers ;;
    esac
    case " $(overlays) " in
    *" scaled "* | *" limits "* | *" faults "*)
        case $WORKERS in auto | 1) ;; *) fail "WORKERS=$WORKERS: with an overlay (OVERLAYS=$(overlays)) each container runs one process" ;; esac
        WORKERS=1
        ;;
    esac
}

refuse_workers() { fail "WORKERS='$WORKERS': must be auto or a number, 1 to $MOST_WORKERS"; }

# The ports and addresses of all processes of $service but the first. Gateways share theirs.
give_ports() {
    host=$(printf '%s' "$service" | tr 'A-Z' 'a-z')
    more_ports='' more_admin_ports='' more_urls='' more_targets='' replica=2
    eval "first=\$${service}_PORT"
    while [ "$replica" -le "$count" ]; do
        port=$((9200 + PORT_SHIFT + 20 * (replica - 2) + place))
        if [ "$service" = GATEWAY ]; then more_ports=$more_ports,$first
        else
            eval "port_of=\${${service}_${replica}_PORT:-$port}"
            set_value NAMES "${service}_${replica}_PORT" "$port_of"
            more_ports=$more_ports,$port_of more_urls=$more_urls,http://$host:$port_of
        fi
        eval "port_of=\${${service}_${replica}_ADMIN_PORT:-$((port + 10))}"
        set_value NAMES "${service}_${replica}_ADMIN_PORT" "$port_of"
        more_admin_ports=$more_admin_ports,$port_of more_targets="$more_targets, \"$host:$port_of\""
        replica=$((replica + 1))
    done
    set_value VALUES "MORE_${service}_PORTS" "$more_ports"
    set_value VALUES "MORE_${service}_ADMIN_PORTS" "$more_admin_ports"
    [ "$service" = GATEWAY ] || set_value VALUES "MORE_${service}_URLS" "$more_urls"
    eval "${service}_TARGETS=\"[\\\"$host:\$${service}_ADMIN_PORT\\\"\$more_targets]\"; export ${service}_TARGETS"
}

give_connections() {
    running_of "$service"
    connections=$((running * (DB_POOL + CONNECTIONS_BESIDE_POOL) + CONNECTIONS_OF_OTHERS))
    case " $(overlays) " in *" pooler "*) connections=$((connections + POOLER_CONNECTIONS)) ;; esac
    [ "$connections" -ge "$FEWEST_CONNECTIONS" ] || connections=$FEWEST_CONNECTIONS
    [ "$connections" -le "$MOST_CONNECTIONS" ] ||
        fail "DB_POOL_MAX=$DB_POOL: $running processes of $host could open $connections connections to their database, more than $MOST_CONNECTIONS; choose a smaller pool, or fewer processes (WORKERS, REPLICAS)"
    POOLER_CLIENTS=$((POOLER_CLIENTS + connections))
    set_value VALUES "PG_${service}_CONNECTIONS" "$connections"
}

# A limit in memory.env is that of one process; a container has that of all of its own.
count_memory() {
    memory_counted=1
    for service in GATEWAY AUTH UPLOAD FILES; do
        eval "count=\$${service}_PROCESSES; MEMORY_${service}_MB=\$((count * MEMORY_${service}_MB))"
        [ "$service" = GATEWAY ] || eval "MEMORY_PG_${service}_MB=\$((MEMORY_PG_${service}_MB + MEMORY_PER_CONNECTION_MB * DB_POOL * (count - 1)))"
    done
}

# set_value NAMES|VALUES NAME VALUE: exports it; NAMES are written for the harness too, VALUES for Compose only.
set_value() {
    export "$2=$3"
    eval "WORKER_$1=\"\$WORKER_$1 $2\""
}

workers_line() { say "gateway $GATEWAY_PROCESSES, auth $AUTH_PROCESSES, upload $UPLOAD_PROCESSES, files $FILES_PROCESSES (WORKERS=$WORKERS, $CORES cores)"; }
