# Which start-up: containers when a Docker daemon of this machine answers and Compose is there, else processes.

# The address of the daemon that the docker program talks to.
docker_host() {
    [ -z "${DOCKER_HOST:-}" ] || { say "$DOCKER_HOST"; return; }
    docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || say unix:///var/run/docker.sock
}

# Why containers cannot be used here; nothing when they can.
why_no_docker() {
    command -v docker >/dev/null 2>&1 || { say "no docker program here"; return; }
    case $(docker_host) in
    unix://* | npipe://*) ;;
    *) say "the Docker daemon is on another machine ($(docker_host)): folders and ports would be there"; return ;;
    esac
    answer=$(within "$DOCKER_ANSWER_S" docker info --format '{{.ServerVersion}}' 2>/dev/null) || answer=''
    [ -n "$answer" ] || { say "no Docker daemon answers within $DOCKER_ANSWER_S s at $(docker_host)"; return; }
    compose_program >/dev/null || say "Docker is here, but neither \`docker compose\` nor docker-compose"
}

# Sets `runtime` and `why`; stops when RUNTIME asks for what cannot be.
choose_runtime() {
    case ${RUNTIME:-} in
    native) runtime=native why="RUNTIME=native" ;;
    compose)
        why=$(why_no_docker)
        [ -z "$why" ] || fail "RUNTIME=compose cannot work: $why."
        runtime=compose why="RUNTIME=compose"
        ;;
    '')
        why=$(why_no_docker)
        if [ -z "$why" ]; then runtime=compose why="a Docker daemon answers at $(docker_host)"
        else runtime=native; fi
        ;;
    *) fail "RUNTIME='$RUNTIME': must be one of native, compose" ;;
    esac
}

recorded_runtime() { [ ! -f "$RUN_DIR/runtime" ] || cat "$RUN_DIR/runtime"; }

# For `up`: what runs already stays; a wish for the other one is refused while it does.
settle_runtime() {
    recorded=$(recorded_runtime)
    if [ -n "$recorded" ] && [ "${RUNTIME:-$recorded}" = "$recorded" ]; then
        runtime=$recorded why="as it was started; make down forgets it"
        return
    fi
    [ -z "$recorded" ] || fail "A testbed was started with RUNTIME=$recorded. Run \`make down\` first."
    choose_runtime
}

record_runtime() {
    own_run_folder
    say "$1" >"$RUN_DIR/runtime"
}
