# Words behind a make target, and what else of the caller's environment counts. make hands over the names that were
# typed (VAULTBENCH_TYPED); without make, as in tests, a word may come by the environment.

# words: every word there is, with who takes it (words.list) and `nocase`.
words() {
    sed -n 's/^\([A-Z][A-Z0-9_]* .*\)/\1/p' "$HERE/words.list"
    sed -n 's/^\([A-Z][A-Z0-9_]*\)=.*/\1 every/p' "$HERE/ports.env"
    sed -n 's/^\([A-Z][A-Z0-9_]*\)=.*/\1 containers/p' "$HERE/images.env" "$HERE/memory.env"
    sed -n 's/^\([A-Z][A-Z0-9_]*\) .*/\1 every/p' "$HERE/secrets.list"
    sed -n 's/^ *\([A-Z][A-Z0-9_]*\):$/\1 every/p' "$HERE/compose.yaml"
    awk 'BEGIN {
        for (replica = 2; replica <= 32; replica++)
            for (part = split("GATEWAY AUTH UPLOAD FILES", parts, " "); part; part--)
                print parts[part] "_" replica "_PORT every\n" parts[part] "_" replica "_ADMIN_PORT every"
    }'
}

inherited() { sed -n 's/^\([A-Za-z][A-Za-z0-9_]*\) .*/\1/p' "$HERE/inherited.list" "$HERE/secrets.list"; }

# Takes out of the environment what somebody has there for other purposes: words that were not typed, and what
# Python, git and Compose would read before they read us.
forget_others() {
    for name in $({ words; inherited | sed 's/$/ inherited/'; } | awk -v make="${VAULTBENCH_TYPED+1}" -v typed="${VAULTBENCH_TYPED-}" '
        $2 == "inherited" { kept[$1] = 1; next }
        { word[$1] = 1 }
        END {
            for (count = split(typed, names, " "); count; count--) kept[names[count]] = 1
            for (name in ENVIRON) {
                if (name !~ /^[A-Za-z_][A-Za-z0-9_]*$/ || name in kept) continue
                if (name in word ? make : name ~ /^(PYTHON|GIT_|COMPOSE_|DOCKER_DEFAULT_|GREP_)/) print name
            }
        }'); do unset "$name"; done
}

# Values that may be written with capitals.
level_case() {
    for name in $(words | awk '$NF == "nocase" && ENVIRON[$1] ~ /[A-Z]/ { print $1 }'); do
        eval "value=\$$name"
        value=$(printf '%s' "$value" | tr 'A-Z' 'a-z')
        export "$name=$value"
    done
}

# refuse_words COMMAND [RUNTIME]: ends with one line for each typed word that is not known, is not for this command
# or, where the runtime is known, has no effect there.
refuse_words() {
    problems=$(words | awk -v typed="${VAULTBENCH_TYPED-}" -v target="$1" -v runtime="${2-}" '
        function least(a, b) { return a < b ? a : b }
        # Letters to change, add or take away to make one word of the other.
        function distance(a, b,    i, j, above, here, row) {
            for (j = 0; j <= length(b); j++) row[j] = j
            for (i = 1; i <= length(a); i++) {
                above = row[0]; row[0] = i
                for (j = 1; j <= length(b); j++) {
                    here = row[j]
                    row[j] = least(least(row[j], row[j - 1]) + 1, above + (substr(a, i, 1) != substr(b, j, 1)))
                    above = here
                }
            }
            return row[length(b)]
        }
        function takes(who) { return who ~ /^(every|containers|native)$/ || index("," who ",", "," target ",") }
        # Of two values, as the services read theirs: an empty one counts as none.
        function misfit(name) { return values[name] != "" && ENVIRON[name] != "" && index("|" values[name] "|", "|" ENVIRON[name] "|") == 0 }
        !($1 in who) { who[$1] = $2; instead[$1] = $3; order[++count] = $1; if ($3 ~ /\|/) values[$1] = $3 }
        END {
            many = split(typed, names, " ")
            for (n = many; n; n--) {
                name = names[n]
                if (!(name in who)) {
                    near = "" ; best = 3
                    for (i = 1; i <= count; i++)
                        if (takes(who[order[i]]) && (d = distance(toupper(name), order[i])) < best && d < length(name)) { best = d; near = order[i] }
                    print name ": make " target " knows no such word" (near == "" ? "" : "; did you mean " near "?") "; docs/settings.md has all of them"
                } else if (who[name] == "none")
                    print name ": has no effect, its value follows from " instead[name] ": say that instead"
                else if (!takes(who[name])) {
                    targets = "make " who[name]; gsub(/,/, ", make ", targets)
                    print name ": make " target " does not take it, but " targets
                } else if (misfit(name)) {
                    expected = values[name]; sub(/\|/, " or ", expected)
                    print name "=\047" ENVIRON[name] "\047: must be " expected
                } else if (runtime == "compose" && who[name] == "native")
                    print name ": only plain processes have it (RUNTIME=native), and this testbed is made of containers"
                else if (runtime == "native" && who[name] == "containers")
                    print name ": only containers have it (RUNTIME=compose), and this testbed is made of plain processes"
            }
        }')
    [ -z "$problems" ] || fail "$problems"
}

# Ends with one line for each word that names a place where nothing can be written; settings.py has the same rules.
refuse_places() {
    problems=$(for name in VAULTBENCH_RUN_DIR VAULTBENCH_TOOLS VAULTBENCH_RESULTS VAULTBENCH_ENV_FILE; do
        eval "value=\${$name:-}"
        above=$value
        case $value in
        '') continue ;;
        '~'*) say "$name='$value': the shell left ~ as it is, so write the path in full"; continue ;;
        esac
        if [ "$name" = VAULTBENCH_ENV_FILE ]; then
            if [ -d "$value" ]; then say "$name='$value': must be a file, and it is a folder"
            elif [ ! -d "$(dirname "$value")" ]; then say "$name='$value': must be a file in a folder that is there"
            fi
            continue
        fi
        while [ ! -e "$above" ]; do above=$(dirname "$above"); done
        [ -d "$above" ] || say "$name='$value': must be a folder, and $above is a file"
    done)
    [ -z "$problems" ] || fail "$problems"
}

# The words that say how a testbed is, besides the programs and images it is made of.
settings_of_testbed() {
    names_in "$HERE/ports.env"
    sed -n 's/^ *\([A-Z][A-Z0-9_]*\):$/\1/p' "$HERE/compose.yaml" | sort -u
    printf '%s\n' WORKERS TOPOLOGY REPLICAS STORE POOLER OVERLAYS LIMITS WITHOUT
}

# A command that measures would not apply a setting: one that differs from what runs is refused, with both values.
refuse_differing() {
    differing=''
    for name in $(settings_of_testbed); do
        case " ${VAULTBENCH_TYPED-} " in *" $name "*) ;; *) continue ;; esac
        eval "asked=\$$name"
        in_effect=$(unquoted "$(sed -n "s/^$name=//p" "$RUN_DIR/settings.env" 2>/dev/null)")
        [ "$asked" = "$in_effect" ] || differing="$differing
  $name: runs with ${in_effect:-its default}, asked for $asked"
        repeated="${repeated-} $name=$asked"
    done
    [ -z "$differing" ] || fail "The running testbed has other settings:$differing
Run \`make down\`, then \`make up$repeated\`."
}
