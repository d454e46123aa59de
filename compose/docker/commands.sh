# What the make targets do with containers.

HEALTHY_WITHIN_S=180 WELL_WITHIN_S=30

up() {
    began=$(steady_s) STARTS=1
    choose_overlays >/dev/null
    own_volumes
    own_run_folder
    alone
    say "$PROJECT" >"$RUN_DIR/project"
    say "compose   $(compose_program) $(in_compose version --short)"
    (doctor_quietly) || exit 1
    open_mounted
    ensure_secrets
    load_environment
    write_files
    build_images
    # shellcheck disable=SC2046
    in_compose up -d --remove-orphans $(wanted) || explain_failed_up
    wait_healthy
    wait_well
    say ""
    table
    say ""
    say "processes $(workers_line)"
    print_budget
    print_addresses
    for extra in $(overlays); do
        if command -v "show_$extra" >/dev/null 2>&1; then "show_$extra"; fi
    done
    say ""
    say "ready after $(($(steady_s) - began)) s. Next: make demo, make stress"
}

# All parts but those of WITHOUT.
wanted() {
    in_compose config --services | while read -r part; do
        left_out "$part" || say "$part"
    done
}

# WITHOUT names parts, or `exporters` for all of them. Without Prometheus nobody would read them.
left_out() {
    case $1 in
    exporter-*) without "$1" exporters prometheus ;;
    grafana) without grafana prometheus ;;
    *) without "$1" ;;
    esac
}

without() {
    for one_without; do
        case " $(printf '%s' "${WITHOUT:-}" | tr ',' ' ') " in *" $one_without "*) return 0 ;; esac
    done
    return 1
}

explain_failed_up() {
    print_lost || true
    fail "Not everything could be started; Docker's reason is above. A port that is taken gets another number through its
variable (compose/ports.env lists them), for example: make up GATEWAY_PORT=9500"
}

# One `up` at a time; the folder is the lock, the number in it tells whether its owner lives.
alone() {
    lock=$RUN_DIR/up.lock.d
    told=''
    until mkdir "$lock" 2>/dev/null; do
        owner=$(cat "$lock/pid" 2>/dev/null || true)
        if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then rm -rf "$lock"; continue; fi
        [ -n "$told" ] || say "another \`make up\` is at work here; waiting for it"
        told=1
        sleep 1
    done
    echo $$ >"$lock/pid"
    trap 'end_up $?' EXIT
    trap 'echo "interrupted; what was started goes on (make status), the same command continues" >&2; exit 130' INT TERM
}

end_up() {
    rm -rf "$RUN_DIR/up.lock.d"
    case $1 in
    0 | 130) ;;
    *) say "No idea? \`make doctor REPORT=1\` writes one file that can be attached to a report." >&2 ;;
    esac
}

wait_healthy() {
    end=$(($(steady_s) + HEALTHY_WITHIN_S))
    while states | grep -qv -e ' healthy ' -e ' running ' -e ' done '; do
        ! print_lost || fail "Not everything is well."
        [ "$(steady_s)" -lt "$end" ] || { table; fail "Not everything was healthy within $HEALTHY_WITHIN_S s."; }
        sleep 0.5 2>/dev/null || sleep 1
    done
}

# The last two questions: does the gateway find everything well, does Prometheus see all? A store of another
# kind may have no figures, and the harness is there only during a run.
wait_well() {
    end=$(($(steady_s) + WELL_WITHIN_S))
    until gateway_status | grep -q '^200' && ! { scraped | grep -v -e '^minio' -e '^harness' | grep -qv ' up$'; }; do
        [ "$(steady_s)" -lt "$end" ] || fail "The gateway says $(gateway_status); Prometheus says:
$(scraped)"
        sleep 0.5 2>/dev/null || sleep 1
    done
}

# shellcheck disable=SC2016  (bash in the container fills in $0)
gateway_status() {
    in_compose exec -T gateway bash -c 'exec 3<>/dev/tcp/127.0.0.1/$0 && printf "GET /health/detailed HTTP/1.0\r\nHost: x\r\n\r\n" >&3 && read -r _ code _ <&3 && echo "$code"' "$GATEWAY_PORT"
}

down() {
    load_environment lenient
    if [ -z "$(containers all)" ]; then say "nothing was running"
    else
        in_compose down --remove-orphans || sweep
        say "stopped; data is kept"
    fi
    rm -f "$RUN_DIR/runtime" "$RUN_DIR/overlays" "$RUN_DIR/workers"
}

# Without Compose, when half the system is missing: whatever carries our project's label.
sweep() {
    containers all | xargs docker rm -f >/dev/null
    docker network ls -q --filter "label=com.docker.compose.project=$PROJECT" | xargs docker network rm >/dev/null
}

clean() {
    ours=''
    ! our_run_folder || ours=1
    found=$(volumes)
    down
    if [ -n "$found" ]; then
        # The table: names, number of users, size; other tables of the same answer have other shapes.
        docker system df -v 2>/dev/null | awk -v found="$(printf '%s' "$found" | tr '\n' ' ')" '
            BEGIN { count = split(found, names, " "); for (i = 1; i <= count; i++) ours[names[i]] = 1 }
            NF == 3 && ($1 in ours) { print "deleting volume " $1 " (" $3 ")" }'
        printf '%s\n' "$found" | xargs docker volume rm >/dev/null
    fi
    if [ -d "$RUN_DIR" ]; then
        [ -n "$ours" ] || fail "$RUN_DIR carries no mark of a testbed (.vaultbench), so nothing in it was deleted"
        say "deleting $RUN_DIR ($(du -sk "$RUN_DIR/" | awk '{ printf "%.0f", $1 / 1000 }') MB)"
        remove_run_folder
    elif [ -z "$found" ]; then say "no data to delete"
    fi
    [ "${ALL:-}" != 1 ] || remove_secrets
}

status() {
    load_environment lenient
    if [ -z "$(containers all)" ]; then
        say "nothing runs; make up starts it"
        print_others
        return
    fi
    table
    say ""
    say "processes $(workers_line)"
    print_budget
    scraped | while read -r name health; do
        [ "$name" != harness ] || [ "$health" = up ] || health="$health, no run is on"
        say "scraped   $name: $health"
    done
    alerts
    print_others
    ! print_lost || exit 1
}

logs() {
    load_environment lenient
    if [ -n "${NAME:-}" ] && ! states | grep -q "^$NAME "; then
        fail "no log of '$NAME'; there are $(states | awk '{ printf "%s%s", sep, $1; sep = ", " }')"
    fi
    # shellcheck disable=SC2086
    in_compose logs --no-color --tail "${LINES_OF_EACH:-40}" ${NAME:-}
}

tools_clean() {
    load_environment lenient
    for name in $(sed -n 's/^[A-Z0-9]*_IMAGE=\(vaultbench\/.*\)/\1/p' "$HERE/images.env") "$BENCH_IMAGE$SLOWER_NETWORK"; do
        ! docker image inspect "$name" >/dev/null 2>&1 || { say "deleting the image $name"; docker image rm "$name" >/dev/null; }
    done
}

# Longer than nginx and the gateways keep away from a container that said it would leave.
ROLL_SETTLE_S=3 ROLL_GRACE_S=40

# Restarts one process after another while the others serve.
roll() {
    case " $(overlays) " in *" scaled "*) roll_containers ;; *) roll_workers ;; esac
}

# The process that started them starts again what ends.
roll_workers() {
    rolled=''
    for part in gateway auth upload files; do
        # shellcheck disable=SC2046
        set -- $(workers_of "$part")
        for pid; do
            began=$(steady_s) rolled=1
            in_compose exec -T "$part" bash -c "kill $pid"
            until ! workers_of "$part" | grep -qx "$pid" && all_answer "$part"; do
                [ $(($(steady_s) - began)) -lt "$HEALTHY_WITHIN_S" ] || fail "a process of $part did not come back; see: make logs NAME=$part"
                sleep 0.5 2>/dev/null || sleep 1
            done
            say "$part (process $pid) restarted after $(($(steady_s) - began)) s"
            sleep "$ROLL_SETTLE_S"
        done
    done
    [ -n "$rolled" ] || fail "nothing runs twice here. Start with: make up WORKERS=2"
}

# The processes in a container that runs several, one per line; one that runs alone has no parent there.
workers_of() { in_compose exec -T "$1" cat /proc/1/task/1/children | tr -s ' ' '\n' | grep . || true; }

# shellcheck disable=SC2016  (bash in the container fills in)
all_answer() { in_compose exec -T "$1" bash -c 'for p in ${ADMIN_PORTS//,/ }; do : 3<>/dev/tcp/127.0.0.1/$p || exit 1; done' 2>/dev/null; }

roll_containers() {
    for part in gateway gateway-2 upload upload-2 files files-2; do
        began=$(steady_s)
        in_compose restart -t "$ROLL_GRACE_S" "$part" >/dev/null 2>&1 || fail "$part could not be restarted; see: make logs NAME=$part"
        wait_healthy
        say "$part restarted after $(($(steady_s) - began)) s"
        sleep "$ROLL_SETTLE_S"
    done
}
