# The Compose project: which containers and volumes are ours. A name says little: another checkout, or another
# program, may have the same one.

# The name under which the testbed of this run folder was started.
recorded_project() {
    if [ -f "$RUN_DIR/project" ]; then cat "$RUN_DIR/project"
    elif [ -f "$RUN_DIR/compose.env" ]; then say vaultbench; fi # of a version that wrote no name
}

# containers [all]: the ids of our running containers, or of all that exist.
containers() {
    docker ps -q ${1:+-a} --filter "label=com.docker.compose.project=$PROJECT"
}

# Stops when the project's containers are not those of this run folder. One whose run folder is gone is nobody's.
own_project() {
    recorded=$(recorded_project)
    [ "${recorded:-$PROJECT}" = "$PROJECT" ] ||
        fail "The testbed of $RUN_DIR is the Compose project '$recorded', not '$PROJECT'. Leave COMPOSE_PROJECT_NAME out, or name another VAULTBENCH_RUN_DIR. Nothing was touched."
    theirs=$(docker ps -a --filter "label=com.docker.compose.project=$PROJECT" \
        --format '{{.Names}}|{{.Label "vaultbench.run_dir"}}|{{.Label "com.docker.compose.project.working_dir"}}' |
        while IFS='|' read -r container folder started_in; do
            if [ -z "$folder" ]; then [ "$started_in" = "$HERE" ] || say "$container"
            elif [ "$folder" != "$RUN_DIR" ] && [ -d "$folder" ]; then say "$container, of $folder"; fi
        done)
    [ -z "$theirs" ] || fail "The Compose project '$PROJECT' has containers that are not of the testbed in $RUN_DIR ($(printf '%s\n' "$theirs" | shown)). Give this one a name of its own, COMPOSE_PROJECT_NAME=…; nothing was touched."
}

# The volumes of our parts by the project's name, whoever made them.
project_volumes() {
    wanted=$(sed -n '/^volumes:/,$s/^  \([a-z][a-z0-9-]*\):.*/\1/p' "$HERE/compose.yaml" | sed "s/^/${PROJECT}_/")
    docker volume ls -q --filter "label=com.docker.compose.project=$PROJECT" | grep -xF "$wanted" || true
}

# Those of our testbed: it was started under this name, or, when only its run folder is lost, has its passwords.
volumes() {
    if [ "$(recorded_project)" = "$PROJECT" ] || { [ "$PROJECT" = vaultbench ] && grep -qs '^PG_AUTH_PASSWORD=.' "$SECRETS_FILE"; }; then
        project_volumes
    fi
}

# Stops before a start would write into volumes of somebody else.
own_volumes() {
    foreign=$(project_volumes)
    [ -z "$foreign" ] || [ -n "$(volumes)" ] ||
        fail "Docker has volumes of the project '$PROJECT' that the testbed in $RUN_DIR did not make ($(printf '%s\n' "$foreign" | shown)). Give this one a name of its own, COMPOSE_PROJECT_NAME=…; if nobody needs them, docker volume rm deletes them."
}
