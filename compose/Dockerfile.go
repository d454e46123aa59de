# One Go program from its pinned module in compose/tools/<TOOL>: go.sum holds the checksum of every dependency.
# Serves MinIO, whose own images are gone, and whatever else has no image that can be pinned.
ARG GO_IMAGE
ARG DEBIAN_IMAGE

FROM ${GO_IMAGE} AS build
COPY compose/extra-ca /ca
RUN cat /etc/ssl/certs/ca-certificates.crt $(find /ca -name '*.crt') >/ca/bundle.pem
ENV SSL_CERT_FILE=/ca/bundle.pem GOFLAGS="-mod=readonly -modcacherw" CGO_ENABLED=0
ARG GOPROXY
ARG GOSUMDB
ARG TOOL
COPY compose/tools/${TOOL} /src
WORKDIR /src
ARG PACKAGE
ARG LDFLAGS="-s -w"
# The sources are as large as everything else together; they leave with the layer that they came in.
RUN go build -trimpath -ldflags="${LDFLAGS}" -o "/out/${TOOL}" "${PACKAGE}" \
 && rm -rf /go/pkg /root/.cache

# Debian and not an empty image: its bash asks for the health without curl.
FROM ${DEBIAN_IMAGE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin vaultbench \
 && install -d -o vaultbench -g vaultbench -m 0700 /data
COPY --from=build /out/ /usr/local/bin/
USER 10001
