# LIMITS=profile: an instance of that size for each of our processes. A quota is a full-speed CPU that is stopped
# for part of each period, so it says something about capacity and little about latency.

LIMITS=${LIMITS:-$(of_running LIMITS)}
LIMITS=${LIMITS:-small}
case $LIMITS in
micro) LIMIT_CPUS=1 limit_mb=1024 LIMIT_SOFT_MB=800 LIMIT_GC=tight ;;
small) LIMIT_CPUS=2 limit_mb=2048 LIMIT_SOFT_MB=1600 LIMIT_GC=medium ;;
medium) LIMIT_CPUS=2 limit_mb=4096 LIMIT_SOFT_MB=3200 LIMIT_GC=default ;;
one-cpu-900) LIMIT_CPUS=1 limit_mb=900 LIMIT_SOFT_MB=0 LIMIT_GC=default ;;
*) fail "LIMITS='$LIMITS': must be one of micro, small, medium, one-cpu-900" ;;
esac
MEMORY_GATEWAY_MB=$limit_mb MEMORY_AUTH_MB=$limit_mb MEMORY_UPLOAD_MB=$limit_mb MEMORY_FILES_MB=$limit_mb
# Workers are counted from the limit: a process sees all cores of the machine.
HASH_WORKERS=${HASH_WORKERS:-1}
OVERLAY_NAMES="${OVERLAY_NAMES:-} LIMITS LIMIT_CPUS LIMIT_SOFT_MB LIMIT_GC"
export LIMITS LIMIT_CPUS LIMIT_SOFT_MB LIMIT_GC MEMORY_GATEWAY_MB MEMORY_AUTH_MB MEMORY_UPLOAD_MB MEMORY_FILES_MB HASH_WORKERS

# What the engine has put into effect, in the words of the profile; a difference ends the start.
show_limits() {
    say ""
    for part in gateway auth upload files; do
        found=$(docker inspect --format '{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}' "$(in_compose ps -q "$part")")
        wanted="$((LIMIT_CPUS * 1000000000)) $((limit_mb * BYTES_PER_MIB)) $((limit_mb * BYTES_PER_MIB))"
        [ "$found" = "$wanted" ] || fail "$part has the limits $found (billionths of a CPU, bytes, bytes with swap), not $wanted"
        say "limits    $part: $LIMIT_CPUS CPU quota, $limit_mb MiB, no swap ($LIMITS; read back)"
    done
}
