# What is missing or will not fit, before anything is started. Reads, changes nothing. Findings are lines of
# status, area, text and remedy, separated by tabs; the start-up of plain processes shows those of the host too.

DESKTOP_MB=6000 DATA_MB=5000 BUILD_MB=6000
MB=1000000
TAB=$(printf '\t')

ok() { printf 'ok\t%s\t%s\t\n' "$1" "$2"; }
warn() { printf 'warn\t%s\t%s\t%s\n' "$1" "$2" "$3"; }
bad() { printf 'fail\t%s\t%s\t%s\n' "$1" "$2" "$3"; }

doctor() {
    load_environment lenient
    findings=$(host_findings; docker_findings; place_findings; port_findings; secret_findings; image_findings; running_findings)
    if [ "${REPORT:-}" = 1 ]; then write_report; return; fi
    if [ "${1:-}" = --json ]; then as_json; else as_lines; fi
    ! printf '%s\n' "$findings" | grep -q '^fail'
}

# What every start-up wants to know of the host; for the other start-up's doctor.
doctor_host() {
    findings=$(host_findings)
    as_json
}

doctor_quietly() {
    load_environment lenient
    findings=$(host_findings; docker_findings; place_findings; port_findings; secret_findings)
    findings=$(printf '%s\n' "$findings" | grep -v '^ok' || true)
    [ -z "$findings" ] || as_lines
    ! printf '%s\n' "$findings" | grep -q '^fail' || fail "mend what is marked \`fail\` above, then run make up again"
}

as_lines() {
    printf '%s\n' "$findings" | while IFS=$TAB read -r status area text remedy; do
        printf '%-5s %-8s %s\n' "$status" "$area" "$text"
        [ -z "$remedy" ] || printf '               -> %s\n' "$remedy"
    done
}

as_json() {
    printf '%s\n' "$findings" | awk -F '\t' '
        function quoted(text) { gsub(/\\/, "\\\\", text); gsub(/"/, "\\\"", text); return "\"" text "\"" }
        BEGIN { printf "[" }
        $1 != "" { printf "%s\n  {\"area\": %s, \"status\": %s, \"text\": %s, \"remedy\": %s}", sep, quoted($2), quoted($1), quoted($3), quoted($4); sep = "," }
        END { print "\n]" }'
}

host_findings() {
    recorded=$(recorded_runtime)
    if [ -n "$recorded" ]; then ok runtime "$recorded, as it was started"
    else
        reason=$(why_no_docker)
        if [ "${RUNTIME:-}" = native ]; then ok runtime "native: RUNTIME=native"
        elif [ "${RUNTIME:-}" = compose ] && [ -n "$reason" ]; then bad runtime "RUNTIME=compose cannot work: $reason" "start Docker, or leave RUNTIME out"
        elif [ -z "$reason" ]; then ok runtime "compose: a Docker daemon answers at $(docker_host)"
        else ok runtime "native: $reason"; fi
    fi
    case $(docker_host) in
    unix://* | npipe://*) ;;
    *) warn runtime "remote Docker daemon: $(docker_host)" "containers need a daemon on this machine: unset DOCKER_HOST, or docker context use default" ;;
    esac
    case $(uname -r) in
    *[Mm]icrosoft*) ok host "WSL2: memory and processors are what .wslconfig in your Windows home folder gives it" ;;
    esac
    case $(stat -f -c %T "$ROOT" 2>/dev/null || true)" $ROOT/" in
    v9fs* | 9p* | drvfs* | *' /mnt/'[a-z]/*)
        warn host "the checkout is on a Windows drive: slow, and .env cannot be kept private there" "clone it inside Linux, for example into ~/vaultbench"
        ;;
    esac
    case $(uname -m) in
    aarch64 | arm64) warn host "arm64: images and programs exist for it, but nobody has tested this testbed there" "compare results with other arm64 machines only, and tell us what fails" ;;
    esac
}

docker_findings() {
    set -- "$(docker info --format '{{.ServerVersion}}|{{.OperatingSystem}}|{{.MemTotal}}|{{.NCPU}}|{{.CgroupVersion}}' 2>/dev/null || true)"
    version=${1%%|*}
    [ -n "$version" ] || { bad docker "no daemon answers at $(docker_host)" "start Docker, or make up RUNTIME=native"; return; }
    system=$(printf '%s' "$1" | cut -d'|' -f2)
    memory_mb=$(($(printf '%s' "$1" | cut -d'|' -f3) / MB))
    ok docker "daemon $version on $system, $(printf '%s' "$1" | cut -d'|' -f4) cores, cgroup version $(printf '%s' "$1" | cut -d'|' -f5)"
    if program=$(compose_program); then ok docker "$program $($program version --short 2>/dev/null)"
    else bad docker "Compose is not here" "install the package docker-compose-plugin"; fi
    ok docker "processes: $(workers_line)"
    ok docker "pools and connections of the databases: auth $AUTH_PROCESSES x $DB_POOL of $PG_AUTH_CONNECTIONS, upload $UPLOAD_PROCESSES x $DB_POOL of $PG_UPLOAD_CONNECTIONS, files $FILES_PROCESSES x $DB_POOL of $PG_FILES_CONNECTIONS"
    budget_mb=$(($(memory_budget) * BYTES_PER_MIB / MB))
    case $system in
    *"Docker Desktop"*)
        [ "$memory_mb" -ge "$DESKTOP_MB" ] || warn docker "Docker Desktop has $memory_mb MB of memory" "give it $DESKTOP_MB MB: Settings, Resources, Memory (with WSL2: memory= in .wslconfig)"
        ;;
    esac
    run_mb=$(((BYTES_PER_MIB * MEMORY_BENCH_MB) / MB))
    if [ "$memory_mb" -ge $((budget_mb + run_mb)) ]; then ok docker "memory: $memory_mb MB, the limits add up to $budget_mb MB, and $run_mb MB while a run measures"
    elif [ "$memory_mb" -ge "$budget_mb" ]; then warn docker "memory: $memory_mb MB, the limits add up to $budget_mb MB, but with the $run_mb MB of a run to more" "limits are seldom reached: try it, or give Docker more, or lower one (MEMORY_BENCH_MB=1024)"
    else warn docker "memory: $memory_mb MB, but the limits add up to $budget_mb MB" "give Docker more, or lower a limit (compose/memory.env)"; fi
}

place_findings() {
    nearest=$RUN_DIR
    while [ ! -d "$nearest" ]; do nearest=$(dirname "$nearest"); done
    free_mb=$(df -Pk "$nearest" | awk 'NR == 2 { printf "%.0f", $4 / 1000 }')
    # The store writes no more where less than this would stay free; with one of two settings the upload service
    # writes files of its own, and accepts nothing more much earlier.
    share=100 kept='the store leaves a hundredth of the disk unused'
    case "${CHUNK_STORE:-},${BODY_MODE:-}" in disk,* | *,spooled) share=10 kept='with CHUNK_STORE=disk or BODY_MODE=spooled uploads leave a tenth of the disk unused' ;; esac
    needed_mb=$((DATA_MB + $(df -Pk "$nearest" | awk -v share="$share" 'NR == 2 { printf "%.0f", $2 / share / 1000 }')))
    docker image inspect "$MINIO_IMAGE" >/dev/null 2>&1 || needed_mb=$((needed_mb + BUILD_MB))
    if [ "$free_mb" -ge "$needed_mb" ]; then ok host "$free_mb MB free"
    else warn host "$free_mb MB free, $needed_mb MB are needed ($kept)" "make room, for example with docker system prune"; fi
    command -v getent >/dev/null 2>&1 || return 0
    if getent ahostsv4 localhost 2>/dev/null | grep -q '^127\.0\.0\.1'; then ok names "localhost is 127.0.0.1"
    else bad names "localhost is not 127.0.0.1" "add \`127.0.0.1 localhost\` to /etc/hosts"; fi
}

port_findings() {
    if [ -n "$(containers)" ]; then ok ports "held by the running testbed"; return; fi
    [ -r /proc/net/tcp ] || return 0
    published="GATEWAY_PORT S3_PORT S3_CONSOLE_PORT PROMETHEUS_PORT GRAFANA_PORT ${OVERLAY_PUBLISHED:-}" taken='' shift=''
    for name in $published; do
        eval "port=\$$name"
        inode=$(listener_of "$port")
        [ -n "$inode" ] || continue
        [ -n "$taken" ] || shift=$(free_shift)
        taken=1
        bad ports "port $port ($name) is taken by $(testbed_that_publishes "$port")$(owner_of "$inode")" "end that process, or move ours: make up $name=$(free_port $((port + 500)))${shift:+, or PORT_SHIFT=$shift for all of them}"
    done
    [ -n "$taken" ] || ok ports "all published ports are free"
    lent=$(for name in $published; do eval "say \$$name"; done | lent_ports)
    [ -z "$lent" ] || warn ports "ports $(say "$lent" | shown) may be taken by any outgoing connection: the kernel lends $(tr '\t' '-' <"$LENT")" "a smaller PORT_SHIFT, or let root add to net.ipv4.ip_local_reserved_ports: $(say "$lent" | tr '\n' ',' | sed 's/,$//')"
}

# Of ports on standard input, those that the kernel gives to outgoing connections; as compose/ports.py.
LENT=/proc/sys/net/ipv4/ip_local_port_range RESERVED=/proc/sys/net/ipv4/ip_local_reserved_ports
lent_ports() {
    [ -r "$LENT" ] || return 0
    awk -v span="$(cat "$LENT")" -v reserved="$(cat "$RESERVED")" '
        BEGIN { split(span, ends); count = split(reserved, kept, ",") }
        {
            free = $1 >= ends[1] + 0 && $1 <= ends[2] + 0
            for (n = 1; n <= count; n++) {
                split(kept[n] "-" kept[n], part, "-")
                if ($1 >= part[1] + 0 && $1 <= part[2] + 0) free = 0
            }
            if (free) print $1
        }'
}

# The inode of a socket that listens on a port; nothing where none does.
listener_of() {
    awk -v port="$(printf '%04X' "$1")" '$4 == "0A" && substr($2, length($2) - 3) == port { print $10; exit }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# A port that is free, from this one on.
free_port() {
    candidate=$1
    [ "$candidate" -le 65000 ] || candidate=20000
    while [ -n "$(listener_of "$candidate")" ]; do candidate=$((candidate + 1)); done
    echo "$candidate"
}

# The first of settings.py's SHIFTS by which every published port is free; nothing where none is.
free_shift() {
    for tens in 0 10000 20000 30000 40000; do
        for ones in 0 1000 2000; do
            held=''
            for each in $published; do
                usual=$(sed -n "s/^$each=//p" "$HERE/ports.env")
                eval "usual=\${usual:-\$((\$$each - PORT_SHIFT))}"
                moved=$((usual + tens + ones))
                [ -z "$(listener_of "$moved")$(say "$moved" | lent_ports)" ] || held=1
            done
            if [ -z "$held" ]; then echo $((tens + ones)); return; fi
        done
    done
}

# The process that holds a socket, as far as this account may see it, and the testbed that it belongs to.
owner_of() {
    for folder in /proc/[0-9]*; do
        if ls -l "$folder/fd" 2>/dev/null | grep -q "socket:\[$1\]"; then
            testbed=$(testbed_of "${folder#/proc/}")
            say "${testbed:+the testbed in $testbed, }process ${folder#/proc/}: $(tr '\0' ' ' <"$folder/cmdline" | cut -c 1-80)"
            return
        fi
    done
    say "somebody else's process"
}

# The run folder of the testbed whose supervisor started a process; nothing of any other process.
testbed_of() {
    above=$1
    while [ "${above:-0}" -gt 1 ]; do
        told=$(tr '\0' '\n' <"/proc/$above/cmdline" 2>/dev/null | sed -n '/^compose\.supervisor$/{n;p;q;}')
        if [ -n "$told" ]; then say "$told"; return; fi
        above=$(sed 's/.*) [A-Za-z] \([0-9]*\) .*/\1/' "/proc/$above/stat" 2>/dev/null)
    done
}

testbed_that_publishes() {
    docker ps --filter "publish=$1" --format '{{.Label "vaultbench.run_dir"}}' 2>/dev/null | sed -n '/./{s/.*/the testbed in & (containers), /;p;q;}'
}

secret_findings() {
    short=${SECRETS_FILE##*/}
    if [ ! -f "$SECRETS_FILE" ]; then
        if volumes | grep -q "^${PROJECT}_pg-"; then bad secrets "$short is not there, but databases are" "restore $short, or make clean to delete the data"
        else ok secrets "$short is not there; make up makes it"; fi
        return
    fi
    case $(ls -l "$SECRETS_FILE") in
    -rw-------*) ok secrets "$short is private" ;;
    *) warn secrets "$short can be read by others" "chmod 600 $short" ;;
    esac
}

image_findings() {
    for name in SERVICE_IMAGE BENCH_IMAGE MINIO_IMAGE POSTGRES_IMAGE PROMETHEUS_IMAGE POSTGRES_EXPORTER_IMAGE NODE_EXPORTER_IMAGE \
        PROCESS_EXPORTER_IMAGE GRAFANA_IMAGE ${OVERLAY_IMAGES:-}; do
        eval "image=\$$name"
        case $(docker image inspect -f 'here {{index .Config.Labels "vaultbench.standin"}}' "$image" 2>/dev/null || true) in
        'here base' | 'here 1') warn images "$image: a stand-in" "for tests of the wiring; no figure measured on it counts" ;;
        here*) ok images "$image: here" ;;
        *) ok images "$image: not here yet, fetched or built by make up" ;;
        esac
    done
}

running_findings() {
    [ -n "$(containers all)" ] || { ok running "nothing runs"; return; }
    states | while read -r part state _; do
        case $state in
        healthy | running | done) ok running "$part: $state" ;;
        starting | created) warn running "$part: $state" "make logs NAME=$part" ;;
        *) bad running "$part: $state" "make logs NAME=$part" ;;
        esac
    done
}
