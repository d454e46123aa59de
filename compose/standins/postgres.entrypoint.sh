#!/usr/bin/env bash
# Does what the official entry point does with the variables and folders that we use.
set -Eeuo pipefail

value_of() { # NAME, or the content of the file in NAME_FILE
    local file="$1_FILE"
    if [ -n "${!file-}" ]; then cat "${!file}"; else echo "${!1-}"; fi
}

initialise() {
    local user=${POSTGRES_USER:-postgres} password database method
    password=$(value_of POSTGRES_PASSWORD)
    database=${POSTGRES_DB:-$user}
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    [ -n "$password" ] || { echo "Error: Database is uninitialized and superuser password is not specified." >&2; exit 1; }
    eval "initdb -U '$user' --pwfile=<(printf '%s\n' \"\$password\") ${POSTGRES_INITDB_ARGS-}"
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
    printf "listen_addresses = '*'\nunix_socket_directories = '/var/run/postgresql'\n" >>"$PGDATA/postgresql.conf"
    # Only reachable through the socket, so that nobody meets the half-made cluster over the network.
    pg_ctl -D "$PGDATA" -w -o "-c listen_addresses='' -p ${PGPORT:-5432}" start
    export PGHOST=/var/run/postgresql PGUSER=$user PGPASSWORD=$password
    [ "$database" = postgres ] || psql -v ON_ERROR_STOP=1 -w -d postgres -c "CREATE DATABASE \"$database\""
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
        *.sh) . "$file" ;;
        *.sql) psql -v ON_ERROR_STOP=1 -w -d "$database" -f "$file" ;;
        esac
    done
    unset PGHOST PGUSER PGPASSWORD
    pg_ctl -D "$PGDATA" -m fast -w stop
}

[ "${1:0:1}" != - ] || set -- postgres "$@"
if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" && chmod 700 "$PGDATA" && chown -R postgres: "$PGDATA" /var/run/postgresql
    exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi
if [ "$1" = postgres ]; then
    mkdir -p "$PGDATA" && chmod 700 "$PGDATA"
    [ -s "$PGDATA/PG_VERSION" ] || initialise
fi
exec "$@"
