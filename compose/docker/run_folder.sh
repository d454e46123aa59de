# The folder of data, logs and state: whose it is, and what in it is ours; as compose/run_folder.py has it.

# Whether it carries the mark, or a record that we alone make.
our_run_folder() {
    for record in .vaultbench runtime ports.env state.json harness.lock venv.lock; do
        [ ! -f "$RUN_DIR/$record" ] || return 0
    done
    return 1
}

# Makes a run folder, or marks an empty one; stops for one that holds somebody else's files.
own_run_folder() {
    folder_state=made
    if ! our_run_folder && [ -d "$RUN_DIR" ]; then
        folder_state=found
        [ -z "$(ls -A "$RUN_DIR")" ] || fail "$RUN_DIR is no run folder: it holds $(ls -A "$RUN_DIR" | shown). VAULTBENCH_RUN_DIR names a new or an empty folder"
    fi
    mkdir -p "$RUN_DIR"
    [ -f "$RUN_DIR/.vaultbench" ] || say "$folder_state by vaultbench; \`make clean\` deletes what is listed in run_folder.list" >"$RUN_DIR/.vaultbench"
}

# The first five lines, with commas between.
shown() { awk 'NR <= 5 { line = line sep $0; sep = ", " } END { print line (NR > 5 ? " and " NR - 5 " more" : "") }'; }

# Deletes what is ours, and the folder when we made it and nothing else is in it. A link goes, what it leads to stays.
remove_run_folder() {
    folder_state=$(sed -n 's/ .*//p' "$RUN_DIR/.vaultbench" 2>/dev/null || true)
    while read -r name; do
        case $name in '#'* | '') continue ;; esac
        if [ -L "$RUN_DIR/$name" ] || [ -e "$RUN_DIR/$name" ]; then rm -rf "${RUN_DIR:?}/$name"; fi
    done <"$HERE/run_folder.list"
    left=$(ls -A "$RUN_DIR")
    if [ -n "$left" ]; then say "kept $RUN_DIR: $(printf '%s\n' "$left" | shown) $([ "$(printf '%s\n' "$left" | wc -l)" -eq 1 ] && say is || say are) not ours"
    elif [ "$folder_state" != found ] && [ ! -L "$RUN_DIR" ]; then rmdir "$RUN_DIR"
    fi
}
