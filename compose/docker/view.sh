# What a person sees of the containers: one table, one list of addresses, one budget.

# One line per container: part, state, restarts, id. The state is healthy, starting, unhealthy, running (no
# probe), done (its work has an end), or what Docker calls it, with the exit code.
states() {
    ids=$(docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.oneoff=False)
    [ -n "$ids" ] || return 0
    # shellcheck disable=SC2086
    restarts=$(docker inspect --format '{{.Id}} {{.RestartCount}}' $ids | tr '\n' ' ')
    docker ps -a --no-trunc --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.oneoff=False \
        --format '{{.Label "com.docker.compose.service"}}|{{.State}}|{{.Status}}|{{.ID}}' |
        awk -F '|' -v restarts="$restarts" '
            BEGIN { split(restarts, words, " "); for (i = 1; i in words; i += 2) count[words[i]] = words[i + 1] }
            {
                state = $2
                if ($3 ~ /unhealthy/) state = "unhealthy"
                else if ($3 ~ /\(healthy/) state = "healthy"
                else if ($3 ~ /health: starting/) state = "starting"
                else if (state == "exited" && $1 ~ /^(roles|store-key)$/ && $3 ~ /^Exited \(0\)/) state = "done"
                else if (state == "exited") { sub(/^[^(]*/, "", $3); sub(/\).*/, ")", $3); state = state $3 }
                print $1, state, count[$4], $4
            }' | sort
}

table() {
    stats=$(docker stats --no-stream --no-trunc --format '{{.ID}} {{.MemUsage}}' 2>/dev/null || true)
    printf '%-20s %-12s %8s  %s\n' part state restarts memory
    states | while read -r part state restarts id; do
        memory=$(printf '%s\n' "$stats" | awk -v id="$id" '$1 == id { print $2 " of " $4 }')
        printf '%-20s %-12s %8s  %s\n' "$part" "$state" "$restarts" "$memory"
    done
}

# Parts that ended or are unwell, with the end of their logs; true when there are any.
print_lost() {
    lost=$(states | awk '$2 !~ /^(healthy|running|done|starting|created)$/ { print $1 ":" $2 ":" $4 }')
    for one in $lost; do
        printf '\n%s: %s\n' "${one%%:*}" "$(printf '%s' "$one" | cut -d: -f2)"
        docker logs --tail 10 "${one##*:}" 2>&1 | sed 's/^/    /'
    done
    [ -n "$lost" ]
}

print_budget() {
    total=$(($(docker info --format '{{.MemTotal}}') / BYTES_PER_MIB))
    say "memory    limits add up to $(memory_budget) MiB of the $total MiB that Docker has; while a run measures, $MEMORY_BENCH_MB MiB more"
}

print_addresses() {
    say "gateway   $GATEWAY_URL"
    say "store     $S3_PUBLIC_ENDPOINT  (console $S3_CONSOLE_URL)"
    say "metrics   $PROMETHEUS_URL"
    left_out grafana || say "Grafana   $GRAFANA_URL  (to look: no login; to change: admin, GRAFANA_PASSWORD in ${SECRETS_FILE##*/})"
}

# The other testbeds of this machine, each with the words that speak of it.
print_others() {
    docker ps --filter label=vaultbench.run_dir --format '{{.Label "com.docker.compose.project"}} {{.Label "vaultbench.run_dir"}}' |
        sort -u | while read -r project folder; do
        [ "$folder" = "$RUN_DIR" ] || say "beside    $(address_of "$folder") (containers): make status COMPOSE_PROJECT_NAME=$project VAULTBENCH_RUN_DIR='$folder'"
    done
    command -v ps >/dev/null || return 0
    ps -A -o pid= -o args= | sed -n 's/^ *\([0-9]*\) .* -m compose\.supervisor \(.*\)$/\1 \2/p' | while read -r pid folder; do
        [ "$folder" = "$RUN_DIR" ] || say "beside    $(address_of "$folder") (supervisor $pid): make status VAULTBENCH_RUN_DIR='$folder'"
    done
}

address_of() { sed -n 's/^GATEWAY_URL=//p' "$1/ports.env" 2>/dev/null | grep . || say "address not known"; }

# Health of what Prometheus scrapes: job/service or job/database, and up, down or unknown.
scraped() {
    in_compose exec -T prometheus wget -q -Y off -O - "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/targets?state=active" 2>/dev/null |
        awk '{ gsub(/"discoveredLabels"/, "\n&"); print }' | awk '
            function value(key) {
                return match($0, "\"" key "\":\"[^\"]*\"") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 5) : ""
            }
            { sub(/^.*"labels":/, ""); job = value("job") }
            job != "" { service = value("service") value("database"); print job (service == "" ? "" : "/" service), value("health") }'
}
