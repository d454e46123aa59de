# The official image has busybox (with wget) and no bash.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update -q && apt-get install -y -q --no-install-recommends prometheus-postgres-exporter busybox \
 && rm -rf /var/lib/apt/lists/* && ln -s /usr/bin/busybox /usr/bin/wget \
 && ln -s /usr/bin/prometheus-postgres-exporter /bin/postgres_exporter && rm /bin/bash
USER nobody
EXPOSE 9187
ENTRYPOINT ["/bin/postgres_exporter"]
