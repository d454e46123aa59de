# The secrets of one testbed: made once, kept in a file that only its owner reads, never changed after.

# Hexadecimal, so that no shell, URL or compose file needs quoting.
random_hex() { od -An -v -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# Makes what is missing in the file; stops when data exists that was made with lost passwords.
ensure_secrets() {
    missing='' lost='' short=''
    while read -r name bytes least; do
        case $name in '#'* | '') continue ;; esac
        eval "given=\${$name:-}"
        too_short "$given" "the environment"
        if grep -q "^$name=." "$SECRETS_FILE" 2>/dev/null; then
            too_short "$(unquoted "$(sed -n "s/^$name=//p" "$SECRETS_FILE" | tail -n 1)")" "${SECRETS_FILE##*/}"
            continue
        fi
        missing="$missing $name:$bytes"
        case $name in PG_*) [ -n "$given" ] || lost="$lost $name" ;; esac
    done <"$HERE/secrets.list"
    [ -z "$short" ] || fail "${short%?}"
    [ -n "$missing" ] || return 0
    if [ -n "$lost" ] && project_volumes | grep -q "^${PROJECT}_pg-"; then
        fail "${SECRETS_FILE##*/} lacks$lost, but databases made with them exist. Restore ${SECRETS_FILE##*/}, or run \`make clean\` to delete the data and start anew."
    fi
    write_secrets "$missing"
}

# too_short VALUE WHERE: remembers in `short` what no service would start with; an empty value counts as none.
too_short() {
    [ -z "$1" ] || [ "${#1}" -ge "$least" ] ||
        short="$short$name in $2 has ${#1} characters; at least $least are needed: leave it out, and one is made
"
}

# Beside and renamed: an interruption leaves no half file, and nobody else can read it at any moment.
write_secrets() (
    umask 077
    beside=$SECRETS_FILE.tmp
    rm -f "$beside"
    [ ! -f "$SECRETS_FILE" ] || cat "$SECRETS_FILE" >"$beside"
    for one in $1; do
        name=${one%%:*}
        eval "value=\${$name:-}"
        printf '%s=%s\n' "$name" "$(quoted "${value:-$(random_hex "${one##*:}")}")" >>"$beside"
    done
    mv "$beside" "$SECRETS_FILE"
)

# Deletes the file, unless somebody keeps more in it than our secrets.
remove_secrets() {
    [ -f "$SECRETS_FILE" ] || return 0
    others=$(names_in "$SECRETS_FILE" | grep -vxF "$(names_of_secrets)" || true)
    if [ -n "$others" ]; then say "kept $SECRETS_FILE: $(printf '%s\n' "$others" | shown) not ours"
    else
        say "deleting $SECRETS_FILE"
        rm -f "$SECRETS_FILE"
    fi
}

names_of_secrets() { sed -n 's/^\([A-Z][A-Z0-9_]*\) .*/\1/p' "$HERE/secrets.list"; }
