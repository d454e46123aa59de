# What compose.faults.yaml needs: toxiproxy's image, ports and list of proxies.

case " $(overlays) " in *" scaled "*) fail "OVERLAYS: faults and scaled do not go together; toxiproxy stands in front of one of each" ;; esac
TOXIPROXY_PORT=${TOXIPROXY_PORT:-8474} TOXIPROXY_SEED=${TOXIPROXY_SEED:-1}
MEMORY_TOXIPROXY_MB=${MEMORY_TOXIPROXY_MB:-128}
FAULTS_GATEWAY_PORT=${FAULTS_GATEWAY_PORT:-8600}
FAULTS_AUTH_PORT=8601 FAULTS_UPLOAD_PORT=8602 FAULTS_FILES_PORT=8603 FAULTS_STORE_PORT=8610
FAULTS_PG_AUTH_PORT=8641 FAULTS_PG_UPLOAD_PORT=8642 FAULTS_PG_FILES_PORT=8643
GATEWAY_URL=http://127.0.0.1:$FAULTS_GATEWAY_PORT
OVERLAY_NAMES="${OVERLAY_NAMES:-} TOXIPROXY_PORT TOXIPROXY_SEED FAULTS_GATEWAY_PORT FAULTS_AUTH_PORT FAULTS_UPLOAD_PORT FAULTS_FILES_PORT FAULTS_STORE_PORT FAULTS_PG_AUTH_PORT FAULTS_PG_UPLOAD_PORT FAULTS_PG_FILES_PORT"
OVERLAY_VALUES="${OVERLAY_VALUES:-} MEMORY_TOXIPROXY_MB"
OVERLAY_MEMORY="${OVERLAY_MEMORY:-} MEMORY_TOXIPROXY_MB"
OVERLAY_IMAGES="${OVERLAY_IMAGES:-} TOXIPROXY_IMAGE"
OVERLAY_PUBLISHED="${OVERLAY_PUBLISHED:-} TOXIPROXY_PORT FAULTS_GATEWAY_PORT"
# shellcheck disable=SC2086,SC2163  (words on purpose)
export GATEWAY_URL $OVERLAY_NAMES $OVERLAY_VALUES

TOXIPROXY_USUAL_S=60
build_faults() { go_image "$TOXIPROXY_IMAGE" toxiproxy "$TOXIPROXY_USUAL_S"; }

write_faults() {
    mkdir -p "$RUN_DIR/toxiproxy-config"
    chmod 755 "$RUN_DIR/toxiproxy-config"
    filled_in "$HERE/toxiproxy/proxies.json" >"$RUN_DIR/toxiproxy-config/proxies.json"
    chmod 644 "$RUN_DIR/toxiproxy-config/proxies.json"
}

show_faults() { say "faults    http://127.0.0.1:$TOXIPROXY_PORT  (control of toxiproxy; proxies in compose/toxiproxy/proxies.json)"; }
