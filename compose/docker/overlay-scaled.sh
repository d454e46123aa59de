# What compose.scaled.yaml needs: nginx' configuration, and every replica known to Prometheus and the harness.

if [ "${REPLICAS:-2}" != 2 ]; then fail "REPLICAS=$REPLICAS: containers run two of each; any number up to 32 runs with RUNTIME=native"; fi
TOPOLOGY=scaled GATEWAY_PROCESSES=2 UPLOAD_PROCESSES=2 FILES_PROCESSES=2
MEMORY_NGINX_MB=${MEMORY_NGINX_MB:-128}
GATEWAY_URL=http://$GATEWAY_ADDRESS:$NGINX_PORT
# Inside the network each container has the same port as the first of its kind, and a name of its own.
GATEWAY_2_PORT=$GATEWAY_PORT UPLOAD_2_PORT=$UPLOAD_PORT FILES_2_PORT=$FILES_PORT
GATEWAY_2_ADMIN_PORT=$GATEWAY_ADMIN_PORT UPLOAD_2_ADMIN_PORT=$UPLOAD_ADMIN_PORT FILES_2_ADMIN_PORT=$FILES_ADMIN_PORT
GATEWAY_TARGETS="[\"gateway:$GATEWAY_ADMIN_PORT\", \"gateway-2:$GATEWAY_ADMIN_PORT\"]"
UPLOAD_TARGETS="[\"upload:$UPLOAD_ADMIN_PORT\", \"upload-2:$UPLOAD_ADMIN_PORT\"]"
FILES_TARGETS="[\"files:$FILES_ADMIN_PORT\", \"files-2:$FILES_ADMIN_PORT\"]"
NGINX_USER='' NGINX_LISTEN=0.0.0.0:$NGINX_PORT NGINX_SOURCE=$NGINX_ADDRESS
NGINX_SERVERS="        server gateway:$GATEWAY_PORT max_fails=1 fail_timeout=2s;
        server gateway-2:$GATEWAY_PORT max_fails=1 fail_timeout=2s;"
OVERLAY_NAMES="${OVERLAY_NAMES:-} TOPOLOGY GATEWAY_2_PORT UPLOAD_2_PORT FILES_2_PORT GATEWAY_2_ADMIN_PORT UPLOAD_2_ADMIN_PORT FILES_2_ADMIN_PORT"
OVERLAY_VALUES="${OVERLAY_VALUES:-} MEMORY_NGINX_MB"
OVERLAY_IMAGES="${OVERLAY_IMAGES:-} NGINX_IMAGE"
OVERLAY_PUBLISHED="${OVERLAY_PUBLISHED:-} NGINX_PORT"
# The second of each has the limit of the first.
OVERLAY_MEMORY="${OVERLAY_MEMORY:-} MEMORY_NGINX_MB MEMORY_GATEWAY_MB MEMORY_UPLOAD_MB MEMORY_FILES_MB"
export GATEWAY_URL GATEWAY_PROCESSES UPLOAD_PROCESSES FILES_PROCESSES GATEWAY_TARGETS UPLOAD_TARGETS FILES_TARGETS NGINX_USER NGINX_LISTEN NGINX_SERVERS
# shellcheck disable=SC2086,SC2163  (words on purpose)
export $OVERLAY_NAMES $OVERLAY_VALUES

write_scaled() {
    mkdir -p "$RUN_DIR/nginx-config"
    chmod 755 "$RUN_DIR/nginx-config"
    filled_in "$HERE/nginx/nginx.conf" >"$RUN_DIR/nginx-config/nginx.conf"
    chmod 644 "$RUN_DIR/nginx-config/nginx.conf"
}
