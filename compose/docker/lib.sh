# Shared by the scripts of this folder: POSIX sh, awk and docker are all they need. Sourced, never run.

# A person's shell may print where `cd` goes, have a decimal comma, or sort letters otherwise; what we keep in
# variables may not come from there either.
unset CDPATH POSIXLY_CORRECT HEALTH_RETRIES IN_EFFECT STARTS OVERLAY_NAMES OVERLAY_VALUES OVERLAY_MEMORY OVERLAY_IMAGES OVERLAY_PUBLISHED
export LC_ALL=C
ROOT=$(cd "$(dirname "$0")" && while [ ! -f Makefile ] && [ "$PWD" != / ]; do cd ..; done && pwd -P)
HERE=$ROOT/compose
. "$HERE/docker/words.sh"
forget_others
level_case
RUN_DIR=${VAULTBENCH_RUN_DIR:-$ROOT/.run}
SECRETS_FILE=${VAULTBENCH_ENV_FILE:-$ROOT/.env}
case $RUN_DIR in /*) ;; *) RUN_DIR=$PWD/$RUN_DIR ;; esac
DOCKER_ANSWER_S=3
. "$HERE/docker/run_folder.sh"
. "$HERE/docker/project.sh"
BYTES_PER_MIB=1048576
CARRIAGE_RETURN=$(printf '\r')

say() { printf '%s\n' "$*"; }

# Seconds by a clock that nobody sets, where the kernel shows one: one that is set ends no wait and lengthens none.
steady_s() {
    if [ -r /proc/uptime ]; then sed 's/[. ].*//' /proc/uptime; else date +%s; fi
}

fail() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

# within SECONDS COMMAND…: runs it, but not longer. macOS has no `timeout`.
within() {
    within_limit=$1
    shift
    "$@" &
    within_pid=$!
    (
        exec >/dev/null 2>&1 </dev/null
        sleep "$within_limit" &
        trap 'kill $!' TERM
        wait $! && kill "$within_pid"
    ) &
    within_watch=$!
    within_code=0
    wait "$within_pid" || within_code=$?
    kill "$within_watch" 2>/dev/null || true
    return "$within_code"
}

# read_values FILE: exports each KEY=VALUE line; a value that is set already wins, ${NAME} is filled in.
# Only for files of the repository: a value may name variables.
read_values() {
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in [A-Z]*=*) ;; *) continue ;; esac
        name=${line%%=*}
        eval "value=\${$name:-}"
        [ -n "$value" ] || eval "value=\"${line#*=}\""
        export "$name=$value"
    done <"$1"
}

# quoted TEXT, unquoted TEXT: a value as python-dotenv writes and reads it, in single quotes where it needs them.
quoted() {
    case $1 in
    *[!A-Za-z0-9]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/['\\\\]/\\\\&/g")" ;;
    *) printf '%s' "$1" ;;
    esac
}
unquoted() {
    set -- "${1%"$CARRIAGE_RETURN"}"
    case $1 in
    \'* | \"*) set -- "$(printf '%s' "$1" | sed "s/[[:space:]]\{1,\}#[^'\"]*\$//; s/[[:space:]]*\$//")" ;;
    esac
    case $1 in
    \'*\' | \"*\") printf '%s' "$1" | sed "s/^.//; s/.\$//; s/\\\\\(['\"\\\\]\)/\1/g" ;;
    *) printf '%s' "$1" | sed 's/[[:space:]]\{1,\}#.*//; s/[[:space:]]*$//' ;;
    esac
}

# read_secrets FILE: the same, but names in a value stay as they are; of two lines with one name the last counts.
read_secrets() {
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in [A-Z]*=*) ;; *) continue ;; esac
        name=${line%%=*}
        eval "value=\${$name:-}"
        export "$name=${value:-$(unquoted "${line#*=}")}"
    done <<EOF
$(awk '{ lines[NR] = $0 } END { for (n = NR; n; n--) print lines[n] }' "$1")
EOF
}

# names_in FILE: the names of its values.
names_in() { sed -n 's/^\([A-Z][A-Z0-9_]*\)=.*/\1/p' "$1"; }

# filled_in FILE: its text with every ${NAME} replaced. A list of targets nobody has set is empty.
filled_in() {
    awk '{
        rest = $0; text = ""
        while (match(rest, /[$][{][A-Z][A-Z0-9_]*[}]/)) {
            name = substr(rest, RSTART + 2, RLENGTH - 3)
            if (!(name in ENVIRON) && name !~ /_TARGETS$/) { print "not set: " name > "/dev/stderr"; exit 1 }
            text = text substr(rest, 1, RSTART - 1) ((name in ENVIRON) ? ENVIRON[name] : "[]")
            rest = substr(rest, RSTART + RLENGTH)
        }
        print text rest
    }' "$1"
}

# tool NAME KEY: a value of compose/tools.toml.
tool() {
    awk -v section="[$1]" -v key="$2" '
        /^\[/ { inside = ($0 == section) }
        inside && index($0, key " = \"") == 1 { sub(/^[^"]*"/, ""); sub(/"[^"]*$/, ""); print; exit }
    ' "$HERE/tools.toml"
}

# The Compose that is here: the plugin (v2) or the older program. VAULTBENCH_COMPOSE decides by hand.
compose_program() {
    if [ -n "${VAULTBENCH_COMPOSE:-}" ]; then say "$VAULTBENCH_COMPOSE"
    elif docker compose version >/dev/null 2>&1; then say "docker compose"
    elif docker-compose version >/dev/null 2>&1; then say docker-compose
    else return 1; fi
}

# in_compose ARGUMENT…: Compose with our files, project and environment, as the last `up` chose them.
in_compose() {
    [ -n "${COMPOSE_WORDS:-}" ] || COMPOSE_WORDS=$(compose_program) || fail "Docker is here, Compose is not. Install the plugin docker-compose-plugin."
    files="-f compose.yaml"
    for overlay in $(overlays); do files="$files -f compose.$overlay.yaml"; done
    # shellcheck disable=SC2086  (words on purpose)
    (cd "$HERE" && exec $COMPOSE_WORDS -p "$PROJECT" $files "$@")
}

# The overlays in effect. load_environment decides once: what follows from them is not taken for a wish.
overlays() { printf '%s' "${IN_EFFECT-$(choose_overlays)}"; }

# Those of the running testbed. Only `up` starts others, if settings say anything about them at all.
choose_overlays() {
    if [ -f "$RUN_DIR/overlays" ] && [ -z "${STARTS:+${OVERLAYS:-}${TOPOLOGY:-}${RATE_LIMIT_BACKEND:-}${CACHE:-}${POOLER:-}}" ]; then
        cat "$RUN_DIR/overlays"
        return
    fi
    asked_overlays=" $(printf '%s' "${OVERLAYS:-}" | tr ',' ' ') "
    [ "${TOPOLOGY:-}" != scaled ] || asked_overlays=" scaled $asked_overlays"
    [ "${RATE_LIMIT_BACKEND:-}" != redis ] || asked_overlays="$asked_overlays redis limiter "
    [ "${CACHE:-}" != redis ] || asked_overlays="$asked_overlays redis cache "
    case ${POOLER:-unsaid}$asked_overlays in
    pgbouncer* | unsaid*" scaled "*) asked_overlays="$asked_overlays pooler " ;;
    esac
    # What an overlay adds twice is known by a file of both names.
    case $asked_overlays in *" scaled "*)
        for both in pooler limiter cache; do
            case $asked_overlays in *" $both "*) asked_overlays="$asked_overlays scaled.$both " ;; esac
        done
        ;;
    esac
    for asked_overlay in $asked_overlays; do
        [ -f "$HERE/compose.$asked_overlay.yaml" ] && [ "$asked_overlay" != bench ] ||
            fail "OVERLAYS=$asked_overlay: there are $(cd "$HERE" && ls compose.*.yaml | sed 's/^compose\.//; s/\.yaml$//' | grep -v -e '^bench$' -e '\.' | tr '\n' ' ')"
    done
    printf '%s' "$asked_overlays" | tr ' ' '\n' | awk 'NF && !seen[$0]++' | tr '\n' ' '
}

# of_running NAME: a value that the running testbed was started with; nothing when none runs.
of_running() { [ ! -f "$RUN_DIR/overlays" ] || sed -n "s/^$1=//p" "$RUN_DIR/ports.env"; }

PROJECT=${COMPOSE_PROJECT_NAME:-$(recorded_project)}
PROJECT=${PROJECT:-vaultbench}
