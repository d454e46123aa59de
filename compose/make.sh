#!/bin/sh
# What every make target calls: finds out whether the testbed consists of containers or of processes, and
# hands the command to the one or the other. Containers need docker only; processes need Python.
#
#   compose/make.sh PROGRAM COMMAND [ARGUMENT…]      PROGRAM: compose or loadtests
#
# Example: RUNTIME=compose compose/make.sh compose up
set -eu
. "$(dirname "$0")/docker/lib.sh"
. "$HERE/docker/runtime.sh"

main() {
    case ${1-} in '' | -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$HERE/make.sh"; exit ;; esac
    refuse_places
    refuse_words "${2-}" "$(recorded_runtime)"
    case "$1 ${2-}" in
    "compose up") start "$@" ;;
    "compose tools" | "compose test" | "compose test-"* | "compose check" | "compose chaos") as_processes "$@" ;;
    *) as_recorded "$@" ;;
    esac
}

start() {
    settle_runtime
    refuse_words up "$runtime"
    say "runtime   $runtime ($why)"
    [ "$runtime" = native ] || record_runtime compose  # processes: once nothing is refused any more
    hand_over "$@"
}

# What runs is asked, never detected again: a daemon that was started since must not hide the testbed.
as_recorded() {
    runtime=$(recorded_runtime)
    [ -n "$runtime" ] || choose_runtime
    refuse_words "$2" "$runtime"
    [ "$1" != loadtests ] || [ ! -f "$RUN_DIR/settings.env" ] || refuse_differing
    if [ "$1 ${2-}" = "compose down" ] && [ "$runtime" = native ]; then
        (as_processes "$@")
        rm -f "$RUN_DIR/runtime"
        return
    fi
    hand_over "$@"
}

hand_over() {
    if [ "$runtime" = native ]; then as_processes "$@"; fi
    exec sh "$HERE/docker/main.sh" "$@"
}

as_processes() {
    interpreter=${PYTHON:-python3}
    for other in python3.14 python3.13 python3.12 python3.11; do
        [ -n "${PYTHON:-}" ] || command -v "$interpreter" >/dev/null 2>&1 || interpreter=$other
    done
    command -v "$interpreter" >/dev/null 2>&1 || fail "Without Docker, Python 3.11 or later is needed, and ${PYTHON:-python3} is not here.
Install one of the two; \`make doctor\` says more once either is there.${why:+
Docker: $why}"
    [ -z "${PYTHON:-}" ] || [ "$("$interpreter" -I -c 'print("python")' 2>/dev/null)" = python ] || fail "PYTHON='$PYTHON': must be a Python 3.11 or later"
    dev=''
    case "$1 ${2-}" in "compose test"* | "compose check" | "compose chaos") dev=--dev ;; esac
    VAULTBENCH_KEPT=$({ words && inherited; } | sed 's/ .*//' | tr '\n' ' ')
    export VAULTBENCH_KEPT
    RUNTIME=native exec "$interpreter" -I "$HERE/bootstrap.py" $dev "$@"
}

main "$@"
