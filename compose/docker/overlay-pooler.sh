# What compose.pooler.yaml needs.

case " $(overlays) " in *" faults "*) fail "OVERLAYS: faults and POOLER=pgbouncer do not go together; toxiproxy stands where the pooler would" ;; esac
MEMORY_PGBOUNCER_MB=${MEMORY_PGBOUNCER_MB:-64}
OVERLAY_VALUES="${OVERLAY_VALUES:-} MEMORY_PGBOUNCER_MB POOLER_CLIENTS"
OVERLAY_MEMORY="${OVERLAY_MEMORY:-} MEMORY_PGBOUNCER_MB"
OVERLAY_IMAGES="${OVERLAY_IMAGES:-} PGBOUNCER_IMAGE"
export MEMORY_PGBOUNCER_MB
