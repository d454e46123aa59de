# Builds our images. Layers that did not change come from the cache of the daemon: seconds, without network.

BUILD_ARGUMENTS="PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST GOPROXY GOSUMDB HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy"
PROGRESS_EVERY_S=5
MINIO_USUAL_S=150 SERVICE_USUAL_S=40 TOXIPROXY_USUAL_S=60

build_images() {
    stage_certificates
    image "$SERVICE_IMAGE" "$SERVICE_USUAL_S" -f compose/Dockerfile --target service --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE"
    # Somebody who names an image of their own wants that one.
    [ "$MINIO_IMAGE" != "$built_minio" ] || go_image "$MINIO_IMAGE" minio "$MINIO_USUAL_S"
    bench_image bench
    for extra in $(overlays); do
        if command -v "build_$extra" >/dev/null 2>&1; then "build_$extra"; fi
    done
    rm -f "$HERE"/extra-ca/extra-*.crt
}

# go_image IMAGE TOOL USUAL_S: one program of tools.toml, from its pinned module.
go_image() {
    ldflags=$(tool "$2" ldflags)
    image "$1" "$3" -f compose/Dockerfile.go --build-arg "GO_IMAGE=$GO_IMAGE" --build-arg "DEBIAN_IMAGE=$DEBIAN_IMAGE" \
        --build-arg "TOOL=$2" --build-arg "PACKAGE=$(tool "$2" package)" --build-arg "LDFLAGS=${ldflags:--s -w}"
}

# image NAME USUAL_S ARGUMENT…: builds one, with a line every few seconds and the end of the log on failure.
image() {
    name=$1 usual_s=$2
    shift 2
    for argument in $BUILD_ARGUMENTS; do
        eval "[ -z \"\${$argument:-}\" ]" || set -- "$@" --build-arg "$argument"
    done
    mkdir -p "$RUN_DIR/logs"
    log=$RUN_DIR/logs/build-$(printf '%s' "$name" | tr '/:' '--').log
    began=$(steady_s)
    (cd "$ROOT" && exec docker build -t "$name" "$@" .) >"$log" 2>&1 &
    building=$!
    trap 'kill "$building" 2>/dev/null; rm -f "$HERE"/extra-ca/extra-*.crt; exit 130' INT TERM
    told=$began
    while kill -0 "$building" 2>/dev/null; do
        sleep 0.2 2>/dev/null || sleep 1
        now=$(steady_s)
        if [ $((now - told)) -ge "$PROGRESS_EVERY_S" ]; then
            told=$now
            say "building  $name: $((now - began)) s of usually $usual_s, $(wc -l <"$log" | tr -d ' ') lines in $log"
        fi
    done
    wait "$building" || { tail -n 30 "$log" >&2; rm -f "$HERE"/extra-ca/extra-*.crt; fail "$name could not be built; the whole log is $log. For a proxy, certificates or mirrors: docs/compose.md, Networks that are not open"; }
    trap - INT TERM
    took=$(($(steady_s) - began))
    [ "$took" -lt "$PROGRESS_EVERY_S" ] || say "built     $name in $took s"
}

# EXTRA_CA=folder: certificates for the build stages, for networks that open TLS.
stage_certificates() {
    rm -f "$HERE"/extra-ca/extra-*.crt
    [ -n "${EXTRA_CA:-}" ] || return 0
    found=0
    for certificate in "$EXTRA_CA"/*.crt "$EXTRA_CA"/*.pem; do
        [ -f "$certificate" ] || continue
        found=$((found + 1))
        cp "$certificate" "$HERE/extra-ca/extra-$found.crt"
    done
    [ "$found" -gt 0 ] || fail "EXTRA_CA='$EXTRA_CA': must be a folder with *.crt or *.pem files"
}

# images.env with the digest of every image that a registry has; a stand-in or an image of our own has none.
digests() {
    while IFS= read -r line; do
        case $line in
        [A-Z]*_IMAGE=vaultbench/* | *@sha256:*) say "$line" ;;
        [A-Z]*_IMAGE=*)
            image=${line#*=}
            docker image inspect "$image" >/dev/null 2>&1 || docker pull -q "$image" >/dev/null || fail "$image cannot be pulled"
            digest=$(docker image inspect -f '{{range .RepoDigests}}{{println .}}{{end}}' "$image" | sed -n 's/.*@//p' | head -n 1)
            [ -n "$digest" ] || fail "$image has no digest: it was made here (make doctor names stand-ins)"
            say "$line@$digest"
            ;;
        *) say "$line" ;;
        esac
    done <"$HERE/images.env"
}
