# make doctor REPORT=1: all that helps others to see what is wrong here, in one file without secrets.

REPORT_LINES=40 REPORT_COLUMNS=500

write_report() {
    own_run_folder
    report_lines | without_secrets >"$RUN_DIR/report.txt"
    say "$RUN_DIR/report.txt can be attached to a report: it holds no secrets"
}

report_lines() {
    say "vaultbench $(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/pyproject.toml"), $(revision), $(date -u '+%Y-%m-%d %H:%M:%S') UTC"
    uname -a
    section findings
    as_lines
    section "limits and machine"
    ulimit -a
    say "umask $(umask)"
    section "settings in the environment"
    { words && inherited && say SHELL && say MAKEFLAGS && say VAULTBENCH_TYPED; } | awk '
        !seen[$1]++ && ($1 in ENVIRON) && $1 !~ /PASSWORD|SECRET|KEY|MINIO_ROOT_USER/ { print $1 "=" ENVIRON[$1] | "sort" }'
    section docker
    docker version 2>&1 || true
    docker info 2>&1 || true
    section parts
    states 2>/dev/null || true
    states 2>/dev/null | while read -r part _ _ id; do
        section "end of the log of $part"
        docker logs --tail "$REPORT_LINES" "$id" 2>&1 | cut -c "1-$REPORT_COLUMNS"
    done
    for log in "$RUN_DIR"/logs/*.log; do
        [ -f "$log" ] || continue
        section "end of $log"
        tail -n "$REPORT_LINES" "$log" | cut -c "1-$REPORT_COLUMNS"
    done
}

section() { printf '\n== %s\n' "$1"; }

revision() { git -C "$ROOT" describe --always --dirty --abbrev=12 2>/dev/null || say "no revision"; }

# Known secrets (of .env, and whatever is called like one in the environment), and what has the shape of one.
without_secrets() {
    awk '
        BEGIN {
            for (name in ENVIRON)
                if (name ~ /PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|KEY|MINIO_ROOT_USER/ && length(ENVIRON[name]) >= 8)
                    secret[ENVIRON[name]]
        }
        {
            for (one in secret)
                while (at = index($0, one)) $0 = substr($0, 1, at - 1) "<secret>" substr($0, at + length(one))
            gsub(/:\/\/[^\/ "@]+@/, "://<secret>@")
            gsub(/[Bb]earer [^ "]+/, "Bearer <secret>")
            gsub(/X-Amz-Signature=[^& "]+/, "X-Amz-Signature=<secret>")
            gsub(/X-Amz-Credential=[^& "]+/, "X-Amz-Credential=<secret>")
            gsub(/X-Amz-Security-Token=[^& "]+/, "X-Amz-Security-Token=<secret>")
            gsub(/eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+/, "<secret>")
            print
        }'
}
